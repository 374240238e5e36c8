//! Policies: what fills a slot, and with which probability. Invariant: a policy reads no clock and no global randomness.

mod candidates;
mod epsilon_greedy;
mod greedy;
mod random;

pub use candidates::Candidates;
pub use epsilon_greedy::EpsilonGreedy;
pub use greedy::Greedy;
pub use random::{below, decision_rng, unit};

use rand_chacha::rand_core::Rng;

/// The item of one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// Catalog row.
    pub row: u32,
    /// P(this row in this slot | the slots before), in 0 < p ≤ 1.
    pub propensity: f64,
}

/// Chooses the item of a slot.
pub trait Policy {
    /// Name in the log.
    fn name(&self) -> &'static str;

    /// Draws one of the candidates, of which there is at least one.
    fn draw(&self, candidates: &Candidates, rng: &mut dyn Rng) -> Draw;
}
