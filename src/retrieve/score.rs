//! Scores of rows for one visitor's vector.

use std::sync::Arc;

use super::Sums;
use crate::bundle::{BiasCodes, ItemFile, Lift, Lifted, Rows};
use crate::kernels::{Kernels, QuantizedQuery, dot_nibbles};

/// How many rows are scored at a time: their dot products stay in the first-level cache.
pub(super) const TILE: usize = 512;

/// Scores the rows of a bundle for one visitor's vector.
pub struct Scorer<'a> {
    pub(super) rows: &'a Rows,
    pub(super) user: &'a [f32],
    pub(super) query: QuantizedQuery,
    pub(super) kernels: &'static Kernels,
    /// 15 · Σ q over the quantized vector: the constant part of residuals, see [`crate::kernels::residual_row`].
    pub(super) half_steps: i64,
    /// How many item files take part, from the first on.
    pub(super) files: usize,
    /// The biases with a lift, if there is one.
    pub(super) lifted: Option<Arc<Lifted>>,
    /// What neighbours add to scores; none unless [`Scorer::with`] was called.
    pub(super) sums: Option<&'a Sums>,
}

impl<'a> Scorer<'a> {
    /// A scorer for a vector `[d]`.
    pub fn new(rows: &'a Rows, user: &'a [f32]) -> Self {
        let query = QuantizedQuery::new(user);
        let half_steps = 15 * query.values.iter().map(|q| i64::from(*q)).sum::<i64>();
        Scorer { rows, user, query, kernels: Kernels::best(), half_steps, files: usize::MAX, lifted: None, sums: None }
    }

    /// A scorer for a vector `[d]` that adds a lift to every score.
    pub fn lifted(rows: &'a Rows, user: &'a [f32], lift: Lift) -> Self {
        let lifted = (!lift.is_none()).then(|| rows.lifted(lift));
        Scorer { lifted, ..Scorer::new(rows, user) }
    }

    /// The same scorer, which adds the sums over neighbours to the scores of their rows.
    pub fn with(self, sums: &'a Sums) -> Self {
        Scorer { sums: Some(sums).filter(|sums| !sums.rows().is_empty()), ..self }
    }

    /// The biases in whole steps, with the lift.
    pub(super) fn bias_codes(&self) -> Option<&BiasCodes> {
        match &self.lifted {
            Some(lifted) => lifted.codes.as_ref(),
            None => self.rows.bias_codes(),
        }
    }

    /// Bias of a row, with the lift. The row is number `at` of its file.
    fn bias(&self, row: usize, file: &ItemFile, at: usize) -> f32 {
        self.lifted.as_ref().map_or_else(|| file.bias(at), |lifted| lifted.biases[row])
    }

    /// The visitor's vector `[d]`.
    pub fn vector(&self) -> &'a [f32] {
        self.user
    }

    /// The item files that take part, each with its first row.
    pub(super) fn files(&self) -> impl Iterator<Item = (usize, &'a ItemFile)> {
        self.rows.files().take(self.files)
    }

    /// Number of rows in these files.
    pub(super) fn len(&self) -> usize {
        self.rows.start(self.files)
    }

    /// Score of a row in logits, from its int8 vector and its residuals, if its file has any, with its sum over
    /// neighbours.
    ///
    /// # Panics
    /// If the row is past the end.
    pub fn score(&self, row: u32) -> f32 {
        let (file, at) = self.rows.locate(row);
        let mut dot = [0];
        self.kernels.dots(self.rows.vector(row), &self.query.values, &mut dot);
        let score = self.of(dot[0], file.residuals(at), file.scale(at), self.bias(row as usize, file, at));
        self.sums.map_or(score, |sums| score + sums.get(row))
    }

    /// Scores of all rows that take part, `[n]`, in logits.
    pub fn all(&self) -> Vec<f32> {
        let mut scores = Vec::with_capacity(self.len());
        self.each_tile(|_, tile| scores.extend_from_slice(tile));
        if self.rows.refined() {
            scores.iter_mut().zip(0..).for_each(|(score, row)| *score = self.score(row));
        } else {
            self.each_sum(|row, sum| scores[row as usize] += sum);
        }
        scores
    }

    /// Calls `then` with each row that takes part and has a sum over neighbours, and with the sum.
    fn each_sum(&self, mut then: impl FnMut(u32, f32)) {
        let sums = self.sums.into_iter().flat_map(Sums::iter).filter(|(row, _)| (*row as usize) < self.len());
        sums.for_each(|(row, sum)| then(row, sum));
    }

    /// Calls `then` for each run of rows with its first row and the scores of its rows, from int8 vectors without
    /// residuals and without sums over neighbours.
    pub(super) fn each_tile(&self, mut then: impl FnMut(u32, &[f32])) {
        let (d, mut dots, mut scores) = (self.rows.dim(), [0; TILE], [0.0; TILE]);
        for (first, file) in self.files() {
            for (tile, vectors) in file.vectors().chunks(TILE * d).enumerate() {
                let n = vectors.len() / d;
                let [scales, biases] = file.weights(tile * TILE);
                let lifted = self.lifted.as_ref().map(|lifted| &lifted.biases[first + tile * TILE..]);
                let biases = lifted.map_or(biases, bytemuck::cast_slice);
                self.kernels.dots(vectors, &self.query.values, &mut dots[..n]);
                self.kernels.scores(&dots[..n], scales, biases, self.query.scale, &mut scores[..n]);
                then((first + tile * TILE) as u32, &scores[..n]);
            }
        }
    }

    /// Calls `then` with each of the given rows, which ascend, and its score without sums over neighbours. Residuals
    /// count if `with_residuals` says so.
    pub(super) fn each_of(&self, rows: &[u32], with_residuals: bool, mut then: impl FnMut(u32, f32)) {
        let mut rest = rows;
        let (mut at, mut dots, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (first, file) in self.files() {
            let (here, after) = rest.split_at(rest.partition_point(|row| (*row as usize) < first + file.len()));
            rest = after;
            at.clear();
            at.extend(here.iter().map(|row| row - first as u32));
            dots.resize(at.len(), 0);
            // Separate loops, so that the reads of many rows far apart in memory are under way at the same time.
            weights.clear();
            weights.extend(at.iter().map(|at| {
                let at = *at as usize;
                (file.scale(at), self.bias(first + at, file, at))
            }));
            if with_residuals {
                let touched = at
                    .iter()
                    .filter_map(|at| file.residuals(*at as usize))
                    .fold(0, |sum, bytes| sum ^ bytes[0] ^ bytes[bytes.len() - 1]);
                std::hint::black_box(touched);
            }
            self.kernels.dots_at(file.vectors(), &at, &self.query.values, &mut dots);
            for ((at, dot), (scale, bias)) in at.iter().zip(&dots).zip(&weights) {
                let residuals = file.residuals(*at as usize).filter(|_| with_residuals);
                then(first as u32 + at, self.of(*dot, residuals, *scale, *bias));
            }
        }
    }

    /// For a row and the size of the parts of its score: how far residuals may move it from its int8 score, rounding
    /// included.
    pub(super) fn reach(&self) -> impl Fn(u32, f32) -> f32 + '_ {
        let size: i64 = self.query.values.iter().map(|q| i64::from(*q).abs()).sum();
        let factor = 15.0 / 32.0 * size as f32 * self.query.scale;
        move |row, size| {
            let (file, at) = self.rows.locate(row);
            let residuals = factor * file.scale(at);
            residuals + 1e-6 * (size + 2.0 * self.bias(row as usize, file, at).abs() + residuals)
        }
    }

    /// The score from an int8 dot product and residuals, if there are any.
    fn of(&self, dot: i32, residuals: Option<&[u8]>, scale: f32, bias: f32) -> f32 {
        let Some(residuals) = residuals else { return dot as f32 * scale * self.query.scale + bias };
        let sum = 32 * i64::from(dot) + 2 * i64::from(dot_nibbles(residuals, &self.query.values)) - self.half_steps;
        sum as f32 * (scale / 32.0) * self.query.scale + bias
    }
}
