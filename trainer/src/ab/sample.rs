//! Mean and variance of one arm.

/// Mean and variance of the values of independent units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Number of units.
    pub n: f64,
    /// Mean of the values.
    pub mean: f64,
    /// Unbiased variance of the values; the variance of the mean is this divided by n.
    pub variance: f64,
}

impl Sample {
    /// The sample of one value for each unit; at least two.
    pub fn of(values: &[f64]) -> Sample {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
        Sample { n, mean, variance: squares / (n - 1.0) }
    }

    /// The sample of a ratio of sums, for example all rewards over all slates, from the numerator and denominator of
    /// each unit; at least two units. `None` if the denominators sum to 0.
    ///
    /// R = Σ a / Σ b. Its variance is that of the mean of (a − R b) / b̄ (the delta method): Deng, Knoblich and Lu,
    /// Applying the delta method in metric analytics, 2018. Slates of one unit are not independent, so they cannot be
    /// treated as single draws.
    pub fn ratio(pairs: &[[f64; 2]]) -> Option<Sample> {
        let [a, b] = pairs.iter().fold([0.0; 2], |sum, pair| [sum[0] + pair[0], sum[1] + pair[1]]);
        let (n, ratio) = (pairs.len() as f64, a / b);
        let linear: Vec<f64> = pairs.iter().map(|[a, of]| (a - ratio * of) / (b / n)).collect();
        (b != 0.0).then(|| Sample { mean: ratio, ..Sample::of(&linear) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numpy 2: `mean`, `var(ddof=1)`; for the ratio `var(a) − 2 R cov(a, b) + R² var(b)` over `mean(b)²`.
    #[test]
    fn known_values() {
        let sample = Sample::of(&[1.0, 0.0, 2.5, 4.0, 0.5]);
        assert_eq!((sample.n, sample.mean), (5.0, 1.6));
        assert!((sample.variance - 2.675).abs() < 1e-12, "{sample:?}");
        let ratio = Sample::ratio(&[[1.0, 2.0], [0.0, 1.0], [3.0, 5.0], [4.0, 4.0], [0.0, 0.0]]).unwrap();
        assert!((ratio.mean - 2.0 / 3.0).abs() < 1e-12 && (ratio.variance - 0.10609567901234584).abs() < 1e-12, "{ratio:?}");
        assert_eq!(Sample::ratio(&[[0.0, 0.0], [0.0, 0.0]]), None);
    }
}
