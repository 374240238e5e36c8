//! Doubly robust.

use super::{Estimator, mean, model};
use crate::ope::{Logged, Modelled};

/// V = mean of v + w (r − q), v = Σ_a π(a | x) q(x, a). Dudík, Langford and Li, Doubly robust policy evaluation and
/// learning, 2011.
///
/// Unbiased whenever `ips` is, whatever the model; the better the model, the smaller the variance. Large weights still
/// make it unreliable.
pub struct DoublyRobust;

impl Estimator for DoublyRobust {
    fn name(&self) -> &'static str {
        "dr"
    }

    fn needs_model(&self) -> bool {
        true
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        vec![mean(slate, |row| {
            let Modelled { estimate, value } = model(row);
            value + row.weight() * (row.reward - estimate)
        })]
    }
}

/// V = mean of v + Σ w (r − q) / Σ w: the correction is self-normalised. It varies less than `dr`, but is biased in
/// short logs.
pub struct SelfNormalised;

impl Estimator for SelfNormalised {
    fn name(&self) -> &'static str {
        "sndr"
    }

    fn needs_model(&self) -> bool {
        true
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        let correction = slate.iter().map(|row| row.weight() * (row.reward - model(row).estimate)).sum();
        vec![mean(slate, |row| model(row).value), [correction, slate.iter().map(Logged::weight).sum()]]
    }
}
