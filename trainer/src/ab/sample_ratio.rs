//! Whether the arms received as many units as intended.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The test of unit counts against weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SampleRatio {
    /// Σ (n − expected)² / expected.
    pub chi_square: f64,
    /// The probability of a value at least as large if the assignment works.
    pub p: f64,
}

impl SampleRatio {
    /// Below this p do not trust any figure of the experiment.
    pub const MISMATCH: f64 = 0.001;
}

/// Pearson's chi-square test of the number of units in each arm against positive weights, for two arms or more. A
/// mismatch means that some arm lost units or counted units twice. Fabijan et al., Diagnosing sample ratio mismatch in
/// online controlled experiments, 2019.
pub fn sample_ratio(counts: &[usize], weights: &[f64]) -> SampleRatio {
    let (all, weight) = (counts.iter().sum::<usize>() as f64, weights.iter().sum::<f64>());
    let term = |(count, of): (&usize, &f64)| {
        let expected = all * of / weight;
        (*count as f64 - expected) * (*count as f64 - expected) / expected
    };
    let chi_square = counts.iter().zip(weights).map(term).sum();
    SampleRatio { chi_square, p: ChiSquared::new(counts.len() as f64 - 1.0).map_or(1.0, |of| of.sf(chi_square)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: `chisquare(counts, expected)`.
    #[test]
    fn known_values() {
        for (counts, weights, chi_square, p) in [
            (&[5200, 4800][..], &[1.0, 1.0][..], 16.0, 6.334248366623988e-05),
            (&[10, 20, 33], &[1.0, 2.0, 3.0], 0.14285714285714285, 0.9310627797040227),
            (&[990, 12], &[99.0, 1.0], 0.3952095808383236, 0.529573657265149),
            (&[7, 9, 4, 5], &[1.0; 4], 2.36, 0.5011240391561651),
        ] {
            let found = sample_ratio(counts, weights);
            assert!((found.chi_square - chi_square).abs() < 1e-9 && (found.p / p - 1.0).abs() < 1e-7, "{found:?}");
        }
    }

    #[test]
    fn finds_a_planted_mismatch_and_no_other() {
        assert!(sample_ratio(&[5200, 4800], &[1.0, 1.0]).p < SampleRatio::MISMATCH);
        assert!(sample_ratio(&[5200, 4800], &[52.0, 48.0]).p > 0.99);
        // The assignments of the core: ten thousand visitors in each of forty experiments.
        let arms = ["a", "b"].map(String::from);
        let mismatches = (0..40).filter(|n| {
            let name = format!("experiment {n}");
            let experiment = foretaste::profile::Experiment { name: &name, arms: &arms, weights: &[1.0, 1.0] };
            let of = |unit: u32| experiment.arm(&unit.to_string()).unwrap() == "a";
            let first = (0..10_000).filter(|unit| of(*unit)).count();
            sample_ratio(&[first, 10_000 - first], &[1.0, 1.0]).p < SampleRatio::MISMATCH
        });
        assert_eq!(mismatches.count(), 0);
    }
}
