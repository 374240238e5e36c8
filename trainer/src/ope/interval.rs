//! Estimated values with their intervals.

use serde::Serialize;

use super::{Estimator, Logged, slates};
use crate::random::mix;

/// Number of bootstrap samples.
const SAMPLES: u64 = 1000;

/// An estimated value and its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean reward of a slot, or of a slate for an estimator of slates.
    pub value: f64,
    /// 95 % interval: percentiles of 1,000 bootstrap samples of slates. Efron, Bootstrap methods: another look at the
    /// jackknife, 1979.
    pub ci95: [f64; 2],
    /// What the value is the reward of: `slot` or `slate`.
    pub of: &'static str,
}

impl Estimate {
    /// Whether the value and its interval are finite.
    pub fn is_finite(&self) -> bool {
        [self.value, self.ci95[0], self.ci95[1]].iter().all(|x| x.is_finite())
    }
}

/// The estimated value of the evaluated policy. `seed` decides all draws.
pub fn estimate(estimator: &dyn Estimator, log: &[Logged], seed: u64) -> Estimate {
    let terms: Vec<Vec<[f64; 2]>> = slates(log).map(|slate| estimator.terms(slate)).collect();
    let value = value(terms.iter());
    let n = terms.len() as u64;
    let draw = |sample: u64, i: u64| &terms[(mix(mix(seed, sample), i) % n.max(1)) as usize];
    let mut values: Vec<f64> = (0..SAMPLES).map(|sample| self::value((0..n).map(|i| draw(sample, i)))).collect();
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((SAMPLES - 1) as f64 * share).round() as usize];
    Estimate { value, ci95: [at(0.025), at(0.975)], of: if estimator.of_slates() { "slate" } else { "slot" } }
}

/// Σ_k (Σ a_k / Σ b_k); a ratio whose denominator is 0 counts as 0.
fn value<'a>(terms: impl Iterator<Item = &'a Vec<[f64; 2]>>) -> f64 {
    let mut sums: Vec<[f64; 2]> = Vec::new();
    for slate in terms {
        sums.resize(sums.len().max(slate.len()), [0.0; 2]);
        for (sum, term) in sums.iter_mut().zip(slate) {
            (sum[0], sum[1]) = (sum[0] + term[0], sum[1] + term[1]);
        }
    }
    sums.iter().filter(|[_, b]| *b != 0.0).map(|[a, b]| a / b).sum()
}
