//! A linear model whose scores are added to the towers': EASE, reduced to its strongest directions (Steck,
//! Embarrassingly Shallow Autoencoders, 2019).
//!
//! It takes r extra dimensions of every vector. There the visitor's vector is Σ y_i over the events of the history and
//! the row of item j is z_j, so the model adds Σ y_i · z_j to the score of j.

use super::CatalogRows;
use crate::onnx::{Attribute, GraphBuilder, Value};

/// The low-rank factors y and z of the model, with one row for each item.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// r, the number of dimensions.
    pub dim: usize,
    /// y `[n, r]`: what an item adds to the visitor's vector.
    pub inputs: Vec<f32>,
    /// z `[n, r]`: the score of an item is the product of its row with the visitor's vector.
    pub rows: Vec<f32>,
}

impl Linear {
    /// A model that adds nothing to any score.
    pub fn zeros(dim: usize, items: usize) -> Linear {
        Linear { dim, inputs: vec![0.0; items * dim], rows: vec![0.0; items * dim] }
    }

    /// A model from y and z `[n, r]` whose scores are multiplied by `share`.
    ///
    /// y is scaled to the standard deviation of the towers' vectors `beside`, so that one int8 scale fits both parts of
    /// a row. z is divided by the same factor, which leaves the scores as they are.
    pub fn new(dim: usize, [y, z]: &[Vec<f64>; 2], share: f64, beside: &[f32]) -> Linear {
        let spread = |squares: f64, n: usize| libm::sqrt(squares / n.max(1) as f64);
        let own = spread(y.iter().map(|y| y * y).sum(), y.len());
        let wanted = spread(beside.iter().map(|x| f64::from(*x) * f64::from(*x)).sum(), beside.len());
        let scale = if own > 0.0 && wanted > 0.0 { wanted / own } else { 1.0 };
        let scaled = |numbers: &[f64], by: f64| numbers.iter().map(|x| (x * by) as f32).collect();
        Linear { dim, inputs: scaled(y, scale), rows: scaled(z, share / scale) }
    }

    /// Σ y over rows of the catalog: `[r]`.
    pub fn vector(&self, history: &[u32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.dim];
        for row in history {
            sum.iter_mut().zip(&self.inputs[*row as usize * self.dim..]).for_each(|(sum, y)| *sum += y);
        }
        sum
    }

    /// Adds this model's scores for a visitor's [`Linear::vector`] to the scores `[n]` of all rows.
    pub fn add_to(&self, scores: &mut [f32], vector: &[f32]) {
        for (score, z) in scores.iter_mut().zip(self.rows.chunks_exact(self.dim)) {
            *score += z.iter().zip(vector).map(|(z, u)| z * u).sum::<f32>();
        }
    }

    /// Widens the rows of a catalog from `[n, d]` to `[n, d + r]` by appending this model's rows.
    pub fn beside(&self, towers: CatalogRows) -> CatalogRows {
        let d = towers.vectors.len() / towers.biases.len().max(1);
        let join = |own: &[f32], added: &[f32]| -> Vec<f32> {
            let pairs = own.chunks_exact(d).zip(added.chunks_exact(self.dim));
            pairs.flat_map(|(own, added)| own.iter().chain(added)).copied().collect()
        };
        CatalogRows {
            vectors: join(&towers.vectors, &self.rows),
            inputs: Some(join(towers.read(), &self.inputs)),
            biases: towers.biases,
        }
    }

    /// Splits `vectors` `[batch, L, d + r]` into the part that the tower reads, `[batch, L, d]`, and the masked sum of
    /// the rest, `[batch, r]`.
    pub(super) fn user_onnx(&self, g: &mut GraphBuilder, d: usize, vectors: &Value, mask: &Value) -> [Value; 2] {
        let mut part = |name: &str, from: usize, len: usize| {
            let places: Vec<i64> = (from..from + len).map(|i| i as i64).collect();
            let places = g.constant_i64(name, &[len], &places);
            g.node("Gather", &[vectors, &places], &[("axis", Attribute::Int(2))])
        };
        let (own, added) = (part("linear.own", 0, d), part("linear.added", d, self.dim));
        let middle = g.constant_i64("linear.middle", &[1], &[1]);
        let mask = g.node("Unsqueeze", &[mask, &middle], &[]);
        let sum = g.node("MatMul", &[&mask, &added], &[]);
        [own, g.node("Squeeze", &[&sum, &middle], &[])]
    }

    /// Concatenates `own` `[batch, d]` with the rows of `table` `[n, r]` for the items `id`: `[batch, d + r]`. An
    /// unknown item gets zeros.
    pub(super) fn item_onnx(&self, g: &mut GraphBuilder, name: &str, own: &Value, table: &[f32], id: &Value) -> Value {
        let with_unknown = [&vec![0.0; self.dim], table].concat();
        let table = g.constant_f32(name, &[with_unknown.len() / self.dim, self.dim], &with_unknown);
        let added = g.node("Gather", &[&table, id], &[("axis", Attribute::Int(0))]);
        g.node("Concat", &[own, &added], &[("axis", Attribute::Int(1))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_grow_by_the_share() {
        let parts = [vec![1.0, 0.0, 0.0, 3.0], vec![2.0, 1.0, -1.0, 4.0]];
        let linear = Linear::new(2, &parts, 0.5, &[0.1, -0.1]);
        let mut scores = [1.0, 1.0];
        linear.add_to(&mut scores, &linear.vector(&[0, 1]));
        // Σ y = (1, 3), so the scores are half of 2 + 3 and half of −1 + 12.
        assert!((scores[0] - 3.5).abs() < 1e-5 && (scores[1] - 6.5).abs() < 1e-5, "{scores:?}");
        let squares: f32 = linear.inputs.iter().map(|y| y * y).sum();
        assert!((squares / 4.0 - 0.01).abs() < 1e-6);

        let towers = CatalogRows { vectors: vec![7.0, 8.0], biases: vec![0.0, 1.0], inputs: None };
        let both = linear.beside(towers);
        assert_eq!(both.vectors[..3], [7.0, linear.rows[0], linear.rows[1]]);
        assert_eq!(both.inputs.unwrap()[3..], [8.0, linear.inputs[2], linear.inputs[3]]);
        assert_eq!(Linear::new(2, &parts, 0.0, &[0.1]).rows, [0.0; 4]);
    }
}
