//! The difference of two means, by Welch's t.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Sample;

/// The difference of an arm from control.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of the arm − mean of control.
    pub difference: f64,
    /// Standard error of the difference.
    pub standard_error: f64,
    /// Interval of level 1 − α. It is valid for a single look, at a number of units that was fixed in advance.
    pub interval: [f64; 2],
    /// Two-sided p; also valid for a single look only.
    pub p: f64,
    /// The difference divided by the mean of control; `None` if that is 0.
    pub lift: Option<f64>,
    /// Interval of the lift, by Fieller; `None` if the mean of control cannot be told from 0. It contains 0 exactly if
    /// `interval` does.
    pub lift_interval: Option<[f64; 2]>,
}

/// Welch's t with Satterthwaite's degrees of freedom. Welch, The generalization of Student's problem when several
/// different population variances are involved, 1947. The interval of the lift holds each ratio R that `arm − R ·
/// control` does not rule out: Fieller, Some problems in interval estimation, 1954. Do not trust it with few units, or
/// if only a few units have a reward: the means are then not yet normal.
pub fn welch(control: &Sample, arm: &Sample, alpha: f64) -> Difference {
    let parts = [control, arm].map(|sample| sample.variance / sample.n);
    let variance = parts[0] + parts[1];
    let (difference, standard_error) = (arm.mean - control.mean, libm::sqrt(variance));
    let freedom = variance * variance / (parts[0] * parts[0] / (control.n - 1.0) + parts[1] * parts[1] / (arm.n - 1.0));
    let (t, p) = match StudentsT::new(0.0, 1.0, freedom) {
        Ok(t) if variance > 0.0 => (t.inverse_cdf(1.0 - alpha / 2.0), 2.0 * t.cdf(-(difference / standard_error).abs())),
        // Without any variance the difference is certain.
        _ => (0.0, f64::from(u8::from(difference == 0.0))),
    };
    let half = t * standard_error;
    Difference {
        difference,
        standard_error,
        interval: [difference - half, difference + half],
        p,
        lift: (control.mean != 0.0).then(|| difference / control.mean),
        lift_interval: fieller([control.mean, arm.mean], parts, t),
    }
}

/// The range of R − 1 over the ratios R with (m₁ − R m₀)² ≤ t² (s₁ + R² s₀), where m₀ and m₁ are the means of control
/// and arm, and s₀ and s₁ the variances of these means.
fn fieller([m0, m1]: [f64; 2], [s0, s1]: [f64; 2], t: f64) -> Option<[f64; 2]> {
    let a = m0 * m0 - t * t * s0;
    let root = libm::sqrt((m0 * m0 * m1 * m1 - a * (m1 * m1 - t * t * s1)).max(0.0));
    (a > 0.0).then(|| [-root, root].map(|root| (m0 * m1 + root) / a - 1.0))
}

#[cfg(test)]
mod tests {
    use foretaste::explore::{decision_rng, normal, unit};

    use super::*;

    /// scipy 1.17.1: `ttest_ind(arm, control, equal_var=False)` and its `confidence_interval(0.95)`, `(0.9)`.
    #[test]
    fn known_values() {
        let control = Sample::of(&[1.0, 0.0, 2.5, 4.0, 0.5]);
        let arm = Sample::of(&[2.0, 3.5, 3.0, 6.0, 1.0, 4.0, 2.5]);
        let found = welch(&control, &arm, 0.05);
        let known = [1.5428571428571427, 0.13984024259271852, -0.6175299070314679, 3.7032441927457533, -0.20499877574743186];
        for (found, known) in
            [found.difference, found.p, found.interval[0], found.interval[1], welch(&control, &arm, 0.1).interval[0]]
                .iter()
                .zip(known)
        {
            assert!((found - known).abs() < 1e-7, "{found} {known}");
        }
        assert_eq!((found.lift, found.lift_interval), (Some(found.difference / 1.6), None), "control may be 0");
        // numpy: roots of the quadratic.
        let [low, high] = welch(&control, &arm, 0.1).lift_interval.unwrap();
        assert!((low + 0.07821463).abs() < 1e-6 && (high - 11.57275174).abs() < 1e-5, "{low} {high}");
        let none = Sample { n: 3.0, mean: 0.0, variance: 0.0 };
        let same = welch(&none, &none, 0.05);
        assert_eq!((same.p, same.interval, same.lift, same.lift_interval), (1.0, [0.0; 2], None, None));
        assert_eq!(welch(&none, &Sample { mean: 1.0, ..none }, 0.05).p, 0.0);
    }

    /// In 400 experiments with skewed rewards and unequal arms the 95 % intervals contain the truth in 90 to 99 % of
    /// them, and that of the lift contains 0 exactly if the other does.
    #[test]
    fn intervals_cover_the_truth() {
        let mut lifted = 0;
        let covered = (0..400).filter(|run| {
            let mut rng = decision_rng(*run, "welch");
            let mut rewards = |n: usize, chance: f64| -> Vec<f64> {
                (0..n).map(|_| f64::from(u8::from(unit(&mut rng) < chance)) * (3.0 + normal(&mut rng))).collect()
            };
            let [control, arm] = [rewards(300, 0.2), rewards(200, 0.3)].map(|values| Sample::of(&values));
            let found = welch(&control, &arm, 0.05);
            let [lowest, highest] = found.lift_interval.unwrap();
            lifted += usize::from(lowest <= 0.5 && 0.5 <= highest);
            let [low, high] = found.interval;
            assert_eq!(lowest <= 0.0, low <= 0.0, "{found:?}");
            low <= 0.3 && 0.3 <= high
        });
        let covered = covered.count();
        assert!([covered, lifted].iter().all(|count| (360..=396).contains(count)), "{covered} {lifted}");
    }
}
