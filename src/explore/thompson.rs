//! Each item as often as it may be the best.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::{Candidates, Policy, Posterior, below, normal};
use crate::bundle::Rows;
use crate::kernels::{Kernels, QuantizedQuery};

/// Draws of the visitor's vector for one slate.
pub const SAMPLES: usize = 256;

/// Thompson sampling: a slot shows the item that is best for a draw from the posterior. Chapelle and Li, An empirical evaluation of
/// Thompson sampling, 2011.
///
/// A slate has 256 draws; each slot takes one of them at random. So the share of draws that an item wins estimates the probability of the
/// policy with the standard error √(p (1 − p) / 256), and is exactly the probability of the item given the draws: inverse propensities
/// stay unbiased.
pub struct Thompson<'a> {
    rows: &'a Rows,
    /// Draws of the visitor's vector.
    visitors: Vec<QuantizedQuery>,
    /// Standard deviation of what is unknown of an item of rarity 1, and what is added to its score, in logits.
    cold: f32,
    boost: f32,
    /// Draws what is unknown of the items.
    rng: ChaCha8Rng,
    pool: Vec<u32>,
    /// Scores `[256, pool]`.
    scores: Vec<f32>,
}

impl<'a> Thompson<'a> {
    /// Policy of one slate; `rng` is a stream of its own.
    pub fn new(rows: &'a Rows, posterior: &Posterior, boost: f32, mut rng: ChaCha8Rng) -> Self {
        let visitors = (0..SAMPLES).map(|_| QuantizedQuery::new(&posterior.sample(&mut rng))).collect();
        let cold = posterior.bounds()[1] as f32;
        Thompson { rows, visitors, cold, boost, rng, pool: Vec::new(), scores: Vec::new() }
    }

    fn best(&self, sample: usize, candidates: &Candidates) -> usize {
        let scores = &self.scores[sample * self.pool.len()..][..self.pool.len()];
        candidates.best_by(|place| scores[place] - candidates.penalty(place))
    }
}

impl Policy for Thompson<'_> {
    fn look(&mut self, pool: &[u32]) {
        if self.pool == pool {
            return;
        }
        self.pool = pool.to_vec();
        let vectors: Vec<i8> = pool.iter().flat_map(|row| self.rows.vector(*row)).copied().collect();
        let weights: Vec<(f32, f32, f32)> = pool
            .iter()
            .map(|row| {
                let (file, at) = self.rows.locate(*row);
                (file.scale(at), file.bias(at), self.rows.rarities()[*row as usize])
            })
            .collect();
        let (mut rng, mut dots) = (self.rng.clone(), vec![0; pool.len()]);
        self.scores.clear();
        for visitor in &self.visitors {
            Kernels::best().dots(&vectors, &visitor.values, &mut dots);
            self.scores.extend(dots.iter().zip(&weights).map(|(dot, (scale, bias, rarity))| {
                let unknown = if self.cold * rarity > 0.0 { self.cold * normal(&mut rng) as f32 } else { 0.0 };
                *dot as f32 * scale * visitor.scale + bias + (unknown + self.boost) * rarity
            }));
        }
    }

    fn draw(&mut self, candidates: &Candidates, rng: &mut dyn Rng) -> usize {
        self.best(below(rng, SAMPLES as u64) as usize, candidates)
    }

    fn probability(&mut self, candidates: &Candidates, place: usize) -> f64 {
        (0..SAMPLES).filter(|sample| self.best(*sample, candidates) == place).count() as f64 / SAMPLES as f64
    }

    fn standard_error(&self, probability: f64) -> Option<f64> {
        Some(libm::sqrt(probability * (1.0 - probability) / SAMPLES as f64))
    }
}
