//! AVX2, found at run time.

use std::arch::x86_64::*;

use super::{BLOCK, Kernels, Scan, scalar};

static AVX2: Kernels = Kernels {
    name: "avx2",
    // SAFETY: `sets` gives this value only where AVX2 was found; `Kernels` has checked the lengths.
    dots: |rows, query, out| unsafe { dots(rows, query, out) },
    // SAFETY: as above.
    dots_at: |rows, at, query, out| unsafe { dots_at(rows, at, query, out) },
    // SAFETY: as above.
    dots_f32: |rows, query, out| unsafe { dots_f32(rows, query, out) },
    // SAFETY: as above.
    scan: |s, admit, sums, masks| unsafe { scan(s, admit, sums, masks) },
};

/// The sets that this machine has.
pub(super) fn sets() -> Option<&'static Kernels> {
    std::arch::is_x86_feature_detected!("avx2").then_some(&AVX2)
}

/// # Safety
/// AVX2 is there, and `row` has as many numbers as `query`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn dot(row: *const i8, query: &[i16]) -> i32 {
    let whole = query.len() / 16 * 16;
    let mut sum = _mm256_setzero_si256();
    for k in (0..whole).step_by(16) {
        // SAFETY: 16 numbers from k on lie inside row and query.
        let (a, b) = unsafe { (_mm_loadu_si128(row.add(k).cast()), _mm256_loadu_si256(query.as_ptr().add(k).cast())) };
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(a), b));
    }
    let half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    let half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0b01_00_11_10));
    let half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0b10_11_00_01));
    // SAFETY: the row has as many numbers as the query.
    let rest = unsafe { std::slice::from_raw_parts(row.add(whole), query.len() - whole) };
    _mm_cvtsi128_si32(half) + scalar::dot(rest, &query[whole..])
}

#[target_feature(enable = "avx2")]
unsafe fn dots(rows: &[i8], query: &[i16], out: &mut [i32]) {
    for (i, out) in out.iter_mut().enumerate() {
        // SAFETY: row i lies inside `rows`, by the caller's check.
        *out = unsafe { dot(rows.as_ptr().add(i * query.len()), query) };
    }
}

#[target_feature(enable = "avx2")]
unsafe fn dots_at(rows: &[i8], at: &[u32], query: &[i16], out: &mut [i32]) {
    for (row, out) in at.iter().zip(out) {
        // SAFETY: every row of `at` lies inside `rows`, by the caller's check.
        *out = unsafe { dot(rows.as_ptr().add(*row as usize * query.len()), query) };
    }
}

#[target_feature(enable = "avx2")]
unsafe fn dots_f32(rows: &[f32], query: &[f32], out: &mut [f32]) {
    let d = query.len();
    let whole = d / 8 * 8;
    for (row, out) in rows.chunks_exact(d).zip(out) {
        let mut sum = _mm256_setzero_ps();
        for k in (0..whole).step_by(8) {
            // SAFETY: 8 numbers from k on lie inside both.
            let (a, b) = unsafe { (_mm256_loadu_ps(row.as_ptr().add(k)), _mm256_loadu_ps(query.as_ptr().add(k))) };
            sum = _mm256_add_ps(sum, _mm256_mul_ps(a, b));
        }
        let mut lanes = [0.0f32; 8];
        // SAFETY: eight lanes into eight numbers.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sum) };
        let rest: f32 = row[whole..].iter().zip(&query[whole..]).map(|(a, b)| a * b).sum();
        *out = lanes.iter().sum::<f32>() + rest;
    }
}

#[target_feature(enable = "avx2")]
unsafe fn scan(s: &Scan, admit: i16, sums: &mut [i16], masks: &mut [u16]) {
    let pairs = s.tables.len() / 32;
    let nibble = _mm_set1_epi8(15);
    let below = _mm_set1_epi16(admit.wrapping_sub(1));
    for (i, mask) in masks.iter_mut().enumerate() {
        // SAFETY: pair p of block i lies inside the codes, and tables 2p and 2p + 1 inside the tables, by the caller's check.
        let look_up = |p: usize| unsafe {
            let codes = _mm_loadu_si128(s.codes.as_ptr().add((i * pairs + p) * BLOCK).cast());
            let tables = s.tables.as_ptr().add(p * 32);
            let low = _mm_shuffle_epi8(_mm_loadu_si128(tables.cast()), _mm_and_si128(codes, nibble));
            let high = _mm_and_si128(_mm_srli_epi16(codes, 4), nibble);
            _mm_add_epi8(low, _mm_shuffle_epi8(_mm_loadu_si128(tables.add(16).cast()), high))
        };
        let (factor, offset) = (_mm256_set1_epi16(s.factor), _mm256_set1_epi16(s.offset));
        // SAFETY: sixteen biases of block i.
        let biases = unsafe { _mm256_loadu_si256(s.biases.as_ptr().add(i * BLOCK).cast()) };
        let mut sum = _mm256_add_epi16(_mm256_mulhrs_epi16(biases, factor), offset);
        for p in (0..pairs / 2 * 2).step_by(2) {
            sum = _mm256_add_epi16(sum, _mm256_cvtepu8_epi16(_mm_add_epi8(look_up(p), look_up(p + 1))));
        }
        if pairs % 2 == 1 {
            sum = _mm256_add_epi16(sum, _mm256_cvtepu8_epi16(look_up(pairs - 1)));
        }
        // SAFETY: sixteen sums of block i.
        unsafe { _mm256_storeu_si256(sums.as_mut_ptr().add(i * BLOCK).cast(), sum) };
        let over = |half: __m128i| _mm_cmpgt_epi16(half, below);
        let both = _mm_packs_epi16(over(_mm256_castsi256_si128(sum)), over(_mm256_extracti128_si256(sum, 1)));
        *mask = _mm_movemask_epi8(both) as u16;
    }
}
