//! Thompson sampling: each item is shown as often as it may be the best one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::candidates::best_of;
use super::random::nearly_normal;
use super::{Candidates, Policy, Posterior, below};
use crate::bundle::Rows;
use crate::kernels::{Kernels, QuantizedQuery};

/// Number of draws of the visitor's vector for one slate.
pub const SAMPLES: usize = 128;

/// Gives rows their scores, in logits.
pub type ScoresOf<'a> = dyn Fn(&[u32]) -> Vec<f32> + 'a;

/// To what the product of a drawn vector with that of an item is added.
pub enum Base<'a> {
    /// What the visitor's vector does not change: biases, and sums over neighbours.
    Biases(Box<ScoresOf<'a>>),
    /// Scores at the mean of the posterior, those of a ranker: the product with the mean is taken off.
    Scores(&'a ScoresOf<'a>),
}

/// Thompson sampling: a slot shows the item that is best for a draw of the visitor's vector from the posterior.
/// Chapelle and Li, An empirical evaluation of Thompson sampling, 2011.
///
/// The unknown part of each item itself is drawn too, independently and almost normal.
///
/// A slate has 128 draws, and each slot takes one of them at random. So the share of draws in which an item is best is
/// exactly its probability given the draws, and inverse propensities stay unbiased. It also estimates the probability
/// of the policy, with the standard error √(p (1 − p) / 128).
pub struct Thompson<'a> {
    rows: &'a Rows,
    posterior: &'a Posterior,
    base: Base<'a>,
    /// Added to a score for each unit of rarity, in logits.
    boost: f32,
    /// Stream i + 1 of it draws sample i.
    rng: ChaCha8Rng,
    pool: Vec<u32>,
    /// int8 rows of the pool, `[pool, d]`.
    vectors: Vec<i8>,
    /// Scale, base, and rarity of each row of the pool.
    weights: Vec<[f32; 3]>,
    /// Scores `[pool]` of each sample. Computed when needed, because drawing a slate needs few samples and its
    /// propensities need all.
    scores: Vec<Vec<f32>>,
    /// The best place of each sample in the slot before.
    winners: Vec<usize>,
}

impl<'a> Thompson<'a> {
    /// The policy for one slate. `rng` is a stream that nothing else draws from.
    pub fn new(rows: &'a Rows, posterior: &'a Posterior, base: Base<'a>, boost: f32, rng: ChaCha8Rng) -> Self {
        let (pool, vectors, weights, scores, winners) = Default::default();
        Thompson { rows, posterior, base, boost, rng, pool, vectors, weights, scores, winners }
    }

    /// The best place for a sample. `left` has the places left with their penalties.
    fn best(&mut self, sample: usize, left: &[(usize, f32)]) -> usize {
        if self.scores[sample].is_empty() {
            self.scores[sample] = self.scores_of(sample);
        }
        let scores = &self.scores[sample];
        best_of(left.iter().map(|(place, penalty)| (*place, scores[*place] - penalty))).unwrap_or_default()
    }

    fn scores_of(&self, sample: usize) -> Vec<f32> {
        let mut rng = self.rng.clone();
        rng.set_stream(sample as u64 + 1);
        let (dots, visitor) = self.products(&self.posterior.sample(&mut rng));
        let cold = self.posterior.bounds()[1] as f32;
        let score = |(dot, [scale, base, rarity]): (i32, &[f32; 3])| {
            let unknown = if cold > 0.0 { cold * nearly_normal(&mut rng) } else { 0.0 };
            dot as f32 * scale * visitor + base + (unknown + self.boost) * rarity
        };
        dots.into_iter().zip(&self.weights).map(score).collect()
    }

    /// The products of a vector with the int8 rows of the pool, and the scale of the vector.
    fn products(&self, vector: &[f32]) -> (Vec<i32>, f32) {
        let query = QuantizedQuery::new(vector);
        let mut dots = vec![0; self.pool.len()];
        Kernels::best().dots(&self.vectors, &query.values, &mut dots);
        (dots, query.scale)
    }
}

impl Policy for Thompson<'_> {
    fn look(&mut self, candidates: &Candidates) {
        self.winners.clear();
        if candidates.pool().eq(self.pool.iter().copied()) {
            return;
        }
        self.pool = candidates.pool().collect();
        self.vectors = self.rows.gather(&self.pool);
        let weight = |(row, base): (&u32, f32)| {
            let (file, at) = self.rows.locate(*row);
            [file.scale(at), base, self.rows.rarities()[*row as usize]]
        };
        let base = match &self.base {
            Base::Biases(base) => base(&self.pool),
            Base::Scores(base) => base(&self.pool),
        };
        self.weights = self.pool.iter().zip(base).map(weight).collect();
        if let Base::Scores(_) = self.base {
            let (dots, mean) = self.products(self.posterior.mean());
            self.weights.iter_mut().zip(dots).for_each(|([scale, base, _], dot)| *base -= dot as f32 * *scale * mean);
        }
        self.scores = vec![Vec::new(); SAMPLES];
    }

    fn draw(&mut self, candidates: &Candidates, rng: &mut dyn Rng) -> usize {
        self.best(below(rng, SAMPLES as u64) as usize, &left(candidates))
    }

    fn probability(&mut self, candidates: &Candidates, place: usize) -> f64 {
        let left = left(candidates);
        let mut winners = std::mem::take(&mut self.winners);
        winners.resize(SAMPLES, usize::MAX);
        for (sample, winner) in winners.iter_mut().enumerate() {
            // The winner stays the winner while its row is left and no place has a penalty.
            if candidates.has_penalties() || !candidates.is_left(*winner) {
                *winner = self.best(sample, &left);
            }
        }
        let wins = winners.iter().filter(|winner| **winner == place).count();
        self.winners = winners;
        wins as f64 / SAMPLES as f64
    }

    fn standard_error(&self, probability: f64) -> Option<f64> {
        Some(libm::sqrt(probability * (1.0 - probability) / SAMPLES as f64))
    }
}

fn left(candidates: &Candidates) -> Vec<(usize, f32)> {
    candidates.places().map(|place| (place, candidates.penalty(place))).collect()
}
