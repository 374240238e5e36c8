//! Experiments: which arm a unit gets. A hash decides, so no server has to keep it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::store::name_of;
use crate::error::{ErrorKind, Result, range};

/// The log line that says which arm a unit got.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Always `assignment`: tells this line from others.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name of the experiment.
    pub experiment: String,
    /// Name of the arm.
    pub arm: String,
    /// What was assigned: a visitor, a session, a household.
    pub unit: String,
    /// Milliseconds UTC, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
}

/// An experiment that compares arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Experiment<'a> {
    /// Name, 1 to 4,096 bytes, without a zero byte.
    pub name: &'a str,
    /// Names of the arms, two or more, all different.
    pub arms: &'a [String],
    /// One positive weight an arm: an arm gets the share of units that its weight has of the sum.
    pub weights: &'a [f64],
}

impl<'a> Experiment<'a> {
    /// The arm of a unit, such as a visitor. The same arguments give the same arm on every target.
    ///
    /// The first 53 bits of SHA-256(name ‖ 0 ‖ unit) are a number 0 ≤ x < 1. The arm is the first one, in the given
    /// order, whose weight plus the weights before it exceed x times the sum of all weights. Kohavi, Longbotham,
    /// Sommerfield, Henne, Controlled experiments on the web, 2009, § 4.1.
    ///
    /// # Errors
    /// `argument` for fewer than two arms, two arms of the same name, a name that is empty or longer than 4,096 bytes,
    /// or a zero byte in the name of the experiment; `range` for weights that are not positive or whose sum is not
    /// finite.
    pub fn arm(&self, unit: &str) -> Result<&'a str> {
        let Experiment { name: experiment, arms, weights } = *self;
        name_of(experiment, "experiment.name")?;
        name_of(unit, "experiment.unit")?;
        arms.iter().try_for_each(|name| name_of(name, "experiment.arms"))?;
        // A loop, because `collect` would bring the code of a sort into the module.
        let mut names = BTreeSet::new();
        let alike = !arms.iter().all(|name| names.insert(name.as_str()));
        if arms.len() < 2 || arms.len() != weights.len() || alike || experiment.contains('\0') {
            return Err(ErrorKind::Argument("expected two arms or more, of different names".into()).at("experiment"));
        }
        let sum: f64 = weights.iter().sum();
        if !(weights.iter().all(|weight| *weight > 0.0) && sum.is_finite()) {
            return Err(range("positive finite weights", "others").at("experiment.arms"));
        }
        let hash = Sha256::digest([experiment.as_bytes(), &[0], unit.as_bytes()].concat().as_slice());
        let bits = hash[..7].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)) >> 3;
        let place = bits as f64 / (1u64 << 53) as f64 * sum;
        let mut upto = 0.0;
        let passed = weights.iter().take_while(|weight| {
            upto += **weight;
            upto <= place
        });
        // x is below 1, but the sum is rounded.
        Ok(&arms[passed.count().min(arms.len() - 1)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(experiment: &str, unit: &str, arms: &[(&str, f64)]) -> Result<String> {
        let (arms, weights): (Vec<String>, Vec<f64>) = arms.iter().map(|(arm, weight)| (arm.to_string(), *weight)).unzip();
        Experiment { name: experiment, arms: &arms, weights: &weights }.arm(unit).map(Into::into)
    }

    /// `assignments.py` beside the fixture computed the arms without this crate.
    #[test]
    fn arms_are_those_of_the_fixture() {
        let rows: Vec<serde_json::Value> = serde_json::from_str(include_str!("../../tests/fixtures/assignments.json")).unwrap();
        assert!(rows.len() > 40);
        for row in rows {
            let arms: Vec<(String, f64)> = serde_json::from_value(row["arms"].clone()).unwrap();
            let arms: Vec<(&str, f64)> = arms.iter().map(|(arm, weight)| (arm.as_str(), *weight)).collect();
            let [name, unit, arm] = ["name", "unit", "arm"].map(|key| row[key].as_str().unwrap());
            assert_eq!(given(name, unit, &arms).unwrap(), arm, "{row}");
        }
    }

    /// Arms get the shares of their weights, and two experiments split the units independently: within five standard
    /// errors of 20,000 units.
    #[test]
    fn shares_follow_the_weights() {
        let count = |first: &str, of_second: Option<&str>| {
            let units = (0..20_000).map(|unit| unit.to_string());
            let all =
                units.filter(|unit| of_second.is_none_or(|arm| given("two", unit, &[("a", 1.0), ("b", 1.0)]).unwrap() == arm));
            let (mut hits, mut n) = (0.0, 0.0);
            for unit in all {
                hits += f64::from(u8::from(given("one", &unit, &[("a", 3.0), ("b", 0.5), ("c", 6.5)]).unwrap() == first));
                n += 1.0;
            }
            (hits / n, n)
        };
        for (name, share) in [("a", 0.3), ("b", 0.05), ("c", 0.65)] {
            for second in [None, Some("a"), Some("b")] {
                let (found, n) = count(name, second);
                assert!((found - share).abs() < 5.0 * libm::sqrt(share * (1.0 - share) / n), "{name}: {found}");
            }
        }
    }

    #[test]
    fn wrong_experiments_are_refused() {
        let two = [("a", 1.0), ("b", 1.0)];
        let long = "x".repeat(4097);
        let code = |experiment: &str, unit: &str, arms: &[(&str, f64)]| given(experiment, unit, arms).map_err(|e| e.code());
        assert!(code("e", "u", &two).is_ok() && code("e", "u\0", &two).is_ok() && code(&long[1..], "u", &two).is_ok());
        for (experiment, unit) in [("", "u"), ("e", ""), (&long, "u"), ("e", &long), ("e\0", "u")] {
            assert_eq!(code(experiment, unit, &two), Err("argument"));
        }
        for arms in [&[] as &[(&str, f64)], &two[..1], &[("a", 1.0), ("", 1.0)], &[("a", 1.0), ("a", 1.0)]] {
            assert_eq!(code("e", "u", arms), Err("argument"));
        }
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MAX] {
            assert_eq!(code("e", "u", &[("a", weight), ("b", f64::MAX)]), Err("range"));
        }
    }
}
