//! Dot products of one query vector with many rows, and sums of product-quantization codes.
//!
//! `scalar.rs` defines every result. The other files compute the same integers with the instructions of one machine. A
//! [`Kernels`] value exists only on machines that have its instructions.
//!
//! `unsafe` code is allowed in this folder and in one call in `model/tract/`, which runs start-up code; nowhere else in
//! the crate.

mod codes;
mod quantize;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use codes::{BIAS_STEPS, BLOCK, CENTROIDS, SUM_LIMIT, Scan, Tables, blocks, pairs, subspaces};
pub use quantize::{QuantizedQuery, RESIDUAL_STEPS, quantize_row, residual_row};
pub use scalar::dot_nibbles;

type DotsAt = fn(&[i8], &[u32], &[i16], &mut [i32]);
type ScanBlocks = fn(&Scan, i16, &mut [i16], &mut [u16]);
type Scores = fn(&[i32], &[u8], &[u8], f32, &mut [f32]);

/// The kernels of one instruction set. Integer results are the same in every set, bit for bit.
pub struct Kernels {
    /// `scalar`, `simd128`, `relaxed-simd`, `avx2`.
    pub name: &'static str,
    dots: fn(&[i8], &[i16], &mut [i32]),
    dots_at: DotsAt,
    dots_f32: fn(&[f32], &[f32], &mut [f32]),
    axpy: fn(f32, &[f32], &mut [f32]),
    scan: ScanBlocks,
    scores: Scores,
}

static SCALAR: Kernels = Kernels {
    name: "scalar",
    dots: scalar::dots,
    dots_at: scalar::dots_at,
    dots_f32: scalar::dots_f32,
    axpy: scalar::axpy,
    scan: scalar::scan,
    scores: scalar::scores,
};

impl Kernels {
    /// Every set that runs on this machine, slowest first. The first is the scalar one.
    pub fn all() -> Vec<&'static Kernels> {
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        let here = wasm::sets();
        #[cfg(target_arch = "x86_64")]
        let here = x86::sets();
        #[cfg(not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128"))))]
        let here: Option<&Kernels> = None;
        std::iter::once(&SCALAR).chain(here).collect()
    }

    /// The fastest set of this machine.
    pub fn best() -> &'static Kernels {
        Kernels::all().pop().unwrap_or(&SCALAR)
    }

    /// Dot products of `rows` (`[n, d]`, row-major) with `query` `[d]`, written to `out` `[n]`. Exact for d ≤ 512.
    ///
    /// # Panics
    /// If the lengths do not fit each other.
    pub fn dots(&self, rows: &[i8], query: &[i16], out: &mut [i32]) {
        assert_eq!(rows.len(), out.len() * query.len());
        (self.dots)(rows, query, out);
    }

    /// Dot products of only the rows `at` `[m]` with `query` `[d]`, written to `out` `[m]`.
    ///
    /// # Panics
    /// If the lengths do not fit, or a row is past the end.
    pub fn dots_at(&self, rows: &[i8], at: &[u32], query: &[i16], out: &mut [i32]) {
        assert_eq!(at.len(), out.len());
        let n = rows.len() / query.len().max(1);
        assert!(at.iter().all(|row| (*row as usize) < n), "a row past the end");
        (self.dots_at)(rows, at, query, out);
    }

    /// Scores `dot · scale · unit + bias`, computed in f32 in this order and written to `out` `[n]`. `scales` and
    /// `biases` are little-endian floats at any address, at least n of them.
    ///
    /// # Panics
    /// If the lengths do not fit each other.
    pub fn scores(&self, dots: &[i32], scales: &[u8], biases: &[u8], unit: f32, out: &mut [f32]) {
        assert_eq!(dots.len(), out.len());
        assert!(scales.len() >= 4 * out.len() && biases.len() >= 4 * out.len());
        (self.scores)(dots, scales, biases, unit, out);
    }

    /// Dot products of f32 `rows` (`[n, d]`, row-major) with `query` `[d]`, written to `out` `[n]`.
    ///
    /// Sets add in different orders, so their results may differ by up to d · 2⁻²³ · Σ |a·b|.
    ///
    /// # Panics
    /// If the lengths do not fit each other.
    pub fn dots_f32(&self, rows: &[f32], query: &[f32], out: &mut [f32]) {
        assert_eq!(rows.len(), out.len() * query.len());
        (self.dots_f32)(rows, query, out);
    }

    /// `y += factor · x`, element by element. All targets agree exactly.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn axpy(&self, factor: f32, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len());
        (self.axpy)(factor, x, y);
    }

    /// Code sums of a run of blocks, written to `sums` `[blocks · 16]`. A bit in `masks` `[blocks]` says for each sum
    /// whether it is `admit` or more.
    ///
    /// # Panics
    /// If the lengths do not fit each other.
    pub fn scan(&self, scan: &Scan, admit: i16, sums: &mut [i16], masks: &mut [u16]) {
        assert_eq!(sums.len(), masks.len() * BLOCK);
        assert_eq!(scan.biases.len(), sums.len());
        assert_eq!(scan.tables.len() % (2 * CENTROIDS), 0);
        assert_eq!(scan.codes.len(), masks.len() * scan.tables.len() / 2);
        (self.scan)(scan, admit, sums, masks);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    /// A stream of numbers for tests.
    pub(crate) fn numbers(mut state: u64) -> impl FnMut() -> u64 {
        move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
    }

    pub(crate) const DIMS: [usize; 17] = [1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 127, 129, 512];

    #[test]
    fn integer_kernels_agree_exactly() {
        let mut next = numbers(1);
        for d in DIMS {
            for n in [0usize, 1, 2, 5, 33] {
                // Every third case holds only the ends of the range.
                let mut rows: Vec<i8> = (0..n * d).map(|_| (next() % 255) as i16 as i8).map(|x| x.max(-127)).collect();
                let mut query: Vec<i16> = (0..d).map(|_| ((next() % 65535) as i32 - 32767) as i16).collect();
                if n % 3 == 2 {
                    rows.iter_mut().for_each(|x| *x = if *x < 0 { -127 } else { 127 });
                    query.iter_mut().for_each(|x| *x = if *x < 0 { -32767 } else { 32767 });
                }
                let at: Vec<u32> = (0..n as u32).rev().step_by(2).collect();
                let (mut expected, mut some) = (vec![0; n], vec![0; at.len()]);
                scalar::dots(&rows, &query, &mut expected);
                scalar::dots_at(&rows, &at, &query, &mut some);
                for set in Kernels::all() {
                    let (mut got, mut got_at) = (vec![7; n], vec![7; at.len()]);
                    set.dots(&rows, &query, &mut got);
                    set.dots_at(&rows, &at, &query, &mut got_at);
                    assert_eq!((got, got_at), (expected.clone(), some.clone()), "{} d {d} n {n}", set.name);
                }
            }
        }
    }

    #[test]
    fn scores_agree_exactly() {
        let mut next = numbers(4);
        for n in [0usize, 1, 3, 4, 7, 8, 9, 33] {
            let dots: Vec<i32> = (0..n).map(|_| next() as i32).collect();
            let mut floats = |odd: usize| -> Vec<u8> {
                let numbers = (0..n).flat_map(|_| ((next() % 2001) as f32 / 1e4 - 0.1).to_le_bytes());
                std::iter::repeat_n(0, odd).chain(numbers).collect()
            };
            let (scales, biases) = (floats(1), floats(3));
            let mut expected = vec![0.0; n];
            scalar::scores(&dots, &scales[1..], &biases[3..], 1e-4, &mut expected);
            for set in Kernels::all() {
                let mut got = vec![7.0; n];
                set.scores(&dots, &scales[1..], &biases[3..], 1e-4, &mut got);
                assert_eq!(got, expected, "{} n {n}", set.name);
            }
        }
    }

    #[test]
    fn sums_by_number_agree_exactly() {
        let mut next = numbers(5);
        let mut float = || (next() % 2001) as f32 / 1000.0 - 1.0;
        for d in DIMS {
            let [x, start]: [Vec<f32>; 2] = std::array::from_fn(|_| (0..d).map(|_| float()).collect());
            let mut expected = start.clone();
            scalar::axpy(0.7, &x, &mut expected);
            for set in Kernels::all() {
                let mut got = start.clone();
                set.axpy(0.7, &x, &mut got);
                assert_eq!(got, expected, "{} d {d}", set.name);
            }
        }
    }

    #[test]
    fn float_kernels_agree_within_their_bound() {
        let mut next = numbers(2);
        let mut float = || (next() % 2001) as f32 / 1000.0 - 1.0;
        for d in DIMS {
            let rows: Vec<f32> = (0..5 * d).map(|_| float()).collect();
            let query: Vec<f32> = (0..d).map(|_| float()).collect();
            let exact = |row: &[f32]| row.iter().zip(&query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let weight = |row: &[f32]| row.iter().zip(&query).map(|(a, b)| f64::from((a * b).abs())).sum::<f64>();
            for set in Kernels::all() {
                let mut got = [0.0; 5];
                set.dots_f32(&rows, &query, &mut got);
                for (row, got) in rows.chunks_exact(d).zip(got) {
                    let bound = d as f64 * f64::from(f32::EPSILON) * weight(row);
                    assert!((f64::from(got) - exact(row)).abs() <= bound, "{} d {d}", set.name);
                }
            }
        }
    }

    #[test]
    fn code_sums_agree_exactly() {
        let mut next = numbers(3);
        for pairs in [1usize, 2, 3, 4, 5, 16, 17, 128] {
            for blocks in [0usize, 1, 2, 3, 8] {
                let codes: Vec<u8> = (0..blocks * pairs * 16).map(|_| next() as u8).collect();
                let tables: Vec<u8> = (0..pairs * 32).map(|_| (next() % 32) as u8).collect();
                let biases: Vec<i16> = (0..blocks * BLOCK).map(|_| (next() % 32768) as i16).collect();
                for (factor, offset, admit) in [(0, 0, 0), (32767, 8191, 9000), (777, 12, 500), (5, 0, i16::MAX)] {
                    let scan = Scan { codes: &codes, tables: &tables, biases: &biases, factor, offset };
                    let (mut sums, mut masks) = (vec![0; blocks * BLOCK], vec![0; blocks]);
                    scalar::scan(&scan, admit, &mut sums, &mut masks);
                    for set in Kernels::all() {
                        let (mut got, mut got_masks) = (vec![7; blocks * BLOCK], vec![7; blocks]);
                        set.scan(&scan, admit, &mut got, &mut got_masks);
                        assert_eq!((got, got_masks), (sums.clone(), masks.clone()), "{} pairs {pairs}", set.name);
                    }
                }
            }
        }
    }

    /// All sets of this build are tested. If only the scalar set ran, the tests above would show nothing.
    #[test]
    fn the_sets_of_this_machine_are_tested() {
        let names: Vec<&str> = Kernels::all().iter().map(|s| s.name).collect();
        #[cfg(target_arch = "x86_64")]
        assert_eq!(names.contains(&"avx2"), std::arch::is_x86_feature_detected!("avx2"));
        #[cfg(target_arch = "wasm32")]
        {
            assert_eq!(names.contains(&"simd128"), cfg!(target_feature = "simd128"));
            assert_eq!(names.contains(&"relaxed-simd"), cfg!(target_feature = "relaxed-simd"));
        }
        assert_eq!(names[0], "scalar");
    }
}
