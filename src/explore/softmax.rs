//! Softmax: the higher the score, the likelier the item.

use rand_chacha::rand_core::Rng;

use super::{Candidates, Policy, unit};

/// P(i) = exp(s_i / τ) / Σ_j exp(s_j / τ), with sums over the candidates left in the pool.
///
/// Applied slot by slot, this is the Plackett–Luce model: the slate has the same distribution as the k largest of s_i /
/// τ + Gumbel noise. Yellott, The relationship between Luce's choice axiom, Thurstone's theory of comparative judgment,
/// and the double exponential distribution, 1977.
pub struct Softmax {
    temperature: f64,
    /// exp((s − best score of the pool) / τ) for each place.
    weights: Vec<f64>,
}

/// When the best weight left is smaller, weights are computed again relative to the best score left: far below the
/// best, exp underflows to 0.
const LEAST: f64 = 1e-200;

impl Softmax {
    /// A policy with the temperature τ > 0, in logits. Towards 0 it is greedy, towards infinity uniform over the pool.
    pub fn new(temperature: f64) -> Self {
        Softmax { temperature, weights: Vec::new() }
    }

    fn exp(&self, difference: f32) -> f64 {
        libm::exp(f64::from(difference) / self.temperature)
    }

    /// The places left, with their weights.
    fn weights<'a>(&'a self, candidates: &'a Candidates) -> impl Iterator<Item = (usize, f64)> + 'a {
        let best = candidates.score(candidates.best());
        let whole = candidates.has_penalties() || self.weights.get(candidates.best()).is_none_or(|weight| *weight < LEAST);
        let weight = move |place| if whole { self.exp(candidates.score(place) - best) } else { self.weights[place] };
        candidates.places().map(move |place| (place, weight(place)))
    }
}

impl Policy for Softmax {
    fn look(&mut self, candidates: &Candidates) {
        let best = candidates.score(0);
        self.weights = (0..candidates.pool().len()).map(|place| self.exp(candidates.score(place) - best)).collect();
    }

    fn draw(&mut self, candidates: &Candidates, rng: &mut dyn Rng) -> usize {
        let sum: f64 = self.weights(candidates).map(|(_, weight)| weight).sum();
        let mut rest = unit(rng) * sum;
        let mut last = candidates.best();
        for (place, weight) in self.weights(candidates).filter(|(_, weight)| *weight > 0.0) {
            if rest < weight {
                return place;
            }
            (rest, last) = (rest - weight, place);
        }
        // Only reached because the sum is rounded.
        last
    }

    fn probability(&mut self, candidates: &Candidates, place: usize) -> f64 {
        let (mut sum, mut own) = (0.0, 0.0);
        for (other, weight) in self.weights(candidates) {
            sum += weight;
            if other == place {
                own = weight;
            }
        }
        own / sum
    }
}
