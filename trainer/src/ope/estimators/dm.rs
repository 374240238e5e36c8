//! The direct method.

use super::{Estimator, mean, model};
use crate::ope::Logged;

/// V = mean of Σ_a π(a | x) q(x, a).
///
/// No weights, so little variance; as wrong as the model of rewards. Its interval tells of chance alone and says nothing of the model's fault:
/// do not trust it to cover the truth. Beygelzimer and Langford, The offset tree for learning with partial labels, 2009.
pub struct DirectMethod;

impl Estimator for DirectMethod {
    fn name(&self) -> &'static str {
        "dm"
    }

    fn needs_model(&self) -> bool {
        true
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        vec![mean(slate, |row| model(row).1)]
    }
}
