//! The plain kernels, which define the results of all others.

use super::{BLOCK, Scan};

/// Integer dot product of an int8 row and an i16 query, exact for up to 512 dimensions.
pub(super) fn dot(row: &[i8], query: &[i16]) -> i32 {
    row.iter().zip(query).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

/// Dot products of all rows.
pub(super) fn dots(rows: &[i8], query: &[i16], out: &mut [i32]) {
    rows.chunks_exact(query.len()).zip(out).for_each(|(row, out)| *out = dot(row, query));
}

/// Dot products of the rows `at`.
pub(super) fn dots_at(rows: &[i8], at: &[u32], query: &[i16], out: &mut [i32]) {
    let d = query.len();
    at.iter().zip(out).for_each(|(row, out)| *out = dot(&rows[*row as usize * d..][..d], query));
}

/// Dot products of f32 rows, summed left to right from 0.
pub(super) fn dots_f32(rows: &[f32], query: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = row.iter().zip(query).fold(0.0, |sum, (a, b)| sum + a * b);
    }
}

/// `y += factor · x`.
pub(super) fn axpy(factor: f32, x: &[f32], y: &mut [f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// Scores of dot products.
pub(super) fn scores(dots: &[i32], scales: &[u8], biases: &[u8], unit: f32, out: &mut [f32]) {
    let float = |bytes: &[u8], i: usize| f32::from_le_bytes(bytes.as_chunks::<4>().0[i]);
    for (i, (dot, out)) in dots.iter().zip(out).enumerate() {
        *out = *dot as f32 * float(scales, i) * unit + float(biases, i);
    }
}

/// Dot product Σ n_k · q_k of a row of 4-bit numbers, 0 to 15, and a query. Byte k/2 holds dimension k, in its low half
/// for even k.
///
/// # Panics
/// If the lengths do not fit each other.
pub fn dot_nibbles(row: &[u8], query: &[i16]) -> i32 {
    assert_eq!(row.len(), query.len().div_ceil(2));
    let pair = |(byte, q): (&u8, &[i16])| {
        let low = i32::from(byte & 15) * i32::from(q[0]);
        low + q.get(1).map_or(0, |q| i32::from(byte >> 4) * i32::from(*q))
    };
    row.iter().zip(query.chunks(2)).map(pair).sum()
}

/// For row `r` of block `i`: `offset + (bias · factor + 2¹⁴ >> 15) + Σ_p tables[2p][low half] + tables[2p + 1][high
/// half]`. Sums wrap as they do in the SIMD kernels; the tables of a search keep them in range.
pub(super) fn scan(scan: &Scan, admit: i16, sums: &mut [i16], masks: &mut [u16]) {
    let pairs = scan.tables.len() / 32;
    for (i, mask) in masks.iter_mut().enumerate() {
        *mask = 0;
        for lane in 0..BLOCK {
            let bias = i32::from(scan.biases[i * BLOCK + lane]) * i32::from(scan.factor);
            let mut sum = scan.offset.wrapping_add(((bias + (1 << 14)) >> 15) as i16);
            for pair in 0..pairs {
                let code = scan.codes[(i * pairs + pair) * BLOCK + lane];
                let tables = &scan.tables[pair * 32..][..32];
                let pair = i16::from(tables[usize::from(code & 15)]) + i16::from(tables[16 + usize::from(code >> 4)]);
                sum = sum.wrapping_add(pair);
            }
            sums[i * BLOCK + lane] = sum;
            *mask |= u16::from(sum >= admit) << lane;
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn known_values() {
        let mut out = [0; 2];
        dots(&[1, 2, 3, -127, 0, 127], &[100, -200, 3], &mut out);
        assert_eq!(out, [-291, -12700 + 381]);
        let mut one = [0];
        dots_at(&[1, 2, 3, -127, 0, 127], &[1], &[100, -200, 3], &mut one);
        assert_eq!(one, [-12700 + 381]);
        let mut out = [0.0; 2];
        dots_f32(&[1.0, 2.0, 3.0, 4.0], &[10.0, 1.0], &mut out);
        assert_eq!(out, [12.0, 34.0]);
        axpy(2.0, &[1.0, 2.0], &mut out);
        assert_eq!(out, [14.0, 38.0]);
        let mut score = [0.0];
        scores(&[-3], &0.5f32.to_le_bytes(), &1.0f32.to_le_bytes(), 2.0, &mut score);
        assert_eq!(score, [-2.0]);
        assert_eq!(dot_nibbles(&[0x21, 0x03], &[1, 10, 100]), 1 + 20 + 300);
    }

    #[test]
    fn the_largest_dot_fits() {
        assert_eq!(dot(&[-127; 512], &[32767; 512]), -127 * 32767 * 512);
    }

    #[test]
    fn a_known_code_sum() {
        let mut tables = [0u8; 32];
        (tables[3], tables[16 + 5]) = (10, 20);
        let mut codes = [0u8; 16];
        codes[2] = 0x53;
        let scan_ = Scan { codes: &codes, tables: &tables, biases: &[32767; 16], factor: 8191, offset: 4 };
        let (mut sums, mut masks) = ([0; 16], [0]);
        scan(&scan_, 8196 + 30, &mut sums, &mut masks);
        assert_eq!((sums[2], sums[0], masks), (4 + 8191 + 30, 4 + 8191, [0]));
        scan(&scan_, 8225, &mut sums, &mut masks);
        assert_eq!(masks, [1 << 2]);
    }
}
