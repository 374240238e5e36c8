//! How far down visitors look.

use serde::Serialize;

use super::{Logged, slates};
use crate::random::mix;

/// Samples of the bootstrap.
const SAMPLES: u64 = 500;

/// Chance that a slot is looked at, beside that of the first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Examined {
    /// Place in the slate, from 0.
    pub slot: usize,
    /// The ratio; 1 of the first slot.
    pub value: f64,
    /// 95 % interval, as of [`super::Estimate`].
    pub ci95: [f64; 2],
}

/// The examination curve of the position-based model, reward = looked at (slot) × wanted (item).
///
/// Weighed by 1 / propensity, each slot shows every item left alike: then slots differ in being looked at alone, and the ratio of their mean rewards
/// is the ratio of their chances, where a slate takes little of the catalog. That is what swaps of slots at random measure. Joachims, Swaminathan and Schnabel, Unbiased learning-to-rank with
/// biased feedback, 2017. Do not trust it where the log hardly explores: the intervals tell.
pub fn examination(log: &[Logged], seed: u64) -> Vec<Examined> {
    let slots = log.iter().map(|row| row.slot + 1).max().unwrap_or(0);
    let slates: Vec<&[Logged]> = slates(log).collect();
    let curve = |sample: &mut dyn Iterator<Item = usize>| -> Vec<f64> {
        let mut sums = vec![[0.0; 2]; slots];
        for slate in sample {
            for row in slates[slate] {
                let weight = 1.0 / row.propensity;
                sums[row.slot][0] += weight * row.reward;
                sums[row.slot][1] += weight;
            }
        }
        let means: Vec<f64> = sums.iter().map(|[reward, weight]| if *weight > 0.0 { reward / weight } else { 0.0 }).collect();
        means.iter().map(|mean| if means[0] > 0.0 { mean / means[0] } else { 0.0 }).collect()
    };
    let n = slates.len() as u64;
    let found = curve(&mut (0..slates.len()));
    let samples: Vec<Vec<f64>> =
        (0..SAMPLES).map(|sample| curve(&mut (0..n).map(|i| (mix(mix(seed, sample), i) % n) as usize))).collect();
    let examined = |(slot, value): (usize, &f64)| {
        let mut values: Vec<f64> = samples.iter().map(|sample| sample[slot]).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((SAMPLES - 1) as f64 * share).round() as usize];
        Examined { slot, value: *value, ci95: [at(0.025), at(0.975)] }
    };
    found.iter().enumerate().map(examined).collect()
}
