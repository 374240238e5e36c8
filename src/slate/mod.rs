//! A slate, built slot by slot: the candidates that the slots before leave, then one draw of the policy.

mod caps;
mod diversity;

pub use caps::Caps;
pub use diversity::Diversity;

use rand_chacha::rand_core::Rng;

use crate::explore::{Candidates, Policy, below, unit};
use crate::retrieve::Bitmap;

/// What the slots before change for the candidates of the next.
pub trait Constraint {
    /// Takes rows out or gives places a penalty. The last row of `before` was taken just now; a row may be told of again after a new
    /// pool has come.
    fn apply(&self, before: &[u32], candidates: &mut Candidates);
}

/// The best of the allowed rows with their scores, best first.
pub type Pool<'a> = dyn Fn(&Bitmap) -> Vec<(f32, u32)> + 'a;

/// What the slots of one slate are drawn from.
pub struct SlotLoop<'a> {
    /// All that may be shown, with the first pool.
    pub candidates: Candidates,
    /// Gives the next pool where constraints have emptied the last.
    pub pool: &'a Pool<'a>,
    /// Draws from a pool.
    pub policy: Box<dyn Policy + 'a>,
    /// Share of slots that are drawn uniformly from all that is allowed.
    pub epsilon: f64,
    /// In the order in which they apply.
    pub constraints: Vec<Box<dyn Constraint + 'a>>,
}

impl SlotLoop<'_> {
    /// Draws up to `slots` rows; fewer where fewer are allowed.
    pub fn draw(&mut self, slots: usize, rng: &mut dyn Rng) -> Vec<u32> {
        let epsilon = self.epsilon;
        self.walk(slots, |policy, candidates, _| {
            // Both draws, always: what a slot comes to moves no later draw.
            let (explores, any) = (unit(rng) < epsilon, below(rng, candidates.allowed().len() as u64));
            let row = candidates.row(policy.draw(candidates, rng));
            Some(if explores { candidates.allowed().nth(any as usize).unwrap_or(row) } else { row })
        })
    }

    /// P(row in its slot | the slots before) of each row of a slate, with the standard error where it is an estimate; 0 from the first
    /// row on that is not allowed where it stands.
    ///
    /// With probability ε a slot shows any of the n allowed rows: P = ε / n + (1 − ε) · P(the policy draws the row).
    pub fn propensities(&mut self, slate: &[u32]) -> Vec<(f64, Option<f64>)> {
        let epsilon = self.epsilon;
        let mut found = Vec::with_capacity(slate.len());
        self.walk(slate.len(), |policy, candidates, slot| {
            let row = Some(slate[slot]).filter(|row| candidates.allowed().contains(*row))?;
            let probability = candidates.place(row).map_or(0.0, |place| policy.probability(candidates, place));
            let any = epsilon / candidates.allowed().len() as f64;
            let error = policy.standard_error(probability).map(|error| (1.0 - epsilon) * error);
            found.push((any + (1.0 - epsilon) * probability, error));
            Some(row)
        });
        found.resize(slate.len(), (0.0, None));
        found
    }

    /// Expected value of the row that the policy puts in each slot of a slate, given the slots before: Σ_rows P(row) · `values[row]`. Fewer
    /// where a row of the slate may not stand where it does.
    pub fn expectations(&mut self, slate: &[u32], values: &[f32]) -> Vec<f64> {
        let epsilon = self.epsilon;
        let mut found = Vec::with_capacity(slate.len());
        self.walk(slate.len(), |policy, candidates, slot| {
            let row = Some(slate[slot]).filter(|row| candidates.allowed().contains(*row))?;
            let value = |row: u32| f64::from(values[row as usize]);
            let any = candidates.allowed().iter().map(value).sum::<f64>() / candidates.allowed().len() as f64;
            let places: Vec<usize> = candidates.places().collect();
            let drawn: f64 =
                places.into_iter().map(|place| policy.probability(candidates, place) * value(candidates.row(place))).sum();
            found.push(epsilon * any + (1.0 - epsilon) * drawn);
            Some(row)
        });
        found
    }

    /// Goes from slot to slot while `choose` takes a row; gives the rows.
    fn walk(&mut self, slots: usize, mut choose: impl FnMut(&mut dyn Policy, &Candidates, usize) -> Option<u32>) -> Vec<u32> {
        let mut candidates = self.candidates.clone();
        let mut before = Vec::new();
        if candidates.allowed().is_empty() {
            return before;
        }
        self.policy.look(&candidates);
        while before.len() < slots && !candidates.allowed().is_empty() {
            if candidates.is_exhausted() {
                candidates.refill((self.pool)(candidates.allowed()));
                self.policy.look(&candidates);
                for slot in 1..=before.len() {
                    self.constraints.iter().for_each(|c| c.apply(&before[..slot], &mut candidates));
                }
            }
            let Some(row) = choose(self.policy.as_mut(), &candidates, before.len()) else { break };
            candidates.remove(row);
            before.push(row);
            if before.len() < slots {
                self.constraints.iter().for_each(|c| c.apply(&before, &mut candidates));
            }
        }
        before
    }
}
