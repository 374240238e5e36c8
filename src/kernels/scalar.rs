//! The definition of every kernel's result.

use super::QuantizedQuery;

/// Integer dot product of an int8 row and an i16 query, exact for up to 512 dimensions.
///
/// # Panics
/// If the lengths differ.
pub fn dot_i8(row: &[i8], query: &[i16]) -> i32 {
    assert_eq!(row.len(), query.len());
    row.iter().zip(query).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// Scores of all rows: `f32(dot) · scale_i · scale_q + bias_i`, in f32 and in that order; unit: logits.
///
/// `rows` is row-major `[n, d]`, `scales`, `biases` and `out` are `[n]`.
///
/// # Panics
/// If the lengths do not fit.
pub fn score_i8(rows: &[i8], scales: &[f32], biases: &[f32], query: &QuantizedQuery, out: &mut [f32]) {
    let dim = query.values.len();
    assert_eq!(rows.len(), out.len() * dim);
    assert_eq!((scales.len(), biases.len()), (out.len(), out.len()));
    for (i, (row, score)) in rows.chunks_exact(dim).zip(out).enumerate() {
        *score = dot_i8(row, &query.values) as f32 * scales[i] * query.scale + biases[i];
    }
}

/// Scores of all f32 rows: `u · v_i + b_i`, the sum left to right from 0; unit: logits.
///
/// `rows` is row-major `[n, d]`, `query` is `[d]`, `biases` and `out` are `[n]`.
///
/// # Panics
/// If the lengths do not fit.
pub fn score_f32(rows: &[f32], biases: &[f32], query: &[f32], out: &mut [f32]) {
    assert_eq!(rows.len(), out.len() * query.len());
    assert_eq!(biases.len(), out.len());
    for (i, (row, score)) in rows.chunks_exact(query.len()).zip(out).enumerate() {
        *score = row.iter().zip(query).fold(0.0, |sum, (a, b)| sum + a * b) + biases[i];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let query = QuantizedQuery { values: vec![100, -200, 3], scale: 0.5 };
        let mut out = [0.0; 2];
        score_i8(&[1, 2, 3, -127, 0, 127], &[1.0, 0.25], &[10.0, -1.0], &query, &mut out);
        assert_eq!(out, [-291.0 * 0.5 + 10.0, (-12700.0 + 381.0) * 0.25 * 0.5 - 1.0]);
        score_f32(&[1.0, 2.0, 3.0, 4.0], &[0.5, 0.0], &[10.0, 1.0], &mut out);
        assert_eq!(out, [12.5, 34.0]);
    }

    #[test]
    fn the_largest_dot_fits() {
        assert_eq!(dot_i8(&[-127; 512], &[32767; 512]), -127 * 32767 * 512);
    }
}
