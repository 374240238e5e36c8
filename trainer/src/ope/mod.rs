//! Off-policy evaluation: estimates, from a log with propensities, what another policy would have earned.
//!
//! The log records the probability with which each item was shown ([`Logged::propensity`]). The evaluated policy gives
//! the probability with which it would have shown the item there ([`Logged::target`]). An estimator weights the rewards
//! by the ratio w of the two. Invariant: without propensities there is no estimate.

mod checks;
mod estimators;
mod examination;
mod interval;
mod rejection;
mod replay;
mod report;
mod table;

pub use checks::{Checks, checks};
pub use estimators::{ESTIMATORS, Estimator, Shrinkage, estimators};
pub use examination::{Examined, examination};
pub use interval::{Estimate, estimate};
pub use rejection::{Rejection, rejection};
pub use replay::Replay;
pub use report::{Earned, Report};
pub use table::{Table, read_table};

/// One slot of a logged slate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged {
    /// Number of the slate, from 0; the slots of one slate are next to each other.
    pub slate: usize,
    /// Place in the slate, from 0.
    pub slot: usize,
    /// The reward earned in the slot.
    pub reward: f64,
    /// P(item in the slot | the slots before) under the logged policy, 0 < p ≤ 1.
    pub propensity: f64,
    /// The same probability under the evaluated policy, 0 ≤ p ≤ 1.
    pub target: f64,
    /// The predictions of a reward model, if there is one.
    pub model: Option<Modelled>,
}

/// The predictions of a reward model for one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Modelled {
    /// q(x, a): the expected reward of the logged item.
    pub estimate: f64,
    /// Σ_a π(a | x) q(x, a): the expected reward of the evaluated policy π.
    pub value: f64,
}

impl Logged {
    /// w = target / propensity.
    pub fn weight(&self) -> f64 {
        self.target / self.propensity
    }
}

/// The rows of each slate of a log.
pub fn slates(log: &[Logged]) -> impl Iterator<Item = &[Logged]> {
    log.chunk_by(|a, b| a.slate == b.slate)
}
