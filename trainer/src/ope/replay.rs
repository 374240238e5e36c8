//! Replays a page's log through the recommender: what each slot earned, and how likely another policy would have filled
//! it in the same way.

use anyhow::{Result, ensure};
use foretaste::profile::{Event, LogLine};
use foretaste::{Recommender, Request};
use nalgebra::{DMatrix, DVector};

use super::{Logged, Modelled};
use crate::log::{Rewards, Shown, VisitorLog};

/// The reward that a bundle gives an answer: the weight of a positive type, 0 for another declared type, 1 for a type
/// that the bundle does not declare.
fn declared(recommender: &Recommender, kind: &str) -> f64 {
    match recommender.bundle().manifest.encoding.history.type_of(kind) {
        Some(kind) if kind.positive => f64::from(kind.weight),
        Some(_) => 0.0,
        None => 1.0,
    }
}

/// The reward of an answer: that of `rewards`, else that of the bundle.
pub(super) fn worth(recommender: &Recommender, rewards: &Rewards, event: &Event) -> f64 {
    rewards.named(&event.kind).unwrap_or_else(|| declared(recommender, &event.kind))
}

/// A logged request, with the settings of the evaluated policy.
pub(super) fn evaluated_request(policy: &Request, logged: &Request) -> Request {
    Request { explore: policy.explore.clone(), diversity: policy.diversity, caps: policy.caps.clone(), ..logged.clone() }
}

/// Collects the rows of a log, visitor by visitor.
///
/// The evaluated policy is asked in every state that the log reached. The states that the policy itself would have led
/// to are unknown, so the values are those of single decisions, not of whole visits.
#[derive(Debug, Default)]
pub struct Replay {
    rows: Vec<Logged>,
    /// For each row: the score of the logged item, and the expected score under the evaluated policy.
    scores: Vec<[f64; 2]>,
    slates: usize,
}

impl Replay {
    /// Replays one visitor's log, starting from an empty profile. `policy` says how the evaluated policy fills slates;
    /// number of slots, context and exclusions are those of the log.
    ///
    /// # Errors
    /// A propensity outside 0 < p ≤ 1, an answer that the profile refuses, and the errors of the policy.
    pub fn add(
        &mut self,
        recommender: &mut Recommender,
        visitor: &VisitorLog,
        policy: &Request,
        rewards: &Rewards,
    ) -> Result<()> {
        recommender.clear();
        let mut shown = visitor.shown().into_iter();
        for line in &visitor.lines {
            // `shown` has one entry for each impression, in the same order.
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
        let request = evaluated_request(policy, &Request { k: impression.slots.len().max(1), ..impression.request.clone() });
        // An item that this bundle lacks ends the slate: no policy over this bundle can show it.
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

    /// Returns the rows with the predictions of a reward model that is linear in slot and score. Each half of the
    /// slates is predicted by a model fitted on the other half.
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

    /// Ridge regression of the rewards of one half: one intercept for each slot, then the slope of the score.
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
