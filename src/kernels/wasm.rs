//! WASM simd128, and relaxed SIMD if the build has it. WASM cannot ask for features at run time, so the page chooses
//! the build.

use std::arch::wasm32::*;

use super::codes::GROUP;
use super::{BLOCK, Kernels, Scan, scalar};

static SIMD128: Kernels = Kernels {
    name: "simd128",
    dots,
    dots_at,
    dots_f32,
    axpy,
    scan: |s, admit, sums, masks| scan(s, admit, sums, masks, |t, i| i8x16_swizzle(t, i)),
    scores,
};

/// The relaxed swizzle saves a clamp. Engines may differ only for indices past 15, and codes are at most 15.
#[cfg(target_feature = "relaxed-simd")]
static RELAXED: Kernels = Kernels {
    name: "relaxed-simd",
    scan: |s, admit, sums, masks| scan(s, admit, sums, masks, |t, i| i8x16_relaxed_swizzle(t, i)),
    ..SIMD128
};

/// The sets of this build.
pub(super) fn sets() -> Vec<&'static Kernels> {
    vec![
        &SIMD128,
        #[cfg(target_feature = "relaxed-simd")]
        &RELAXED,
    ]
}

/// # Safety
/// `row` has as many numbers as `query`.
#[inline(always)]
unsafe fn dot(row: *const i8, query: &[i16]) -> i32 {
    let whole = query.len() / 16 * 16;
    let mut sums = [i32x4_splat(0); 2];
    let mut k = 0;
    while k < whole {
        // SAFETY: the 16 numbers from k on lie inside row and query.
        let (a, low, high) = unsafe {
            let q = query.as_ptr().add(k);
            (v128_load(row.add(k).cast()), v128_load(q.cast()), v128_load(q.add(8).cast()))
        };
        sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(i16x8_extend_low_i8x16(a), low));
        sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(i16x8_extend_high_i8x16(a), high));
        k += 16;
    }
    let s = i32x4_add(sums[0], sums[1]);
    let s = i32x4_add(s, i32x4_shuffle::<2, 3, 0, 1>(s, s));
    let sum = i32x4_extract_lane::<0>(s) + i32x4_extract_lane::<1>(s);
    // SAFETY: the row has as many numbers as the query.
    let rest = unsafe { std::slice::from_raw_parts(row.add(whole), query.len() - whole) };
    if rest.is_empty() { sum } else { sum + scalar::dot(rest, &query[whole..]) }
}

fn dots(rows: &[i8], query: &[i16], out: &mut [i32]) {
    let mut row = rows.as_ptr();
    for out in out {
        // SAFETY: there are as many rows as results, by the caller's check.
        unsafe {
            *out = dot(row, query);
            row = row.add(query.len());
        }
    }
}

/// How many rows are touched before the first of them is computed.
const AHEAD: usize = 64;

fn dots_at(rows: &[i8], at: &[u32], query: &[i16], out: &mut [i32]) {
    let d = query.len();
    for (at, out) in at.chunks(AHEAD).zip(out.chunks_mut(AHEAD)) {
        // WASM has no prefetch. Plain loads of several rows let the waits for memory overlap.
        let mut touched = 0;
        for row in at {
            // SAFETY: every row of `at` lies inside `rows`, by the caller's check.
            touched ^= unsafe { *rows.as_ptr().add(*row as usize * d) ^ *rows.as_ptr().add(*row as usize * d + d - 1) };
        }
        std::hint::black_box(touched);
        for (row, out) in at.iter().zip(out) {
            // SAFETY: as above.
            *out = unsafe { dot(rows.as_ptr().add(*row as usize * d), query) };
        }
    }
}

fn scores(dots: &[i32], scales: &[u8], biases: &[u8], unit: f32, out: &mut [f32]) {
    let whole = out.len() / 4 * 4;
    let factor = f32x4_splat(unit);
    for i in (0..whole).step_by(4) {
        // SAFETY: four more of each, by the caller's check.
        unsafe {
            let dot = f32x4_convert_i32x4(v128_load(dots.as_ptr().add(i).cast()));
            let (scale, bias) = (v128_load(scales.as_ptr().add(4 * i).cast()), v128_load(biases.as_ptr().add(4 * i).cast()));
            let score = f32x4_add(f32x4_mul(f32x4_mul(dot, scale), factor), bias);
            v128_store(out.as_mut_ptr().add(i).cast(), score);
        }
    }
    scalar::scores(&dots[whole..], &scales[4 * whole..], &biases[4 * whole..], unit, &mut out[whole..]);
}

fn dots_f32(rows: &[f32], query: &[f32], out: &mut [f32]) {
    let d = query.len();
    let whole = d / 8 * 8;
    for (row, out) in rows.chunks_exact(d).zip(out) {
        let mut sums = [f32x4_splat(0.0); 2];
        for k in (0..whole).step_by(4) {
            // SAFETY: four numbers from k on lie inside both.
            let (a, b) = unsafe { (v128_load(row.as_ptr().add(k).cast()), v128_load(query.as_ptr().add(k).cast())) };
            sums[k / 4 % 2] = f32x4_add(sums[k / 4 % 2], f32x4_mul(a, b));
        }
        let s = f32x4_add(sums[0], sums[1]);
        let s = f32x4_extract_lane::<0>(s) + f32x4_extract_lane::<1>(s) + f32x4_extract_lane::<2>(s) + f32x4_extract_lane::<3>(s);
        *out = s + row[whole..].iter().zip(&query[whole..]).map(|(a, b)| a * b).sum::<f32>();
    }
}

fn axpy(factor: f32, x: &[f32], y: &mut [f32]) {
    let whole = y.len() / 4 * 4;
    let factors = f32x4_splat(factor);
    for k in (0..whole).step_by(4) {
        // SAFETY: four numbers from k on lie inside both: `Kernels` has checked the lengths.
        unsafe {
            let (x, y) = (v128_load(x.as_ptr().add(k).cast()), y.as_mut_ptr().add(k).cast());
            v128_store(y, f32x4_add(v128_load(y), f32x4_mul(factors, x)));
        }
    }
    y[whole..].iter_mut().zip(&x[whole..]).for_each(|(y, x)| *y += factor * x);
}

/// Sums two blocks at a time, which share the loads of the tables. An odd last block is summed twice.
///
/// The loops are unrolled by hand, because a build for size does not unroll loops.
#[inline(always)]
fn scan(s: &Scan, admit: i16, sums: &mut [i16], masks: &mut [u16], swizzle: impl Fn(v128, v128) -> v128) {
    let pairs = s.tables.len() / 32;
    let (factor, offset, admit) = (i16x8_splat(s.factor), i16x8_splat(s.offset), i16x8_splat(admit));
    let nibble = u8x16_splat(15);
    let (codes, tables) = (s.codes.as_ptr(), s.tables.as_ptr());
    let mut first = 0;
    while first < masks.len() {
        let second = (first + 1).min(masks.len() - 1);
        // SAFETY: sixteen biases of a block, by the caller's check.
        let start = |at: usize| unsafe {
            let bias = v128_load(s.biases.as_ptr().add(at).cast());
            i16x8_add(i16x8_q15mulr_sat(bias, factor), offset)
        };
        let (mut a, mut b) = (start(first * BLOCK), start(first * BLOCK + 8));
        let (mut c, mut d) = (start(second * BLOCK), start(second * BLOCK + 8));
        // SAFETY: pair p of either block and its two tables, by the caller's check.
        let (mut x, mut y) = unsafe { (codes.add(first * pairs * BLOCK), codes.add(second * pairs * BLOCK)) };
        let mut table = tables;
        // Entries of one pair in both blocks.
        let entries = |x: *const u8, y: *const u8, table: *const u8| unsafe {
            let (low, high) = (v128_load(table.cast()), v128_load(table.add(16).cast()));
            let (x, y) = (v128_load(x.cast()), v128_load(y.cast()));
            let of =
                |code: v128| u8x16_add(swizzle(low, v128_and(code, nibble)), swizzle(high, v128_and(u16x8_shr(code, 4), nibble)));
            (of(x), of(y))
        };
        let mut pair = 0;
        while pair + GROUP <= pairs {
            // SAFETY: GROUP more pairs are there.
            unsafe {
                let (x0, y0) = entries(x, y, table);
                let (x1, y1) = entries(x.add(16), y.add(16), table.add(32));
                let (x2, y2) = entries(x.add(32), y.add(32), table.add(64));
                let (x3, y3) = entries(x.add(48), y.add(48), table.add(96));
                (x, y, table) = (x.add(64), y.add(64), table.add(128));
                let (of_x, of_y) =
                    (u8x16_add(u8x16_add(x0, x1), u8x16_add(x2, x3)), u8x16_add(u8x16_add(y0, y1), u8x16_add(y2, y3)));
                (a, b) = (i16x8_add(a, u16x8_extend_low_u8x16(of_x)), i16x8_add(b, u16x8_extend_high_u8x16(of_x)));
                (c, d) = (i16x8_add(c, u16x8_extend_low_u8x16(of_y)), i16x8_add(d, u16x8_extend_high_u8x16(of_y)));
            }
            pair += GROUP;
        }
        while pair < pairs {
            // SAFETY: one more pair is there.
            unsafe {
                let (of_x, of_y) = entries(x, y, table);
                (x, y, table) = (x.add(16), y.add(16), table.add(32));
                (a, b) = (i16x8_add(a, u16x8_extend_low_u8x16(of_x)), i16x8_add(b, u16x8_extend_high_u8x16(of_x)));
                (c, d) = (i16x8_add(c, u16x8_extend_low_u8x16(of_y)), i16x8_add(d, u16x8_extend_high_u8x16(of_y)));
            }
            pair += 1;
        }
        // SAFETY: sixteen sums of a block.
        let mut keep = |block: usize, low: v128, high: v128| unsafe {
            let out = sums.as_mut_ptr().add(block * BLOCK);
            v128_store(out.cast(), low);
            v128_store(out.add(8).cast(), high);
            masks[block] = i8x16_bitmask(i8x16_narrow_i16x8(i16x8_ge(low, admit), i16x8_ge(high, admit)));
        };
        keep(first, a, b);
        keep(second, c, d);
        first += 2;
    }
}
