//! Inverse propensity scoring.

use super::{Estimator, mean};
use crate::ope::Logged;

/// V = mean of w r. Horvitz and Thompson, A generalization of sampling without replacement from a finite universe,
/// 1952.
///
/// Unbiased if every item that the evaluated policy shows had a propensity above 0. A few large weights make it
/// useless: look at the effective sample size.
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
/// It stays within the range of the rewards and varies less than `ips`. It is biased in short logs; the bias vanishes
/// in long ones.
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
