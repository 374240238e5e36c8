//! Doubly robust with optimistic shrinkage.

use super::{Estimator, mean, model};
use crate::ope::{Logged, Modelled};

/// V = mean of v + λ w / (w² + λ) · (r − q). Su, Dimakopoulou, Krishnamurthy and Dudík, Doubly robust off-policy
/// evaluation with shrinkage, 2020.
///
/// No weight counts for more than √λ / 2. The interval does not include the bias that the shrinkage causes.
pub struct Shrunk {
    /// λ ≥ 0.
    pub lambda: f64,
}

impl Estimator for Shrunk {
    fn name(&self) -> &'static str {
        "dros"
    }

    fn needs_model(&self) -> bool {
        true
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        vec![mean(slate, |row| {
            let (Modelled { estimate, value }, w) = (model(row), row.weight());
            // Written so that λ = ∞ gives w itself.
            let shrunk = if w == 0.0 || self.lambda == 0.0 { 0.0 } else { w / (w * w / self.lambda + 1.0) };
            value + shrunk * (row.reward - estimate)
        })]
    }
}
