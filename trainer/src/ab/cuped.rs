//! CUPED: less noisy comparisons, by adjusting for what units did before the experiment.

use serde::Serialize;

use super::Unit;

/// How the rewards depend on the rewards before the assignment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cuped {
    /// θ = cov(X, Y) / var(X), with means taken within arms and sums over all arms.
    pub theta: f64,
    /// The correlation ρ of X and Y; the adjustment multiplies the variance by 1 − ρ².
    pub correlation: f64,
}

/// Replaces each unit's reward Y by Y − θ (X − X̄), where X is its reward before the assignment; in the order of the
/// units. No arm can have changed X, so the expected means stay the same, and the variances are multiplied by 1 − ρ².
/// Deng, Xu, Kohavi and Walker, Improving the sensitivity of online controlled experiments by utilizing pre-experiment
/// data, 2013. `None` if X does not vary within any arm.
pub fn cuped(units: &[Unit]) -> Option<(Cuped, Vec<f64>)> {
    let mut sums = [0.0; 3];
    for arm in units.chunk_by(|a, b| a.arm == b.arm) {
        let mean = |of: &dyn Fn(&Unit) -> f64| arm.iter().map(of).sum::<f64>() / arm.len() as f64;
        let (x_mean, y_mean) = (mean(&|unit| unit.before), mean(&|unit| unit.reward));
        for unit in arm {
            let (x, y) = (unit.before - x_mean, unit.reward - y_mean);
            sums = [sums[0] + x * x, sums[1] + x * y, sums[2] + y * y];
        }
    }
    let [xx, xy, yy] = sums;
    let mean = units.iter().map(|unit| unit.before).sum::<f64>() / units.len() as f64;
    let theta = xy / xx;
    let correlation = if yy > 0.0 { xy / libm::sqrt(xx * yy) } else { 0.0 };
    let adjusted = units.iter().map(|unit| unit.reward - theta * (unit.before - mean)).collect();
    (xx > 0.0).then_some((Cuped { theta, correlation }, adjusted))
}

#[cfg(test)]
mod tests {
    use foretaste::explore::{decision_rng, normal};

    use super::*;
    use crate::ab::{Sample, welch};

    /// Units by arm: rewards of variance 1 with a correlation of 0.8 with those before; arm b earns 0.1 more.
    fn world(run: u64, n: usize) -> Vec<Unit> {
        let mut rng = decision_rng(run, "cuped");
        let mut unit = |arm: &str| {
            let [x, noise] = [normal(&mut rng), normal(&mut rng)];
            let reward = 0.8 * x + 0.6 * noise + if arm == "b" { 0.1 } else { 0.0 };
            Unit { arm: arm.into(), reward, before: 5.0 + 2.0 * x, ..Unit::default() }
        };
        let arms = ["a", "b"].map(|arm| (0..n).map(|_| unit(arm)).collect::<Vec<_>>());
        arms.concat()
    }

    #[test]
    fn the_variance_falls_by_the_square_of_the_correlation() {
        let units = world(0, 20_000);
        let (found, adjusted) = cuped(&units).unwrap();
        assert!((found.theta - 0.4).abs() < 0.01 && (found.correlation - 0.8).abs() < 0.01, "{found:?}");
        let plain: Vec<f64> = units.iter().map(|unit| unit.reward).collect();
        let error = |values: &[f64]| welch(&Sample::of(&values[..20_000]), &Sample::of(&values[20_000..]), 0.05).standard_error;
        let ratio = error(&adjusted) / error(&plain);
        assert!((ratio * ratio - (1.0 - found.correlation * found.correlation)).abs() < 0.01, "{ratio}");
    }

    /// In 400 experiments the interval contains the truth in 90 to 99 % of them, and the variance of the estimates is
    /// 0.36 times as large.
    #[test]
    fn estimates_stay_true_and_vary_less() {
        let (mut covered, mut squares) = (0, [0.0; 2]);
        for run in 0..400 {
            let units = world(run, 100);
            let plain: Vec<f64> = units.iter().map(|unit| unit.reward).collect();
            let adjusted = cuped(&units).unwrap().1;
            let of = |values: &[f64]| welch(&Sample::of(&values[..100]), &Sample::of(&values[100..]), 0.05);
            let [low, high] = of(&adjusted).interval;
            covered += usize::from(low <= 0.1 && 0.1 <= high);
            for (sum, values) in squares.iter_mut().zip([&plain, &adjusted]) {
                *sum += (of(values).difference - 0.1) * (of(values).difference - 0.1);
            }
        }
        assert!((360..=396).contains(&covered), "{covered}");
        assert!((squares[1] / squares[0] - 0.36).abs() < 0.08, "{squares:?}");
    }

    #[test]
    fn nothing_before_adjusts_nothing() {
        let units: Vec<Unit> = world(0, 9).into_iter().map(|unit| Unit { before: 1.0, ..unit }).collect();
        assert_eq!(cuped(&units), None);
    }
}
