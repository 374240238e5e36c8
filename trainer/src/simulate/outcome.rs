//! What the policies of a simulation have come to, over its seeds.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Round;

/// A figure of one run, told from its rounds.
type Figure = fn(&[Round]) -> f64;

/// Figures of a run, by name.
pub const FIGURES: [(&str, Figure); 8] = [
    ("reward", |rounds| rounds.iter().map(|r| r.reward).sum::<f64>() / rounds.len().max(1) as f64),
    ("last_reward", |rounds| last(rounds).reward),
    ("cumulative_regret", |rounds| last(rounds).cumulative_regret),
    ("coverage", |rounds| last(rounds).coverage),
    ("gini", |rounds| last(rounds).gini),
    ("long_tail", |rounds| last(rounds).long_tail),
    ("discovery", |rounds| last(rounds).discovery),
    ("homogeneity", |rounds| last(rounds).homogeneity),
];

fn last(rounds: &[Round]) -> Round {
    rounds.last().copied().unwrap_or_default()
}

/// Rounds of every policy and seed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Seeds, in the order of the runs.
    pub seeds: Vec<u64>,
    /// Policies, with the rounds of each seed; others are set beside the first.
    pub policies: Vec<(String, Vec<Vec<Round>>)>,
}

/// A figure over seeds. A half is half of the 95 % interval of a mean, by Student's t; 0 of one seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OverSeeds {
    /// Mean.
    pub mean: f64,
    /// Its half.
    pub half: f64,
    /// Mean difference to the first policy, seed by seed: the same visitors, items and luck.
    pub diff: f64,
    /// Its half.
    pub diff_half: f64,
}

impl Outcome {
    /// A figure of a policy, by its place.
    pub fn figure(&self, policy: usize, figure: impl Fn(&[Round]) -> f64) -> OverSeeds {
        let values: Vec<f64> = self.policies[policy].1.iter().map(|rounds| figure(rounds)).collect();
        let beside = values.iter().zip(&self.policies[0].1).map(|(value, first)| value - figure(first));
        let ((mean, half), (diff, diff_half)) = (interval(&values), interval(&beside.collect::<Vec<_>>()));
        OverSeeds { mean, half, diff, diff_half }
    }

    /// Rounds of a run.
    pub fn rounds(&self) -> usize {
        self.policies.first().and_then(|(_, runs)| runs.first()).map_or(0, Vec::len)
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let policies: serde_json::Map<_, _> = (0..self.policies.len())
            .map(|policy| {
                let figures: serde_json::Map<_, _> = FIGURES
                    .map(|(name, figure)| (name.to_owned(), serde_json::json!(self.figure(policy, figure))))
                    .into_iter()
                    .collect();
                let (name, runs) = &self.policies[policy];
                (name.clone(), serde_json::json!({ "figures": figures, "rounds": runs }))
            })
            .collect();
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("seeds", &self.seeds)?;
        map.serialize_entry("beside", &self.policies.first().map(|(name, _)| name))?;
        map.serialize_entry("policies", &policies)?;
        map.end()
    }
}

/// The mean of some values, and half of its 95 % interval.
fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let half = StudentsT::new(0.0, 1.0, n - 1.0).map_or(0.0, |t| {
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
        t.inverse_cdf(0.975) * (variance / n).sqrt()
    });
    (mean, half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_over_seeds() {
        let run = |rewards: &[f64]| rewards.iter().map(|r| Round { reward: *r, ..Round::default() }).collect::<Vec<_>>();
        let policies =
            vec![("a".into(), vec![run(&[1.0, 2.0]), run(&[3.0, 4.0])]), ("b".into(), vec![run(&[2.0, 3.0]), run(&[4.0, 5.0])])];
        let outcome = Outcome { seeds: vec![0, 1], policies };
        let found = outcome.figure(1, FIGURES[0].1);
        // Means 2.5 and 4.5: a standard error of 1, and t of one degree of freedom is 12.706.
        assert!(
            found.mean == 3.5 && (found.half - 12.706).abs() < 1e-3 && found.diff == 1.0 && found.diff_half == 0.0,
            "{found:?}"
        );
        assert_eq!((outcome.rounds(), interval(&[2.0])), (2, (2.0, 0.0)));
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!((&json["beside"], &json["policies"]["b"]["figures"]["last_reward"]["mean"]), (&"a".into(), &4.0.into()));
    }
}
