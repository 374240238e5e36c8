//! EASE: the linear item–item model with a closed form (Steck, Embarrassingly Shallow Autoencoders, 2019).
//!
//! With P = (XᵀX + λI)⁻¹, B = −P / diag(P) with a zero diagonal; the scores of a history x are xB. "EASE-rec" weights
//! the history by recency: 0.5^(age / half-life).

use anyhow::Result;
use nalgebra::DMatrix;

use super::inverse::invert;
use super::subspace::strongest;
use super::svd::Svd;
use super::{co_occurrence, padded, weighted_rows};
use crate::ops::{Op, matmul};
use crate::protocols::{Model, Query, Sequence};

/// λ, for EASE and for EASE-rec.
const LAMBDA: f32 = 400.0;

/// A fitted EASE.
pub struct Ease {
    items: usize,
    /// B `[items, items]`.
    weights: Vec<f32>,
    /// Number of events after which an item counts half; with `None` all items count alike.
    half_life: Option<f32>,
}

impl Ease {
    /// Learns B from the items of each sequence. With a `half_life`, in events, the scores are those of EASE-rec.
    ///
    /// # Errors
    /// More than 20,000 items: the matrix is dense.
    pub fn fit(items: usize, fitted: &[Sequence], half_life: Option<f32>) -> Result<Self> {
        let mut weights = co_occurrence(items, fitted)?;
        (0..items).for_each(|i| weights[i * items + i] += LAMBDA);
        invert(&mut weights, items)?;
        let diagonal: Vec<f32> = (0..items).map(|i| weights[i * items + i]).collect();
        for (i, row) in weights.chunks_exact_mut(items).enumerate() {
            row.iter_mut().zip(&diagonal).for_each(|(x, d)| *x /= -d);
            row[i] = 0.0;
        }
        Ok(Ease { items, weights, half_life })
    }

    /// A low-rank form: y and z, each `[items, rank]`. The score of item j is about Σ y_i · z_j over the items i of the
    /// history.
    ///
    /// The rows of y are the items in the strongest directions of the user–item matrix, and z = Bᵀy. Dimensions beyond
    /// the number of items are 0.
    ///
    /// # Errors
    /// Same errors as [`Ease::fit`].
    pub fn parts(items: usize, fitted: &[Sequence], rank: usize) -> Result<[Vec<f64>; 2]> {
        let weights = Ease::fit(items, fitted, None)?.weights;
        let directions = Svd::with(items, fitted, rank).vectors();
        let known = rank.min(items);
        let narrow: Vec<f32> = directions.iter().map(|y| *y as f32).collect();
        let mut found = vec![0.0; items * known];
        matmul([items, items, known], (&weights, Op::Transposed), (&narrow, Op::Plain), 0.0, &mut found);
        let found: Vec<f64> = found.into_iter().map(f64::from).collect();
        Ok([directions, found].map(|part| padded(&part, known, rank)))
    }

    /// Vectors `[items, rank]` whose dot products come closest to (B + Bᵀ) / 2: its strongest eigenvectors, each times
    /// the root of its eigenvalue. Directions with negative eigenvalues are 0.
    pub fn vectors(&self, rank: usize) -> Vec<f64> {
        let weights = DMatrix::from_row_slice(self.items, self.items, &self.weights).cast::<f64>();
        let symmetric = (&weights + weights.transpose()) * 0.5;
        let (mut vectors, values) = strongest(self.items, rank.min(self.items), |x| &symmetric * x);
        for (mut column, value) in vectors.column_iter_mut().zip(values) {
            column *= value.max(0.0).sqrt();
        }
        vectors.transpose().data.into()
    }
}

impl Model for Ease {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let weight = |age: usize| self.half_life.map_or(1.0, |half_life| (0.5f32).powf(age as f32 / half_life));
        weighted_rows(&self.weights, self.items, query, weight)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{query, sequences};
    use super::*;

    #[test]
    fn is_the_closed_form_of_two_items() {
        // XᵀX + λI = [[a, c], [c, b]]: P₁₂ / P₂₂ = −c / a.
        let model = Ease::fit(2, &sequences(&[&[0, 1], &[0]]), None).unwrap();
        let (a, b) = (LAMBDA + 2.0, LAMBDA + 1.0);
        assert!((model.weights[1] - 1.0 / a).abs() < 1e-8 && (model.weights[2] - 1.0 / b).abs() < 1e-8);
        assert_eq!((model.weights[0], model.weights[3]), (0.0, 0.0));
        // The only positive eigenvalue is the mean weight, with the direction (1, 1) / √2.
        let half = (1.0 / a + 1.0 / b) / 4.0;
        // With all directions nothing is lost: y_0 · z_1 is B₀₁, however many dimensions are requested.
        let [y, z] = Ease::parts(2, &sequences(&[&[0, 1], &[0]]), 3).unwrap();
        let product = |i: usize, j: usize| (0..3).map(|k| y[3 * i + k] * z[3 * j + k]).sum::<f64>();
        assert!((product(0, 1) - f64::from(model.weights[1])).abs() < 1e-8 && product(0, 0).abs() < 1e-8);
        let vectors = model.vectors(1);
        assert!(vectors.iter().all(|x| (x * x - f64::from(half)).abs() < 1e-9), "{vectors:?}");
        let decayed = Ease { half_life: Some(1.0), ..model };
        let scores = decayed.scores(&query(&[0, 1]));
        assert!((scores[1] / scores[0] * (a / b) - 0.5).abs() < 1e-5);
    }
}
