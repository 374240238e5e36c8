//! How far down a slate visitors look.

use serde::Serialize;

use super::{Logged, slates};
use crate::random::mix;

/// Number of bootstrap samples.
const SAMPLES: u64 = 500;

/// The chance that a slot is looked at, divided by that of the first slot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Examined {
    /// Place in the slate, from 0.
    pub slot: usize,
    /// The ratio; 1 for the first slot.
    pub value: f64,
    /// 95 % interval, as in [`super::Estimate`].
    pub ci95: [f64; 2],
}

/// The examination curve of the position-based model, reward = looked at (slot) × wanted (item).
///
/// Weighted by 1 / propensity, every slot shows each remaining item equally often. The slots then differ only in how
/// often they are looked at, so the ratio of their mean rewards is the ratio of these chances, provided that a slate is
/// a small part of the catalog. Swapping slots at random measures the same: Joachims, Swaminathan and Schnabel,
/// Unbiased learning-to-rank with biased feedback, 2017. Do not trust the curve of a log that hardly explores; its
/// intervals are wide.
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
