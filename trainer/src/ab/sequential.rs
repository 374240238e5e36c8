//! A test that may be looked at at any time.

use serde::Serialize;

use super::Sample;

/// A difference of means, with an interval that is valid at all looks at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sequential {
    /// The confidence sequence of level 1 − α at this look. With this probability it contains the truth at all looks,
    /// however many there are and whatever decides about the next one.
    pub interval: [f64; 2],
    /// The always-valid p at this look; the experiment may stop when it is below α.
    pub p: f64,
}

/// Asymptotic confidence sequence for a difference of means, by the boundary of a normal mixture: difference ± s √((n
/// ρ² + 1) / (n ρ²) · ln((n ρ² + 1) / α²)), where s is Welch's standard error and n the number of units of both arms.
/// Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic confidence
/// sequences, 2021, theorem 2.2. The boundary is that of Howard, Ramdas, McAuliffe and Sekhon, Time-uniform,
/// nonparametric, nonasymptotic confidence sequences, 2021, and Robbins, 1970. p is the smallest α whose interval
/// excludes 0.
///
/// ρ² = (ln(1 / α²) + ln ln(1 / α²) + 1) / `planned` makes the sequence about as narrow as possible at `planned` units
/// of both arms. Choose it before the first look: a small number finds large differences early, a large one small
/// differences late. Do not trust looks below some tens of units an arm: the sequence is asymptotic, and it assumes
/// that units arrive in random order, each with its complete reward.
pub fn sequential(control: &Sample, arm: &Sample, alpha: f64, planned: f64) -> Sequential {
    let difference = arm.mean - control.mean;
    let variance = control.variance / control.n + arm.variance / arm.n;
    let level = -2.0 * libm::log(alpha);
    let mixed = (control.n + arm.n) * (level + libm::log(level) + 1.0) / planned;
    let widening = (mixed + 1.0) / mixed;
    let half = libm::sqrt(variance * widening * (libm::log(mixed + 1.0) + level));
    let p = match variance > 0.0 {
        true => libm::sqrt(mixed + 1.0) * libm::exp(-difference * difference / variance / widening / 2.0),
        false => f64::from(u8::from(difference == 0.0)),
    };
    Sequential { interval: [difference - half, difference + half], p: p.min(1.0) }
}

#[cfg(test)]
mod tests {
    use foretaste::explore::{decision_rng, normal, unit};

    use super::*;
    use crate::ab::welch;

    /// Python, from the formula of the paper: ȳ ± σ √(2 (t ρ² + 1) / (t² ρ²) · ln(√(t ρ² + 1) / α)) with t = 400, σ² =
    /// t s².
    #[test]
    fn known_values() {
        let [control, arm] = [1.0, 1.3].map(|mean| Sample { n: 200.0, mean, variance: 2.0 });
        let found = sequential(&control, &arm, 0.05, 1000.0);
        let known = [-0.13893044089799028, 0.36863093501898037];
        assert!((found.interval[0] - known[0]).abs() < 1e-10 && (found.p - known[1]).abs() < 1e-10, "{found:?}");
        assert!(((found.interval[0] + found.interval[1]) / 2.0 - 0.3).abs() < 1e-12);
        // At the level α = p the interval ends at 0.
        let arm = Sample { mean: 1.6, ..arm };
        let p = sequential(&control, &arm, 0.05, 1000.0).p;
        let rho = |alpha: f64| -2.0 * alpha.ln() + (-2.0 * alpha.ln()).ln() + 1.0;
        let end = sequential(&control, &arm, p, 1000.0 * rho(p) / rho(0.05)).interval[0];
        assert!(p < 0.05 && end.abs() < 1e-9, "{p} {end}");
    }

    /// In 400 experiments without a difference, looked at after every 50 units up to 1,000, peeking at Welch's p finds
    /// a difference in far more than 5 %; the sequence does not.
    #[test]
    fn peeking_is_allowed() {
        let (mut naive, mut always) = (0, 0);
        for run in 0..400 {
            let mut rng = decision_rng(run, "peeking");
            let mut arms = [Vec::new(), Vec::new()];
            let (mut by_welch, mut by_sequence) = (false, false);
            for n in 1..=1000 {
                let arm = usize::from(unit(&mut rng) < 0.5);
                arms[arm].push(f64::from(u8::from(unit(&mut rng) < 0.3)) * (2.0 + normal(&mut rng)));
                if n % 50 == 0 {
                    let [control, arm] = [&arms[0], &arms[1]].map(|values| Sample::of(values));
                    by_welch |= welch(&control, &arm, 0.05).p < 0.05;
                    by_sequence |= sequential(&control, &arm, 0.05, 500.0).p < 0.05;
                }
            }
            naive += i32::from(by_welch);
            always += i32::from(by_sequence);
        }
        // 0.05 plus three standard errors of 400 runs.
        assert!(always <= 33, "{always}");
        assert!(naive >= 60, "{naive}");
    }
}
