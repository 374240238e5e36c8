//! PureSVD: projects the history on the strongest directions of the user–item matrix (Cremonesi, Koren, Turrin, 2010).
//!
//! The binary matrix X ≈ U Σ Vᵀ; the scores of a history x are x V Vᵀ.

use nalgebra::DMatrix;

use super::subspace::strongest;
use super::{Quality, chosen};
use crate::protocols::{Model, Query, Sequence, Split, distinct};

/// Ranks tried on the validation part.
const RANKS: [usize; 3] = [64, 32, 16];

/// A fitted PureSVD.
pub struct Svd {
    /// V `[items, rank]`.
    directions: DMatrix<f64>,
}

impl Svd {
    /// Fits with the rank that has the highest quality.
    pub fn fit(items: usize, split: &Split, quality: Quality) -> Self {
        chosen(split, &RANKS, quality, |fitted, rank| Self::with(items, fitted, rank))
    }

    /// Fits with `rank` directions, at most one per item.
    pub fn with(items: usize, fitted: &[Sequence], rank: usize) -> Self {
        let items_of: Vec<Vec<u32>> = fitted.iter().map(|s| distinct(&s.events)).collect();
        // The columns of V are eigenvectors of XᵀX.
        let times = |basis: &DMatrix<f64>| back(&items_of, &projected(&items_of, basis), items);
        Svd { directions: strongest(items, rank.min(items), times).0 }
    }

    /// The directions V `[items, rank]`, row-major.
    pub fn vectors(&self) -> Vec<f64> {
        self.directions.transpose().data.into()
    }
}

/// X B `[users, width]`.
fn projected(items_of: &[Vec<u32>], basis: &DMatrix<f64>) -> DMatrix<f64> {
    DMatrix::from_fn(items_of.len(), basis.ncols(), |user, column| {
        items_of[user].iter().map(|item| basis[(*item as usize, column)]).sum()
    })
}

/// Xᵀ A `[items, width]`.
fn back(items_of: &[Vec<u32>], of_users: &DMatrix<f64>, items: usize) -> DMatrix<f64> {
    let mut out = DMatrix::zeros(items, of_users.ncols());
    for (user, items) in items_of.iter().enumerate() {
        for item in items {
            (0..of_users.ncols()).for_each(|column| out[(*item as usize, column)] += of_users[(user, column)]);
        }
    }
    out
}

impl Model for Svd {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let mut user = vec![0.0; self.directions.ncols()];
        for item in distinct(&query.history) {
            user.iter_mut().zip(self.directions.row(item as usize).iter()).for_each(|(u, v)| *u += v);
        }
        let score = |row: usize| self.directions.row(row).iter().zip(&user).map(|(v, u)| v * u).sum::<f64>() as f32;
        (0..self.directions.nrows()).map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{query, sequences};
    use super::*;

    /// With as many directions as items nothing is lost: a history projects on itself.
    #[test]
    fn the_directions_are_those_of_the_matrix() {
        let model = Svd::with(3, &sequences(&[&[0, 1], &[1, 2], &[2]]), 3);
        for (a, b) in model.scores(&query(&[0, 2])).iter().zip([1.0, 0.0, 1.0]) {
            assert!((a - b).abs() < 1e-5);
        }
        // If all users have the same items, one direction holds them all, with equal weights.
        let all: Vec<u32> = (0..60).collect();
        let histories: Vec<&[u32]> = vec![&all[..40]; 30];
        let scores = Svd::with(60, &sequences(&histories), 1).scores(&query(&[0]));
        assert!(scores[..40].iter().all(|s| (s - 1.0 / 40.0).abs() < 1e-5), "{scores:?}");
    }
}
