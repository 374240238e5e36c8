//! Estimators, one a file, each with its formula, its assumptions, and when not to trust it.

mod dm;
mod dr;
mod dros;
mod ips;
mod slate;
mod switch_dr;

use super::{Logged, Modelled};

/// Names of the estimators: first those of single slots, then those of whole slates.
pub const ESTIMATORS: [&str; 13] = [
    "dm",
    "ips",
    "snips",
    "dr",
    "sndr",
    "switch-dr",
    "dros",
    "slate-standard",
    "slate-independent",
    "slate-reward-interaction",
    "sn-slate-standard",
    "sn-slate-independent",
    "sn-slate-reward-interaction",
];

/// An estimator whose value is a sum of ratios of sums over slates: Σ_k (Σ_slates a_k / Σ_slates b_k).
///
/// All estimators have this form, so one bootstrap serves all of them.
pub trait Estimator {
    /// One of [`ESTIMATORS`].
    fn name(&self) -> &'static str;

    /// Whether it needs [`Logged::model`].
    fn needs_model(&self) -> bool {
        false
    }

    /// Whether the value is the reward of a whole slate; otherwise it is that of a slot.
    fn of_slates(&self) -> bool {
        false
    }

    /// The pairs (a_k, b_k) of one slate, whose rows are in the order of their slots; pairs of 0 at the end are left
    /// out.
    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]>;
}

/// Bounds on large weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shrinkage {
    /// τ of `switch-dr`, 0 or more: for larger weights the reward model alone counts. At 0 it is `dm`, at infinity
    /// `dr`.
    pub tau: f64,
    /// λ of `dros`, 0 or more. At 0 it is `dm`, at infinity `dr`.
    pub lambda: f64,
}

impl Default for Shrinkage {
    fn default() -> Self {
        Shrinkage { tau: 10.0, lambda: 100.0 }
    }
}

/// All estimators.
pub fn estimators(shrinkage: Shrinkage) -> Vec<Box<dyn Estimator>> {
    use slate::{Interaction, Slate};
    let slate = |interaction, normalised| Box::new(Slate { interaction, normalised }) as Box<dyn Estimator>;
    vec![
        Box::new(dm::DirectMethod),
        Box::new(ips::Ips),
        Box::new(ips::SelfNormalised),
        Box::new(dr::DoublyRobust),
        Box::new(dr::SelfNormalised),
        Box::new(switch_dr::SwitchDr { tau: shrinkage.tau }),
        Box::new(dros::Shrunk { lambda: shrinkage.lambda }),
        slate(Interaction::Standard, false),
        slate(Interaction::Independent, false),
        slate(Interaction::Cascade, false),
        slate(Interaction::Standard, true),
        slate(Interaction::Independent, true),
        slate(Interaction::Cascade, true),
    ]
}

/// The terms of a mean over slots: the sum of `of` over the slots of a slate, and their number.
fn mean(slate: &[Logged], of: impl Fn(&Logged) -> f64) -> [f64; 2] {
    [slate.iter().map(of).sum(), slate.len() as f64]
}

/// The predictions of the reward model for a slot; 0 without one.
fn model(row: &Logged) -> Modelled {
    row.model.unwrap_or(Modelled { estimate: 0.0, value: 0.0 })
}
