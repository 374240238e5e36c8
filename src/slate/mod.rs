//! A slate is filled slot by slot: constraints change the candidates, given the slots before, and then the policy draws
//! one.

mod caps;
mod diversity;

pub use caps::Caps;
pub use diversity::Diversity;

use rand_chacha::rand_core::Rng;

use crate::explore::{Candidates, Policy, below, unit};
use crate::retrieve::Bitmap;

/// A rule about items beside each other: given the slots before, it changes the candidates of the next slot.
pub trait Constraint {
    /// Removes rows or gives places a penalty. The last row of `before` was taken just now. After a new pool has come,
    /// the call is made again for every slot so far.
    fn apply(&self, before: &[u32], candidates: &mut Candidates);
}

/// Finds the best of the allowed rows, with their scores, best first, ties by row.
pub type Pool<'a> = dyn Fn(&Bitmap) -> Vec<(f32, u32)> + 'a;

/// Fills the slots of one slate, from the top.
pub struct SlotLoop<'a> {
    /// The allowed rows, and the first pool.
    pub candidates: Candidates,
    /// Finds the next pool after constraints have emptied the last one.
    pub pool: &'a Pool<'a>,
    /// Chooses from the pool.
    pub policy: Box<dyn Policy + 'a>,
    /// Share of slots that are drawn uniformly from all allowed rows, 0 to 1.
    pub epsilon: f64,
    /// Applied in this order.
    pub constraints: Vec<Box<dyn Constraint + 'a>>,
}

/// The probability of an item in its slot, given the slots before.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Propensity {
    /// 0 to 1.
    pub probability: f64,
    /// Standard error of the probability if samples estimated it; `None` if it is exact.
    pub standard_error: Option<f64>,
}

impl SlotLoop<'_> {
    /// Draws up to `slots` rows; fewer where fewer are allowed.
    pub fn draw(&mut self, slots: usize, rng: &mut dyn Rng) -> Vec<u32> {
        let epsilon = self.epsilon;
        self.walk(slots, |policy, candidates, _| {
            // Both numbers are always drawn, so that the outcome of a slot does not shift the draws of later slots.
            let (explores, any) = (unit(rng) < epsilon, below(rng, candidates.allowed().len() as u64));
            let row = candidates.row(policy.draw(candidates, rng));
            Some(if explores { candidates.allowed().nth(any as usize).unwrap_or(row) } else { row })
        })
    }

    /// The propensity of each row of a slate. 0 for the first row that is not allowed where it stands and for all after
    /// it.
    ///
    /// With probability ε a slot shows any of the n allowed rows: P = ε / n + (1 − ε) · P(the policy draws the row).
    pub fn propensities(&mut self, slate: &[u32]) -> Vec<Propensity> {
        let epsilon = self.epsilon;
        let mut found = Vec::with_capacity(slate.len());
        self.walk(slate.len(), |policy, candidates, slot| {
            let row = Some(slate[slot]).filter(|row| candidates.allowed().contains(*row))?;
            let probability = candidates.place(row).map_or(0.0, |place| policy.probability(candidates, place));
            let any = epsilon / candidates.allowed().len() as f64;
            let standard_error = policy.standard_error(probability).map(|error| (1.0 - epsilon) * error);
            found.push(Propensity { probability: any + (1.0 - epsilon) * probability, standard_error });
            Some(row)
        });
        found.resize(slate.len(), Propensity::default());
        found
    }

    /// For each slot of a slate the expected value of the row that the policy would put there, given the rows before: Σ
    /// P(row) · `values[row]`. The list ends at the first row that is not allowed where it stands.
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

    /// Goes from slot to slot while `choose` gives a row. Returns the rows.
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
