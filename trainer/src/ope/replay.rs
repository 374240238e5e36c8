//! A page's log, replayed through the recommender: what was earned, and what another policy makes of it.

use anyhow::{Result, ensure};
use foretaste::profile::{Event, LogLine};
use foretaste::{Recommender, Request};
use nalgebra::{DMatrix, DVector};

use super::{Logged, Modelled};
use crate::log::{Rewards, Shown, Visitor};

/// What a bundle says of an answer: a positive type is worth its weight, one that the bundle does not declare 1.
fn declared(recommender: &Recommender, kind: &str) -> f64 {
    match recommender.bundle().manifest.encoding.history.type_of(kind) {
        Some(kind) if kind.positive => f64::from(kind.weight),
        Some(_) => 0.0,
        None => 1.0,
    }
}

/// What an answer is worth.
pub(super) fn worth(recommender: &Recommender, rewards: &Rewards, event: &Event) -> f64 {
    rewards.named(&event.kind).unwrap_or_else(|| declared(recommender, &event.kind))
}

/// A logged request, as the policy in question is asked it.
pub(super) fn asked(policy: &Request, logged: &Request) -> Request {
    Request { explore: policy.explore.clone(), diversity: policy.diversity, caps: policy.caps.clone(), ..logged.clone() }
}

/// A log on its way: visitor by visitor.
///
/// The policy in question is asked in every state that the log came to. What it would have made of later states is not told: values are of one
/// decision, not of a long stay.
#[derive(Debug, Default)]
pub struct Replay {
    rows: Vec<Logged>,
    /// Score of each logged item, and the expected one of the policy.
    scores: Vec<[f64; 2]>,
    slates: usize,
}

impl Replay {
    /// Replays one visitor's log; `policy` says how the slates would have been filled, their number of slots, context and exclusions are those
    /// of the log. A visitor begins without a profile.
    ///
    /// # Errors
    /// A propensity that is none, an answer that the profile refuses, what the policy refuses.
    pub fn add(&mut self, recommender: &mut Recommender, visitor: &Visitor, policy: &Request, rewards: &Rewards) -> Result<()> {
        recommender.clear();
        let mut shown = visitor.shown().into_iter();
        for line in &visitor.lines {
            // As many as there are impressions, in their order.
            if let LogLine::Impression(_) = line
                && let Some(shown) = shown.next()
            {
                self.slate(recommender, &shown, policy, rewards)?;
            }
            recommender.replay(line.clone())?;
        }
        Ok(())
    }

    fn slate(&mut self, recommender: &Recommender, shown: &Shown, policy: &Request, rewards: &Rewards) -> Result<()> {
        let impression = shown.impression;
        let request = asked(policy, &Request { k: impression.slots.len().max(1), ..impression.request.clone() });
        // Items that this bundle does not have end the slate: no policy of it shows them.
        let known = |item: &String| recommender.bundle().catalog.row(item).is_some();
        let slate: Vec<String> = impression.slots.iter().map(|s| s.item.clone()).take_while(known).collect();
        let appraised = recommender.appraise(&request, &slate)?;
        for (slot, (logged, answers)) in impression.slots.iter().zip(&shown.answers).enumerate() {
            let p = logged.propensity;
            ensure!(
                p > 0.0 && p <= 1.0,
                "slate {}: slot {slot} has the propensity {p}: nothing can be said of another policy",
                impression.slate
            );
            let found = appraised.get(slot);
            self.scores.push(found.map_or([0.0; 2], |a| [a.score, a.expected_score]));
            let reward = answers.iter().map(|event| worth(recommender, rewards, event)).sum();
            let target = found.map_or(0.0, |a| a.propensity);
            self.rows.push(Logged { slate: self.slates, slot, reward, propensity: p, target, model: None });
        }
        self.slates += 1;
        Ok(())
    }

    /// The rows, with a model of rewards: linear in slot and score, each half of the slates foretold from the other.
    ///
    /// # Errors
    /// No slates.
    pub fn finish(mut self) -> Result<Vec<Logged>> {
        ensure!(!self.rows.is_empty(), "the log shows no slates");
        let slots = self.rows.iter().map(|row| row.slot + 1).max().unwrap_or(1);
        let models = [0, 1].map(|half| self.fit(slots, half));
        for (row, [score, expected]) in self.rows.iter_mut().zip(&self.scores) {
            let model = &models[1 - row.slate % 2];
            let at = |score: f64| model[row.slot] + model[slots] * score;
            row.model = Some(Modelled { estimate: at(*score), value: at(*expected) });
        }
        Ok(self.rows)
    }

    /// Ridge regression of the rewards of one half: a number for each slot, then the slope of the score.
    fn fit(&self, slots: usize, half: usize) -> DVector<f64> {
        let (mut products, mut sums) = (DMatrix::identity(slots + 1, slots + 1), DVector::zeros(slots + 1));
        for (row, [score, _]) in self.rows.iter().zip(&self.scores).filter(|(row, _)| row.slate % 2 == half) {
            let features = [(row.slot, 1.0), (slots, *score)];
            for (i, x) in features {
                sums[i] += x * row.reward;
                features.iter().for_each(|(j, y)| products[(i, *j)] += x * y);
            }
        }
        products.cholesky().map_or_else(|| DVector::zeros(slots + 1), |factor| factor.solve(&sums))
    }
}
