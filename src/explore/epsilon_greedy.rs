//! The best candidate, but now and then any.

use rand_chacha::rand_core::Rng;

use super::{Candidates, Draw, Policy, below, unit};
use crate::error::Result;
use crate::features::shortest;

/// With probability ε a uniform draw over all n candidates, the best included, else the best.
///
/// P(best) = 1 − ε + ε/n, P(any other) = ε/n. Sutton and Barto, Reinforcement Learning, 2018, section 2.2.
pub struct EpsilonGreedy {
    epsilon: f64,
}

impl EpsilonGreedy {
    /// `epsilon` 0 is greedy; 1 is uniform over the whole allowed catalog.
    ///
    /// # Errors
    /// `range` outside 0..=1.
    pub fn new(epsilon: f64) -> Result<Self> {
        if (0.0..=1.0).contains(&epsilon) {
            Ok(EpsilonGreedy { epsilon })
        } else {
            Err(crate::bundle::range("0 to 1", if epsilon.is_finite() { shortest(epsilon) } else { "no number".into() })
                .at("explore.epsilon"))
        }
    }
}

impl Policy for EpsilonGreedy {
    fn name(&self) -> &'static str {
        "epsilon-greedy"
    }

    fn draw(&self, candidates: &Candidates, rng: &mut dyn Rng) -> Draw {
        let n = candidates.len();
        let best = candidates.best();
        // Two draws a slot, always: later slots do not depend on what this one came to.
        let (explores, any) = (unit(rng) < self.epsilon, below(rng, n as u64));
        let row = if explores { candidates.nth(any as usize).unwrap_or(best) } else { best };
        let share = self.epsilon / n as f64;
        Draw { row, propensity: if row == best { 1.0 - self.epsilon + share } else { share } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::{Greedy, decision_rng};
    use crate::retrieve::{Bitmap, top_k};
    use crate::slate::build;

    const SCORES: [f32; 6] = [0.5, 2.0, 2.0, -1.0, 0.0, 7.0];

    fn allowed() -> Bitmap {
        let mut rows = Bitmap::full(SCORES.len());
        rows.remove(5);
        rows
    }

    fn candidates() -> Candidates {
        Candidates::new(top_k(&SCORES, &allowed(), 5), allowed())
    }

    fn draws(epsilon: f64, seed: u64) -> Vec<Draw> {
        build(candidates(), 5, &EpsilonGreedy::new(epsilon).unwrap(), &mut decision_rng(seed, "d"))
    }

    #[test]
    fn zero_is_greedy_and_out_of_range_is_refused() {
        let greedy = build(candidates(), 5, &Greedy, &mut decision_rng(1, "d"));
        assert_eq!(greedy.iter().map(|d| d.row).collect::<Vec<_>>(), [1, 2, 0, 4, 3]);
        assert_eq!(draws(0.0, 3), greedy);
        for bad in [-0.1, 1.1, f64::NAN] {
            assert_eq!(EpsilonGreedy::new(bad).err().unwrap().code(), "range");
        }
    }

    /// Chi-square of the observed counts of all pairs (first slot, second slot) against the stated propensities.
    #[test]
    fn frequencies_fit_the_propensities() {
        let (epsilon, seeds) = (0.3, 20_000);
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..seeds {
            let slate = draws(epsilon, seed);
            let entry = counts.entry((slate[0].row, slate[1].row)).or_insert((0u32, slate[0].propensity * slate[1].propensity));
            entry.0 += 1;
            assert!((entry.1 - slate[0].propensity * slate[1].propensity).abs() < 1e-15);
        }
        assert_eq!(counts.len(), 20);
        assert!((counts.values().map(|c| c.1).sum::<f64>() - 1.0).abs() < 1e-12);
        let chi: f64 =
            counts.values().map(|(got, p)| libm::pow(f64::from(*got) - p * seeds as f64, 2.0) / (p * seeds as f64)).sum();
        // 19 degrees of freedom: the 99.9th percentile is 43.8.
        assert!(chi < 43.8, "chi-square {chi}");
    }
}
