//! Policies: which item fills a slot, and with which probability.
//!
//! Invariants: a policy reads no clock and no global randomness. It does not know filters or constraints; it sees the
//! candidates that they leave.

mod candidates;
mod greedy;
mod posterior;
mod random;
mod settings;
mod softmax;
mod thompson;

pub use candidates::Candidates;
pub use greedy::Greedy;
pub use posterior::{Feedback, Posterior};
pub use random::{below, decision_rng, normal, stream, unit};
pub use settings::{Explore, POLICIES, PolicyChoice, PolicyKind};
pub use softmax::Softmax;
pub use thompson::{Base, SAMPLES, ScoresOf, Thompson};

use rand_chacha::rand_core::Rng;

/// Chooses among the candidates of a slot. The pool has at least one row left.
pub trait Policy {
    /// Called with each new pool, before the first draw from it.
    fn look(&mut self, _candidates: &Candidates) {}

    /// Draws a place of the pool whose row is still allowed.
    fn draw(&mut self, candidates: &Candidates, rng: &mut dyn Rng) -> usize;

    /// Probability, 0 to 1, that [`Policy::draw`] gives this place. Its row is still allowed.
    fn probability(&mut self, candidates: &Candidates, place: usize) -> f64;

    /// Standard error of a probability that samples estimated; `None` if probabilities are exact.
    fn standard_error(&self, _probability: f64) -> Option<f64> {
        None
    }
}
