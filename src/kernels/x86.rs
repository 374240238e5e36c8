//! AVX2, if the machine has it; that is checked at run time.

use std::arch::x86_64::*;

use super::codes::GROUP;
use super::{BLOCK, Kernels, Scan, scalar};

static AVX2: Kernels = Kernels {
    name: "avx2",
    // SAFETY: `sets` gives this value only if the machine has AVX2, and `Kernels` has checked the lengths.
    dots: |rows, query, out| unsafe { dots(rows, query, out) },
    // SAFETY: as above.
    dots_at: |rows, at, query, out| unsafe { dots_at(rows, at, query, out) },
    // SAFETY: as above.
    dots_f32: |rows, query, out| unsafe { dots_f32(rows, query, out) },
    axpy: scalar::axpy,
    // SAFETY: as above.
    scan: |s, admit, sums, masks| unsafe { scan(s, admit, sums, masks) },
    // SAFETY: as above.
    scores: |dots, scales, biases, unit, out| unsafe { scores(dots, scales, biases, unit, out) },
};

/// The sets in this file that run on this machine.
pub(super) fn sets() -> Option<&'static Kernels> {
    std::arch::is_x86_feature_detected!("avx2").then_some(&AVX2)
}

/// # Safety
/// The machine must have AVX2, and `row` as many numbers as `query`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn dot(row: *const i8, query: &[i16]) -> i32 {
    let whole = query.len() / 16 * 16;
    let mut sum = _mm256_setzero_si256();
    for k in (0..whole).step_by(16) {
        // SAFETY: the 16 numbers from k on lie inside row and query.
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
unsafe fn scores(dots: &[i32], scales: &[u8], biases: &[u8], unit: f32, out: &mut [f32]) {
    let whole = out.len() / 8 * 8;
    let factor = _mm256_set1_ps(unit);
    for i in (0..whole).step_by(8) {
        // SAFETY: eight more of each, by the caller's check.
        unsafe {
            let dot = _mm256_cvtepi32_ps(_mm256_loadu_si256(dots.as_ptr().add(i).cast()));
            let (scale, bias) =
                (_mm256_loadu_ps(scales.as_ptr().add(4 * i).cast()), _mm256_loadu_ps(biases.as_ptr().add(4 * i).cast()));
            let score = _mm256_add_ps(_mm256_mul_ps(_mm256_mul_ps(dot, scale), factor), bias);
            _mm256_storeu_ps(out.as_mut_ptr().add(i), score);
        }
    }
    scalar::scores(&dots[whole..], &scales[4 * whole..], &biases[4 * whole..], unit, &mut out[whole..]);
}

/// Sums two blocks at a time, one in each half of a register. An odd last block takes both halves.
#[target_feature(enable = "avx2")]
unsafe fn scan(s: &Scan, admit: i16, sums: &mut [i16], masks: &mut [u16]) {
    let pairs = s.tables.len() / 32;
    let nibble = _mm256_set1_epi8(15);
    let below = _mm256_set1_epi16(admit.wrapping_sub(1));
    let (factor, offset) = (_mm256_set1_epi16(s.factor), _mm256_set1_epi16(s.offset));
    for first in (0..masks.len()).step_by(2) {
        let both = [first, (first + 1).min(masks.len() - 1)];
        // SAFETY: sixteen biases of a block, by the caller's check.
        let bias = |block: usize| unsafe { _mm256_loadu_si256(s.biases.as_ptr().add(block * BLOCK).cast()) };
        let mut totals = both.map(|block| _mm256_add_epi16(_mm256_mulhrs_epi16(bias(block), factor), offset));
        for start in (0..pairs).step_by(GROUP) {
            let mut bytes = _mm256_setzero_si256();
            for pair in start..(start + GROUP).min(pairs) {
                // SAFETY: two tables of this pair, and its codes in both blocks, by the caller's check.
                let (low, high, codes) = unsafe {
                    let table = |at: usize| _mm_loadu_si128(s.tables.as_ptr().add(pair * 32 + at).cast());
                    let code = |block: usize| _mm_loadu_si128(s.codes.as_ptr().add((block * pairs + pair) * BLOCK).cast());
                    let codes = _mm256_set_m128i(code(both[1]), code(both[0]));
                    (_mm256_broadcastsi128_si256(table(0)), _mm256_broadcastsi128_si256(table(16)), codes)
                };
                let upper = _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble);
                bytes = _mm256_add_epi8(bytes, _mm256_shuffle_epi8(low, _mm256_and_si256(codes, nibble)));
                bytes = _mm256_add_epi8(bytes, _mm256_shuffle_epi8(high, upper));
            }
            totals[0] = _mm256_add_epi16(totals[0], _mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes)));
            totals[1] = _mm256_add_epi16(totals[1], _mm256_cvtepu8_epi16(_mm256_extracti128_si256(bytes, 1)));
        }
        for (block, total) in both.into_iter().zip(totals) {
            // SAFETY: sixteen sums of a block.
            unsafe { _mm256_storeu_si256(sums.as_mut_ptr().add(block * BLOCK).cast(), total) };
            let over = _mm256_cmpgt_epi16(total, below);
            let over = _mm_packs_epi16(_mm256_castsi256_si128(over), _mm256_extracti128_si256(over, 1));
            masks[block] = _mm_movemask_epi8(over) as u16;
        }
    }
}
