//! Doubly robust, but where weights are large.

use super::{Estimator, mean, model};
use crate::ope::Logged;

/// V = mean of v + 1{w ≤ τ} w (r − q). Wang, Agarwal and Dudík, Optimal and adaptive off-policy evaluation in contextual bandits, 2017.
///
/// Trades bias for variance: above τ the model stands alone, and its fault is not in the interval.
pub struct SwitchDr {
    /// Largest weight that is used.
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
            let (estimate, value) = model(row);
            let weight = if row.weight() <= self.tau { row.weight() } else { 0.0 };
            value + weight * (row.reward - estimate)
        })]
    }
}
