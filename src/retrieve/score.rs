//! The score of a row for one visitor's vector.

use crate::bundle::{ItemFile, Rows};
use crate::kernels::{Kernels, QuantizedQuery, dot_nibbles};

/// Rows that are scored in one go: their integers stay in the nearest cache.
pub(super) const TILE: usize = 512;

/// A visitor's vector against the rows of a bundle.
pub struct Scorer<'a> {
    pub(super) rows: &'a Rows,
    pub(super) user: &'a [f32],
    pub(super) query: QuantizedQuery,
    pub(super) kernels: &'static Kernels,
    /// 15 · Σ q.
    pub(super) half_steps: i64,
}

impl<'a> Scorer<'a> {
    /// For a vector `[d]`.
    pub fn new(rows: &'a Rows, user: &'a [f32]) -> Self {
        let query = QuantizedQuery::new(user);
        let half_steps = 15 * query.values.iter().map(|q| i64::from(*q)).sum::<i64>();
        Scorer { rows, user, query, kernels: Kernels::best(), half_steps }
    }

    /// Score of a row, in logits: of its int8 numbers and, where the file has them, of its residuals.
    ///
    /// # Panics
    /// If the row is past the end.
    pub fn score(&self, row: u32) -> f32 {
        let (file, at) = self.rows.locate(row);
        let mut dot = [0];
        self.kernels.dots(self.rows.vector(row), &self.query.values, &mut dot);
        self.refined(file, at, dot[0], file.scale(at), file.bias(at))
    }

    /// Scores of all rows `[n]`, in logits.
    pub fn all(&self) -> Vec<f32> {
        let mut scores = Vec::with_capacity(self.rows.len());
        self.each(|_, score| scores.push(score));
        scores
    }

    /// Calls with every row and its score, in the order of rows.
    pub(super) fn each(&self, mut then: impl FnMut(u32, f32)) {
        let (d, mut dots) = (self.rows.dim(), [0; TILE]);
        for (first, file) in self.rows.files() {
            for (tile, vectors) in file.vectors().chunks(TILE * d).enumerate() {
                let start = tile * TILE;
                let dots = &mut dots[..vectors.len() / d];
                self.kernels.dots(vectors, &self.query.values, dots);
                for ((at, dot), (scale, bias)) in (start..).zip(dots).zip(file.weights(start)) {
                    then((first + at) as u32, self.refined(file, at, *dot, scale, bias));
                }
            }
        }
    }

    /// The score that a row's int8 numbers alone give.
    pub(super) fn coarse(&self, dot: i32, scale: f32, bias: f32) -> f32 {
        dot as f32 * scale * self.query.scale + bias
    }

    fn refined(&self, file: &ItemFile, at: usize, dot: i32, scale: f32, bias: f32) -> f32 {
        let Some(residuals) = file.residuals(at) else { return self.coarse(dot, scale, bias) };
        let sum = 32 * i64::from(dot) + 2 * i64::from(dot_nibbles(residuals, &self.query.values)) - self.half_steps;
        sum as f32 * (scale / 32.0) * self.query.scale + bias
    }
}
