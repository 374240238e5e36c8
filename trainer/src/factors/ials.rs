//! iALS: weighted matrix factorisation by alternating least squares (Hu, Koren, Volinsky, Collaborative filtering for
//! implicit feedback datasets, 2008), regularised as in Rendle, Krichene, Zhang, Koren, Revisiting the performance of
//! iALS, 2022.
//!
//! Minimises Σ_observed (u·v − 1)² + α Σ_all (u·v)² + Σ_x λ (n_x + α m) |x|² over the vectors x of users and items. n_x
//! is the number of events of x; m is the number of items if x is a user, and of users if x is an item. A visitor's
//! vector is the solution for the history, with the item vectors fixed.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::{Quality, best, users_by_item};
use crate::protocols::{Model, Query, Sequence, Split, distinct};
use crate::random::{mix, unit};

/// Dimensions of a vector if iALS is a baseline.
const DIM: usize = 64;
/// Sweeps over users and items.
const SWEEPS: usize = 12;
/// (α, λ) pairs tried on the validation part; α is the weight of an unseen item. The first pairs suit dense data, the
/// last ones suit visitors with few events among many items.
const SETTINGS: [(f64, f64); 7] =
    [(0.1, 0.03), (0.3, 0.02), (0.3, 0.01), (1.0, 0.003), (0.01, 0.02), (0.003, 0.05), (0.001, 0.05)];

/// A fitted iALS.
pub struct Ials {
    /// Vectors of the items `[items, dim]`.
    vectors: Vec<f64>,
    /// α VᵀV `[dim, dim]`.
    gram: DMatrix<f64>,
    /// α and λ.
    setting: (f64, f64),
}

impl Ials {
    /// Fits 64 dimensions with the setting that has the highest quality.
    pub fn fit(items: usize, split: &Split, quality: Quality) -> Self {
        Self::fit_on(items, split, split.fitted(), DIM, quality)
    }

    /// Chooses the setting on the split, then fits `dim` dimensions on the sequences `fitted`.
    pub fn fit_on(items: usize, split: &Split, fitted: &[Sequence], dim: usize, quality: Quality) -> Self {
        let with = |fitted: &[Sequence], setting| Self::with(items, fitted, dim, setting);
        with(fitted, best(split, &SETTINGS, quality, with))
    }

    fn with(items: usize, fitted: &[Sequence], dim: usize, setting: (f64, f64)) -> Self {
        let items_of: Vec<Vec<u32>> = fitted.iter().map(|s| distinct(&s.events)).collect();
        let users_of = users_by_item(items, &items_of);
        let start = |i: u64| unit(mix(23, i)) - 0.5;
        let mut vectors: Vec<f64> = (0..(items * dim) as u64).map(|i| 0.4 * start(i) / (dim as f64).sqrt()).collect();
        for _ in 0..SWEEPS {
            let users = solved(&items_of, &vectors, dim, setting);
            vectors = solved(&users_of, &users, dim, setting);
        }
        let gram = gram(&vectors, dim, setting.0);
        Ials { vectors, gram, setting }
    }

    /// The item vectors `[items, dim]`.
    pub fn into_vectors(self) -> Vec<f64> {
        self.vectors
    }
}

/// α XᵀX for the rows X of `vectors`; sums run in the order of the rows.
fn gram(vectors: &[f64], dim: usize, unseen: f64) -> DMatrix<f64> {
    let rows = DMatrix::from_row_slice(vectors.len() / dim, dim, vectors);
    rows.tr_mul(&rows) * unseen
}

/// Solves for all vectors of one side in parallel; none depends on another. `partners` lists, for each of them, the
/// rows of `vectors` that it has events with.
fn solved(partners: &[Vec<u32>], vectors: &[f64], dim: usize, setting: (f64, f64)) -> Vec<f64> {
    let gram = gram(vectors, dim, setting.0);
    partners.par_iter().flat_map_iter(|partners| solve(partners, vectors, &gram, setting)).collect()
}

/// Solves for one vector; `partners` are the rows of `vectors` that it has events with.
fn solve(partners: &[u32], vectors: &[f64], gram: &DMatrix<f64>, (unseen, regularisation): (f64, f64)) -> Vec<f64> {
    let dim = gram.nrows();
    let mut system = gram.clone();
    let mut wanted = DVector::zeros(dim);
    for partner in partners {
        let vector = DVector::from_column_slice(&vectors[*partner as usize * dim..][..dim]);
        system.ger(1.0, &vector, &vector, 1.0);
        wanted += vector;
    }
    let weight = regularisation * (partners.len() as f64 + unseen * (vectors.len() / dim) as f64);
    (0..dim).for_each(|k| system[(k, k)] += weight);
    // The diagonal makes the system positive definite.
    system.cholesky().map_or_else(|| vec![0.0; dim], |factor| factor.solve(&wanted).data.into())
}

impl Model for Ials {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let user = solve(&distinct(&query.history), &self.vectors, &self.gram, self.setting);
        let score = |row: &[f64]| row.iter().zip(&user).map(|(v, u)| v * u).sum::<f64>() as f32;
        self.vectors.chunks_exact(self.gram.nrows()).map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{query, sequences};
    use super::*;

    /// At the solution the gradient of the objective is zero.
    #[test]
    fn a_vector_solves_its_least_squares() {
        let vectors: Vec<f64> = (0..5 * DIM).map(|i| ((i * 37 % 101) as f64 / 101.0 - 0.5) / 4.0).collect();
        let (unseen, regularisation) = SETTINGS[1];
        let (partners, gram) = ([0, 3], gram(&vectors, DIM, unseen));
        let user = solve(&partners, &vectors, &gram, SETTINGS[1]);
        let dot = |row: usize| vectors[row * DIM..][..DIM].iter().zip(&user).map(|(v, u)| v * u).sum::<f64>();
        for k in 0..DIM {
            let mut gradient = regularisation * (2.0 + unseen * 5.0) * user[k];
            for row in 0..5 {
                let seen = if partners.contains(&(row as u32)) { dot(row) - 1.0 } else { 0.0 };
                gradient += vectors[row * DIM + k] * (seen + unseen * dot(row));
            }
            assert!(gradient.abs() < 1e-9, "{k}: {gradient}");
        }
    }

    #[test]
    fn separates_groups_of_taste() {
        let histories: Vec<&[u32]> = [&[0u32, 1, 2][..], &[3, 4, 5], &[0, 1], &[3, 5], &[1, 2], &[4, 5]].repeat(4);
        let model = Ials::with(6, &sequences(&histories), DIM, SETTINGS[0]);
        let scores = model.scores(&query(&[0, 1]));
        assert!((3..6).all(|other| scores[2] > scores[other] + 0.1), "{scores:?}");
        assert_eq!(model.scores(&query(&[])), [0.0; 6]);
    }
}
