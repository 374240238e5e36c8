//! EASE: the linear item–item model with a closed form (Steck, Embarrassingly Shallow Autoencoders, 2019).
//!
//! With P = (XᵀX + λI)⁻¹, B = −P / diag(P) with a zero diagonal; the scores of a history x are xB. "EASE-rec" weights
//! the history by recency: 0.5^(age / half-life).

use anyhow::Result;
use nalgebra::DMatrix;

use super::inverse::invert;
use super::subspace::strongest;
use super::{co_occurrence, weighted_rows};
use crate::protocols::{Model, Query, Sequence, distinct};

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
        let histories: Vec<Vec<u32>> = fitted.iter().map(|sequence| distinct(&sequence.events)).collect();
        Ok(Ease { items, weights: Ease::weights(items, &histories, LAMBDA)?, half_life })
    }

    /// B `[items, items]` from histories of items; an item that occurs again counts once.
    ///
    /// # Errors
    /// More than 20,000 items: the matrix is dense.
    pub fn weights(items: usize, histories: &[Vec<u32>], lambda: f32) -> Result<Vec<f32>> {
        let mut weights = co_occurrence(items, histories)?;
        (0..items).for_each(|i| weights[i * items + i] += lambda);
        invert(&mut weights, items)?;
        let diagonal: Vec<f32> = (0..items).map(|i| weights[i * items + i]).collect();
        for (i, row) in weights.chunks_exact_mut(items.max(1)).enumerate() {
            row.iter_mut().zip(&diagonal).for_each(|(x, d)| *x /= -d);
            row[i] = 0.0;
        }
        Ok(weights)
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
        let vectors = model.vectors(1);
        assert!(vectors.iter().all(|x| (x * x - f64::from(half)).abs() < 1e-9), "{vectors:?}");
        let decayed = Ease { half_life: Some(1.0), ..model };
        let scores = decayed.scores(&query(&[0, 1]));
        assert!((scores[1] / scores[0] * (a / b) - 0.5).abs() < 1e-5);
    }
}
