//! Floats to integers: rows of int8 with one scale each, and queries of i16.

/// The nearest whole number between two bounds. std's `clamp` would bring the printing of floats into the WASM module.
#[allow(clippy::manual_clamp)]
pub(super) fn rounded(x: f32, least: f32, most: f32) -> f32 {
    libm::roundf(x).max(least).min(most)
}

/// Quantizes one row symmetrically: `row ≈ scale · out` with `out` in −127..=127. Returns the scale, which is 1 for a
/// row of zeros.
///
/// # Panics
/// If the lengths differ.
pub fn quantize_row(row: &[f32], out: &mut [i8]) -> f32 {
    assert_eq!(row.len(), out.len());
    let largest = row.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    for (q, x) in out.iter_mut().zip(row) {
        *q = rounded(x / scale, -127.0, 127.0) as i8;
    }
    scale
}

/// Number of steps of a residual in one step of int8.
pub const RESIDUAL_STEPS: f32 = 16.0;

/// The residuals: what [`quantize_row`] lost, in 4 bits a dimension. `row ≈ scale / 32 · (32 · quantized + 2 · n − 15)`
/// with n in 0..=15.
///
/// Byte k/2 of `out` `[⌈d/2⌉]` holds n of dimension k, in its low half for even k. If d is odd, the last half is 0.
///
/// # Panics
/// If the lengths do not fit each other.
pub fn residual_row(row: &[f32], quantized: &[i8], scale: f32, out: &mut [u8]) {
    assert_eq!((row.len(), row.len().div_ceil(2)), (quantized.len(), out.len()));
    out.fill(0);
    for (k, (x, q)) in row.iter().zip(quantized).enumerate() {
        let step = libm::floorf((x / scale - f32::from(*q)) * RESIDUAL_STEPS) + RESIDUAL_STEPS / 2.0;
        out[k / 2] |= (step as u8).min(15) << (4 * (k % 2));
    }
}

/// A query in 16 bits a dimension: `query ≈ scale · values`.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedQuery {
    /// In −32767..=32767. A dot product with an int8 row of at most 512 dimensions fits an i32: 127 · 32767 · 512 <
    /// 2³¹.
    pub values: Vec<i16>,
    /// The size of one step; 1 for a query of zeros.
    pub scale: f32,
}

impl QuantizedQuery {
    /// Quantizes a query `[d]`.
    pub fn new(query: &[f32]) -> Self {
        let largest = query.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let scale = if largest > 0.0 { largest / 32767.0 } else { 1.0 };
        let values = query.iter().map(|x| rounded(x / scale, -32767.0, 32767.0) as i16).collect();
        QuantizedQuery { values, scale }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn known_values() {
        let mut out = [0; 4];
        let scale = quantize_row(&[1.27, -1.27, 0.004, 0.006], &mut out);
        assert_eq!((out, scale), ([127, -127, 0, 1], 1.27 / 127.0));
        assert_eq!((quantize_row(&[0.0; 4], &mut out), out), (1.0, [0; 4]));
        let query = QuantizedQuery::new(&[-2.0, 1.0, 0.0]);
        assert_eq!(query.values, [-32767, 16384, 0]);
        assert_eq!(QuantizedQuery::new(&[0.0]), QuantizedQuery { values: vec![0], scale: 1.0 });
    }

    #[test]
    fn residuals_leave_a_thirty_second_of_a_step() {
        let row: Vec<f32> = (0..65).map(|i| ((i * 41) % 97) as f32 / 48.0 - 1.0).collect();
        let (mut q, mut n) = (vec![0; 65], vec![0; 33]);
        let scale = quantize_row(&row, &mut q);
        residual_row(&row, &q, scale, &mut n);
        for (k, x) in row.iter().enumerate() {
            let nibble = f32::from(n[k / 2] >> (4 * (k % 2)) & 15);
            let back = scale / 32.0 * (32.0 * f32::from(q[k]) + 2.0 * nibble - 15.0);
            assert!((back - x).abs() <= scale / 31.9, "{k}: {x} {back}");
        }
        assert_eq!(n[32] >> 4, 0);
    }

    #[test]
    fn tiny_and_huge_rows_stay_in_range() {
        let mut out = [0; 2];
        for x in [f32::MIN_POSITIVE, 1e-42, f32::MAX] {
            quantize_row(&[x, -x], &mut out);
            assert!(out[0] >= 0 && out[0] == -out[1], "{x}: {out:?}");
        }
    }
}
