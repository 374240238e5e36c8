//! Results of the policies of a simulation, over its seeds.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Round;

/// Computes one figure of a run from its rounds.
type Figure = fn(&[Round]) -> f64;

/// Figures of a run, each with its name.
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

/// Rounds of every policy under every seed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Seeds, in the order of the runs.
    pub seeds: Vec<u64>,
    /// Name of each policy and its rounds, one list per seed. All policies are compared with the first.
    pub policies: Vec<(String, Vec<Vec<Round>>)>,
}

/// A figure over seeds, with half-widths of 95 % intervals of the means by Student's t; these are 0 with one seed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OverSeeds {
    /// Mean over the seeds.
    pub mean: f64,
    /// Half-width of the interval of `mean`.
    pub half: f64,
    /// Mean difference to the first policy, seed by seed: both have the same visitors, items and luck.
    pub diff: f64,
    /// Half-width of the interval of `diff`.
    pub diff_half: f64,
}

impl Outcome {
    /// A figure of the policy at index `policy`.
    pub fn figure(&self, policy: usize, figure: impl Fn(&[Round]) -> f64) -> OverSeeds {
        let values: Vec<f64> = self.policies[policy].1.iter().map(|rounds| figure(rounds)).collect();
        let beside = values.iter().zip(&self.policies[0].1).map(|(value, first)| value - figure(first));
        let ((mean, half), (diff, diff_half)) = (interval(&values), interval(&beside.collect::<Vec<_>>()));
        OverSeeds { mean, half, diff, diff_half }
    }

    /// Number of rounds per run.
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

/// The mean of the values, and the half-width of its 95 % interval.
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
        // The means are 2.5 and 4.5: the standard error is 1, and t with one degree of freedom is 12.706.
        assert!(
            found.mean == 3.5 && (found.half - 12.706).abs() < 1e-3 && found.diff == 1.0 && found.diff_half == 0.0,
            "{found:?}"
        );
        assert_eq!((outcome.rounds(), interval(&[2.0])), (2, (2.0, 0.0)));
        let json = serde_json::to_value(&outcome).unwrap();
        assert_eq!((&json["beside"], &json["policies"]["b"]["figures"]["last_reward"]["mean"]), (&"a".into(), &4.0.into()));
    }
}
