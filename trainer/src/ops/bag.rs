//! The weighted sum of table rows, which embeds encoded columns.

use foretaste::features::Bag;

use super::Real;
use crate::onnx::{Attribute, GraphBuilder, Value};

/// Adds Σ weight · `table[slot]` to each row of `out` `[rows, d]`.
///
/// `table` is `[slots, d]`; `bags` gives one list of (slot, weight) per row.
pub fn forward<'a, T: Real>(table: &[T], d: usize, bags: impl IntoIterator<Item = &'a Bag>, out: &mut [T]) {
    for (bag, out) in bags.into_iter().zip(out.chunks_exact_mut(d)) {
        for (slot, weight) in bag {
            let weight = T::of(f64::from(*weight));
            out.iter_mut().zip(&table[*slot as usize * d..][..d]).for_each(|(o, t)| *o += weight * *t);
        }
    }
}

/// The backward pass for `dout` `[rows, d]`. Adds to `dtable` `[slots, d]`.
pub fn backward<'a, T: Real>(d: usize, bags: impl IntoIterator<Item = &'a Bag>, dout: &[T], dtable: &mut [T]) {
    for (bag, dout) in bags.into_iter().zip(dout.chunks_exact(d)) {
        for (slot, weight) in bag {
            let weight = T::of(f64::from(*weight));
            dtable[*slot as usize * d..][..d].iter_mut().zip(dout).for_each(|(t, o)| *t += weight * *o);
        }
    }
}

/// ONNX nodes: from `slots` i64 `[batch, S]` and `weights` f32 `[batch, S]`, padded with weight 0, to `[batch, d]`.
pub fn onnx(g: &mut GraphBuilder, name: &str, table: &[f32], d: usize, slots: &Value, weights: &Value) -> Value {
    // If the table is empty, the padding (slot 0, weight 0) still needs a row to gather.
    let row = vec![0.0; d];
    let table = if table.is_empty() { &row } else { table };
    let table = g.constant_f32(&format!("{name}.table"), &[table.len() / d, d], table);
    let axis = g.constant_i64(&format!("{name}.axis"), &[1], &[1]);
    let rows = g.node("Gather", &[&table, slots], &[("axis", Attribute::Int(0))]);
    let weights = g.node("Unsqueeze", &[weights, &axis], &[]);
    let sum = g.node("MatMul", &[&weights, &rows], &[]);
    g.node("Squeeze", &[&sum, &axis], &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn known_values_and_gradient() {
        let bags: Vec<Bag> = vec![vec![(0, 1.0), (2, 0.5)], vec![], vec![(2, 2.0)]];
        let mut out = [1.0f64; 6];
        forward(&[1.0, 2.0, 9.0, 9.0, 4.0, -4.0], 2, &bags, &mut out);
        assert_eq!(out, [4.0, 1.0, 1.0, 1.0, 9.0, -7.0]);
        let (table, dout) = (numbers(6, 1), numbers(6, 2));
        let mut dtable = vec![0.0; 6];
        backward(2, &bags, &dout, &mut dtable);
        assert_gradient("table", &table, &dtable, |table| {
            let mut out = [0.0; 6];
            forward(table, 2, &bags, &mut out);
            out.iter().zip(&dout).map(|(y, d)| y * d).sum()
        });
    }
}
