//! The report of an experiment.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use super::{Cuped, Difference, Sample, SampleRatio, Sequential, Unit, Units, cuped, sample_ratio, sequential, welch};

/// How an experiment is analysed.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The arm that the others are compared with; `None` takes the arm `control`, or the first by name if there is
    /// none.
    pub control: Option<String>,
    /// Intended weights of the arms; empty if all arms have the same.
    pub weights: BTreeMap<String, f64>,
    /// The chance that an interval misses the truth, 0 < α < 0.5. Small values give wide intervals.
    pub alpha: f64,
    /// The number of units of both arms at which the sequential interval is to be as narrow as possible, above 0.
    /// Choose it before the first look.
    pub planned: f64,
}

/// The results of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Its name.
    pub experiment: String,
    /// The arm that the others are compared with.
    pub control: String,
    /// The chance that an interval misses the truth.
    pub alpha: f64,
    /// Number of units in all arms.
    pub units: usize,
    /// Number of units that were given two arms; they are left out.
    pub mixed: usize,
    /// The arms: control first, then the others by name.
    pub arms: Vec<Arm>,
    /// Each other arm compared with control.
    pub comparisons: Vec<Comparison>,
    /// `None` if no unit has a reward before its assignment.
    pub cuped: Option<Cuped>,
    /// The test of the unit counts against the weights, over all assigned units but the mixed ones.
    pub sample_ratio: SampleRatio,
    /// Warnings for people; empty if nothing is wrong.
    pub warnings: Vec<String>,
}

/// The results of one arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Arm {
    /// Its name.
    pub arm: String,
    /// Number of units.
    pub units: usize,
    /// Number of slates after the assignments.
    pub slates: usize,
    /// Mean reward of a unit.
    pub per_unit: f64,
    /// The sum of rewards divided by the number of slates; `None` without slates.
    pub per_slate: Option<f64>,
}

/// An arm compared with control.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Its name.
    pub arm: String,
    /// Difference of the mean reward of a unit.
    pub per_unit: Difference,
    /// The same difference, adjusted by the rewards before the assignment.
    pub cuped: Option<Difference>,
    /// The difference of `per_unit`, valid for any number of looks.
    pub sequential: Sequential,
    /// Difference of the mean reward of a slate.
    pub per_slate: Option<Difference>,
}

/// The units of one arm, and their adjusted rewards in the same order.
struct Figures<'a> {
    arm: &'a str,
    units: &'a [Unit],
    adjusted: Option<&'a [f64]>,
}

impl Figures<'_> {
    fn per_unit(&self) -> Sample {
        Sample::of(&self.units.iter().map(|unit| unit.reward).collect::<Vec<_>>())
    }

    fn per_slate(&self) -> Option<Sample> {
        Sample::ratio(&self.units.iter().map(|unit| [unit.reward, unit.slates as f64]).collect::<Vec<_>>())
    }

    fn beside(&self, control: &Figures, setting: &Setting) -> Comparison {
        let of = |[control, arm]: [Sample; 2]| welch(&control, &arm, setting.alpha);
        let [before, per_unit] = [control, self].map(Figures::per_unit);
        Comparison {
            arm: self.arm.into(),
            per_unit: of([before, per_unit]),
            cuped: control.adjusted.zip(self.adjusted).map(|(control, arm)| of([control, arm].map(Sample::of))),
            sequential: sequential(&before, &per_unit, setting.alpha, setting.planned),
            per_slate: control.per_slate().zip(self.per_slate()).map(|(control, arm)| of([control, arm])),
        }
    }
}

/// Compares the arms of an experiment.
///
/// # Errors
/// Fewer than two arms, an arm with fewer than two units, a control that is no arm, weights that are not positive or
/// name other arms.
pub fn report(experiment: &str, Units { units, mixed }: &Units, setting: &Setting) -> Result<Report> {
    let adjustment = cuped(units);
    let mut start = 0;
    let mut arms: Vec<Figures> = Vec::new();
    for units in units.chunk_by(|a, b| a.arm == b.arm) {
        let adjusted = adjustment.as_ref().map(|(_, values)| &values[start..start + units.len()]);
        start += units.len();
        arms.push(Figures { arm: &units[0].arm, units, adjusted });
    }
    let names: Vec<&str> = arms.iter().map(|arm| arm.arm).collect();
    ensure!(arms.len() > 1, "experiment `{experiment}`: two arms or more expected, got {}", named(&names));
    if let Some(few) = arms.iter().find(|arm| arm.units.len() < 2) {
        bail!("experiment `{experiment}`: arm `{}` has one unit, two are needed", few.arm);
    }
    let weights = &setting.weights;
    if let Some(other) = weights.keys().find(|name| !names.contains(&name.as_str())) {
        bail!("weights: no unit has the arm `{other}`; there are {}", named(&names));
    }
    ensure!(
        weights.is_empty() || weights.len() == arms.len() && weights.values().all(|weight| *weight > 0.0),
        "weights: expected one above 0 for each of {}",
        named(&names)
    );
    let control = setting.control.as_deref().unwrap_or(if names.contains(&"control") { "control" } else { names[0] });
    let Some(place) = names.iter().position(|name| *name == control) else {
        bail!("no unit has the arm `{control}`; there are {}", named(&names));
    };
    arms[..=place].rotate_right(1);

    let counts: Vec<usize> = arms.iter().map(|arm| arm.units.len()).collect();
    let shares: Vec<f64> = arms.iter().map(|arm| weights.get(arm.arm).copied().unwrap_or(1.0)).collect();
    let sample_ratio = sample_ratio(&counts, &shares);
    let mut warnings = Vec::new();
    if sample_ratio.p < SampleRatio::MISMATCH {
        warnings.push(format!(
            "sample ratio mismatch (p {:.1e}): the arms do not have the units that their weights promise, so units are lost in some arm; trust no figure before it is known why",
            sample_ratio.p
        ));
    }
    if *mixed > 0 {
        warnings.push(format!("{mixed} units were given two arms and are left out"));
    }
    if let Some(few) = arms.iter().find(|arm| arm.units.len() < 30) {
        warnings.push(format!("arm {} has {} units: intervals of so few are rough", few.arm, few.units.len()));
    }
    let others = arms.len() - 1;
    if others > 1 {
        let each = setting.alpha / others as f64;
        warnings
            .push(format!("{others} arms are compared, each at {}; --alpha {each:.4} keeps it for all of them", setting.alpha));
    }
    Ok(Report {
        experiment: experiment.into(),
        control: control.into(),
        alpha: setting.alpha,
        units: units.len(),
        mixed: *mixed,
        arms: arms
            .iter()
            .map(|arm| Arm {
                arm: arm.arm.into(),
                units: arm.units.len(),
                slates: arm.units.iter().map(|unit| unit.slates).sum(),
                per_unit: arm.per_unit().mean,
                per_slate: arm.per_slate().map(|sample| sample.mean),
            })
            .collect(),
        comparisons: arms[1..].iter().map(|arm| arm.beside(&arms[0], setting)).collect(),
        cuped: adjustment.as_ref().map(|(cuped, _)| *cuped),
        sample_ratio,
        warnings,
    })
}

fn named(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting {
        Setting { control: None, weights: BTreeMap::new(), alpha: 0.05, planned: 1000.0 }
    }

    fn world(arms: &[(&str, usize)]) -> Units {
        let unit = |arm: &str, i: usize| Unit { arm: arm.into(), reward: (i % 3) as f64, slates: 1 + i % 2, before: 0.0 };
        Units { units: arms.iter().flat_map(|(arm, n)| (0..*n).map(|i| unit(arm, i))).collect(), mixed: 0 }
    }

    #[test]
    fn control_stands_first() {
        let names = |report: Report| report.arms.into_iter().map(|arm| arm.arm).collect::<Vec<_>>();
        let units = world(&[("a", 40), ("b", 40), ("control", 40), ("d", 40)]);
        let found = report("e", &units, &setting()).unwrap();
        assert!(found.warnings.len() == 1 && found.warnings[0].contains("--alpha 0.0167"), "{:?}", found.warnings);
        assert_eq!(names(found), ["control", "a", "b", "d"]);
        let other = Setting { control: Some("b".into()), ..setting() };
        assert_eq!(names(report("e", &units, &other).unwrap()), ["b", "a", "control", "d"]);
        assert_eq!(report("e", &world(&[("x", 40), ("y", 40)]), &setting()).unwrap().control, "x");
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let fault = |units: &Units, setting: &Setting| report("e", units, setting).unwrap_err().to_string();
        assert!(fault(&world(&[]), &setting()).contains("two arms or more expected, got none"));
        assert!(fault(&world(&[("a", 9)]), &setting()).contains("got `a`"));
        assert!(fault(&world(&[("a", 9), ("b", 1)]), &setting()).contains("arm `b` has one unit"));
        let two = world(&[("a", 9), ("b", 9)]);
        assert!(
            fault(&two, &Setting { control: Some("c".into()), ..setting() })
                .contains("no unit has the arm `c`; there are `a`, `b`")
        );
        for (weights, says) in
            [(&[("a", 1.0)][..], "one above 0"), (&[("a", 1.0), ("b", 0.0)], "one above 0"), (&[("c", 1.0)], "`c`")]
        {
            let weights = weights.iter().map(|(arm, weight)| (arm.to_string(), *weight)).collect();
            assert!(fault(&two, &Setting { weights, ..setting() }).contains(says));
        }
    }

    #[test]
    fn mismatches_and_mixed_units_are_named() {
        let units = Units { mixed: 3, ..world(&[("a", 520), ("b", 390)]) };
        let found = report("e", &units, &setting()).unwrap().warnings;
        assert!(found[0].starts_with("sample ratio mismatch") && found[1].starts_with("3 units"), "{found:?}");
        let weights = [("a", 4.0), ("b", 3.0)].map(|(arm, weight)| (arm.to_owned(), weight)).into();
        assert_eq!(report("e", &world(&[("a", 520), ("b", 390)]), &Setting { weights, ..setting() }).unwrap().warnings, [""; 0]);
    }
}
