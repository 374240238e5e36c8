//! Off-policy evaluation: what another policy would have earned, told from a log with propensities.
//!
//! A log says with which probability each item was shown ([`Logged::propensity`]); the policy in question says with which it would have shown
//! it there ([`Logged::target`]). An estimator weighs the rewards by their ratio w. Invariant: without propensities there is no estimate.

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
pub use table::read_table;

/// One slot of a logged slate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Logged {
    /// Slate, from 0; slots of one slate follow each other.
    pub slate: usize,
    /// Place in the slate, from 0.
    pub slot: usize,
    /// What was earned there.
    pub reward: f64,
    /// P(item in the slot | the slots before) under the policy that was logged, in 0 < p ≤ 1.
    pub propensity: f64,
    /// The same under the policy in question, in 0 ≤ p ≤ 1.
    pub target: f64,
    /// What a model of rewards says, where there is one.
    pub model: Option<Modelled>,
}

/// A model of rewards at one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Modelled {
    /// q(x, a): expected reward of the logged item.
    pub estimate: f64,
    /// Σ_a π(a | x) q(x, a) under the policy in question.
    pub value: f64,
}

impl Logged {
    /// w = target / propensity.
    pub fn weight(&self) -> f64 {
        self.target / self.propensity
    }
}

/// The slates of a log.
pub fn slates(log: &[Logged]) -> impl Iterator<Item = &[Logged]> {
    log.chunk_by(|a, b| a.slate == b.slate)
}
