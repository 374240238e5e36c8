//! Floats to integers: int8 rows with a scale each, and an i16 query.

/// Quantizes one row symmetrically: `row ≈ scale · out`, `out` in −127..=127; gives the scale, 1 for a row of zeros.
///
/// # Panics
/// If the lengths differ.
pub fn quantize_row(row: &[f32], out: &mut [i8]) -> f32 {
    assert_eq!(row.len(), out.len());
    let largest = row.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    for (q, x) in out.iter_mut().zip(row) {
        *q = libm::roundf(x / scale).clamp(-127.0, 127.0) as i8;
    }
    scale
}

/// A query with 16 bits a dimension: `query ≈ scale · values`.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedQuery {
    /// In −32767..=32767. With 512 dimensions at most, a dot product with an int8 row fits an i32: 127 · 32767 · 512 < 2³¹.
    pub values: Vec<i16>,
    /// Unit of one step; 1 for a query of zeros.
    pub scale: f32,
}

impl QuantizedQuery {
    /// Quantizes a query `[d]`.
    pub fn new(query: &[f32]) -> Self {
        let largest = query.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let scale = if largest > 0.0 { largest / 32767.0 } else { 1.0 };
        let values = query.iter().map(|x| libm::roundf(x / scale).clamp(-32767.0, 32767.0) as i16).collect();
        QuantizedQuery { values, scale }
    }
}

#[cfg(test)]
mod tests {
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
    fn tiny_and_huge_rows_stay_in_range() {
        let mut out = [0; 2];
        for x in [f32::MIN_POSITIVE, 1e-42, f32::MAX] {
            quantize_row(&[x, -x], &mut out);
            assert!(out[0] >= 0 && out[0] == -out[1], "{x}: {out:?}");
        }
    }
}
