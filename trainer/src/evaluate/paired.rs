//! Whether the difference of two models over the same queries is more than chance.

use serde::Serialize;

use crate::random::mix;

/// Draws of the bootstrap, and of the randomisation test.
const DRAWS: u64 = 2000;

/// The comparison of two models by one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Paired {
    /// Mean of the first model.
    pub first: f64,
    /// Mean of the second.
    pub second: f64,
    /// Mean of second − first.
    pub diff: f64,
    /// 95 % interval of the difference, by the bootstrap: percentiles of the means of 2,000 samples with replacement
    /// (Efron, 1979).
    pub ci95: [f64; 2],
    /// Two-sided p of the paired randomisation test (Fisher, 1935): in 2,000 rounds the two models are exchanged at
    /// random in each query, and p is the share of rounds whose difference is at least as large; never below 1/2,001.
    pub p: f64,
    /// Number of queries.
    pub n: usize,
}

impl Paired {
    /// Compares two lists of values in the same order of queries. `seed` decides all draws.
    ///
    /// # Panics
    /// If the lists differ in length.
    pub fn of(first: &[f64], second: &[f64], seed: u64) -> Paired {
        assert_eq!(first.len(), second.len());
        let n = first.len();
        let mean = |sum: f64| sum / n.max(1) as f64;
        let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| b - a).collect();
        let diff = mean(differences.iter().sum());
        let draw = |what: u64, round: u64, i: usize| mix(mix(mix(seed, what), round), i as u64);
        let resampled = |round| mean((0..n).map(|i| differences[(draw(0, round, i) % n as u64) as usize]).sum());
        let mut means: Vec<f64> = (0..DRAWS).map(resampled).collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means[((DRAWS - 1) as f64 * share).round() as usize];
        let exchanged = |round| -> f64 {
            let signed = |(i, d): (usize, &f64)| if draw(1, round, i) >> 63 == 0 { *d } else { -*d };
            mean(differences.iter().enumerate().map(signed).sum())
        };
        // The sums round differently, so a difference that is equal but for rounding must still count as equally large.
        let least = diff.abs() * (1.0 - 1e-9);
        let as_large = (0..DRAWS).filter(|round| exchanged(*round).abs() >= least).count();
        Paired {
            first: mean(first.iter().sum()),
            second: mean(second.iter().sum()),
            diff,
            ci95: [at(0.025), at(0.975)],
            p: (as_large as f64 + 1.0) / (DRAWS as f64 + 1.0),
            n,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, i: u64) -> f64 {
        crate::random::unit(mix(seed, i))
    }

    #[test]
    fn knows_a_difference_from_none() {
        let noise = |seed: u64| -> Vec<f64> { (0..400).map(|i| draw(seed, i)).collect() };
        let (a, shifted) = (noise(1), noise(1).iter().zip(noise(2)).map(|(x, y)| x + 0.1 * y).collect::<Vec<_>>());
        let found = Paired::of(&a, &shifted, 0);
        assert!((found.diff - 0.05).abs() < 0.005 && found.p < 0.001, "{found:?}");
        assert!(found.ci95[0] > 0.045 && found.ci95[1] < 0.055, "{found:?}");
        assert_eq!(Paired::of(&a, &a, 0), Paired { second: found.first, diff: 0.0, ci95: [0.0; 2], p: 1.0, ..found });
    }

    /// For two equal models p is below 0.1 in a tenth of all cases, and the interval misses 0 in a twentieth.
    #[test]
    fn keeps_its_levels() {
        let (mut below, mut missed) = (0, 0);
        for seed in 0..200 {
            let values = |which| -> Vec<f64> { (0..60).map(|i| draw(mix(seed, which), i)).collect() };
            let found = Paired::of(&values(0), &values(1), seed);
            below += i32::from(found.p < 0.1);
            missed += i32::from(found.ci95[0] > 0.0 || found.ci95[1] < 0.0);
        }
        assert!((10..32).contains(&below) && (3..21).contains(&missed), "{below} {missed}");
    }
}
