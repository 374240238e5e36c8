//! Doubly robust, except for large weights.

use super::{Estimator, mean, model};
use crate::ope::{Logged, Modelled};

/// V = mean of v + 1{w ≤ τ} w (r − q). Wang, Agarwal and Dudík, Optimal and adaptive off-policy evaluation in
/// contextual bandits, 2017.
///
/// It trades bias for variance: for weights above τ only the model counts, and its error is not in the interval.
pub struct SwitchDr {
    /// The largest weight that is used.
    pub tau: f64,
}

impl Estimator for SwitchDr {
    fn name(&self) -> &'static str {
        "switch-dr"
    }

    fn needs_model(&self) -> bool {
        true
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        vec![mean(slate, |row| {
            let Modelled { estimate, value } = model(row);
            let weight = if row.weight() <= self.tau { row.weight() } else { 0.0 };
            value + weight * (row.reward - estimate)
        })]
    }
}
