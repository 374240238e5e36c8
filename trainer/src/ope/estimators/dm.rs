//! The direct method.

use super::{Estimator, mean, model};
use crate::ope::Logged;

/// V = mean of Σ_a π(a | x) q(x, a).
///
/// It uses no weights, so its variance is small, but it is as biased as the reward model. Its interval covers chance
/// only, not the error of the model: do not expect it to contain the truth. Beygelzimer and Langford, The offset tree
/// for learning with partial labels, 2009.
pub struct DirectMethod;

impl Estimator for DirectMethod {
    fn name(&self) -> &'static str {
        "dm"
    }

    fn needs_model(&self) -> bool {
        true
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        vec![mean(slate, |row| model(row).value)]
    }
}
