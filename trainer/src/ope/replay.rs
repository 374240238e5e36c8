//! Replays a page's log through the recommender: what each slot earned, and how likely another policy would have filled
//! it in the same way.

use anyhow::{Context, Result, ensure};
use foretaste::profile::{Event, LogLine};
use foretaste::{Recommender, Request};

use super::{Logged, Modelled};
use crate::log::{MAX_SLOTS, Rewards, Shown, VisitorLog, probability};

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
    /// A propensity outside 0 < p ≤ 1, more than 1,000 slots, an answer that the profile refuses, and the errors of the
    /// policy; with the place of the line.
    pub fn add(
        &mut self,
        recommender: &mut Recommender,
        visitor: &VisitorLog,
        policy: &Request,
        rewards: &Rewards,
    ) -> Result<()> {
        recommender.clear();
        let mut shown = visitor.shown().into_iter();
        for (place, line) in visitor.lines.iter().enumerate() {
            let at = || visitor.at(place);
            // `shown` has one entry for each impression, in the same order.
            if let LogLine::Impression(_) = line
                && let Some(shown) = shown.next()
            {
                self.slate(recommender, &shown, policy, rewards).with_context(at)?;
            }
            recommender.replay(line.clone()).with_context(at)?;
        }
        Ok(())
    }

    fn slate(&mut self, recommender: &Recommender, shown: &Shown, policy: &Request, rewards: &Rewards) -> Result<()> {
        let impression = shown.impression;
        ensure!(impression.slots.len() <= MAX_SLOTS, "expected at most {MAX_SLOTS} slots, got {}", impression.slots.len());
        let request = evaluated_request(policy, &Request { k: impression.slots.len().max(1), ..impression.request.clone() });
        // An item that this bundle lacks ends the slate: no policy over this bundle can show it.
        let known = |item: &String| recommender.bundle().catalog.row(item).is_some();
        let slate: Vec<String> = impression.slots.iter().map(|s| s.item.clone()).take_while(known).collect();
        let appraised = recommender.appraise(&request, &slate)?;
        for (slot, (logged, answers)) in impression.slots.iter().zip(&shown.answers).enumerate() {
            probability(logged.propensity).with_context(|| format!("slate `{}`, slot {slot}", impression.slate))?;
            let found = appraised.get(slot);
            self.scores.push(found.map_or([0.0; 2], |a| [a.score, a.expected_score]));
            // The sum of no values is −0; adding 0 makes it 0.
            let reward = 0.0 + answers.iter().map(|event| worth(recommender, rewards, event)).sum::<f64>();
            let target = found.map_or(0.0, |a| a.propensity);
            self.rows.push(Logged { slate: self.slates, slot, reward, propensity: logged.propensity, target, model: None });
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

    /// Ridge regression of the rewards of one half, with the penalty 1: one intercept for each slot, then the slope of
    /// the score. The matrix of the normal equations has entries in its diagonal, last row and last column alone, so it
    /// is solved without being made.
    fn fit(&self, slots: usize, half: usize) -> Vec<f64> {
        // For each slot: number of rows, sum of scores, sum of rewards; each with the penalty.
        let mut of_slot = vec![[1.0, 0.0, 0.0]; slots];
        let (mut squares, mut product) = (1.0, 0.0);
        for (row, [score, _]) in self.rows.iter().zip(&self.scores).filter(|(row, _)| row.slate % 2 == half) {
            let [n, scores, rewards] = &mut of_slot[row.slot];
            (*n, *scores, *rewards) = (*n + 1.0, *scores + score, *rewards + row.reward);
            (squares, product) = (squares + score * score, product + score * row.reward);
        }
        let explained = |of: fn(&[f64; 3]) -> f64| of_slot.iter().map(|slot| slot[1] * of(slot) / slot[0]).sum::<f64>();
        let slope = (product - explained(|slot| slot[2])) / (squares - explained(|slot| slot[1]));
        let intercepts = of_slot.iter().map(|[n, scores, rewards]| (rewards - slope * scores) / n);
        intercepts.chain([slope]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The solution of the normal equations, by a general solver.
    #[test]
    fn the_reward_model_is_a_ridge_regression() {
        let mut replay = Replay::default();
        for i in 0..40 {
            let (slot, reward) = (i % 3, ((i * 7) % 5) as f64);
            replay.rows.push(Logged { slate: 0, slot, reward, propensity: 1.0, target: 1.0, model: None });
            replay.scores.push([((i * 11) % 13) as f64 - 6.0, 0.0]);
        }
        let (mut products, mut sums) = (nalgebra::DMatrix::identity(4, 4), nalgebra::DVector::zeros(4));
        for (row, [score, _]) in replay.rows.iter().zip(&replay.scores) {
            let mut x = nalgebra::DVector::zeros(4);
            (x[row.slot], x[3]) = (1.0, *score);
            sums += &x * row.reward;
            products += &x * x.transpose();
        }
        let expected = products.cholesky().unwrap().solve(&sums);
        let found = replay.fit(3, 0);
        assert!(found.iter().zip(expected.iter()).all(|(a, b): (&f64, &f64)| (a - b).abs() < 1e-12), "{found:?} {expected}");
    }
}
