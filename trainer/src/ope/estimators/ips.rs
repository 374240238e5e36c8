//! Inverse propensity scores.

use super::{Estimator, mean};
use crate::ope::Logged;

/// V = mean of w r. Horvitz and Thompson, A generalization of sampling without replacement from a finite universe, 1952.
///
/// Unbiased where every item that the policy in question shows had a propensity above 0. Few large weights make it useless: look at the
/// effective sample size.
pub struct Ips;

impl Estimator for Ips {
    fn name(&self) -> &'static str {
        "ips"
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        vec![mean(slate, |row| row.weight() * row.reward)]
    }
}

/// V = Σ w r / Σ w. Swaminathan and Joachims, The self-normalized estimator for counterfactual learning, 2015.
///
/// Stays within the range of rewards and varies less than `ips`; biased in short logs, no more in long ones.
pub struct SelfNormalised;

impl Estimator for SelfNormalised {
    fn name(&self) -> &'static str {
        "snips"
    }

    fn terms(&self, slate: &[Logged]) -> Vec<[f64; 2]> {
        let sum = |of: &dyn Fn(&Logged) -> f64| slate.iter().map(of).sum();
        vec![[sum(&|row| row.weight() * row.reward), sum(&Logged::weight)]]
    }
}
