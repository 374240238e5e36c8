//! WASM simd128, and relaxed SIMD where the build has it. WASM cannot ask at run time: the page chooses the build.

use std::arch::wasm32::*;

use super::{BLOCK, Kernels, Scan, scalar};

static SIMD128: Kernels = Kernels {
    name: "simd128",
    dots,
    dots_at,
    dots_f32,
    scan: |s, admit, sums, masks| scan(s, admit, sums, masks, |t, i| i8x16_swizzle(t, i)),
};

/// The relaxed swizzle saves a clamp. Its result is free only for places past 15, and codes are nibbles.
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
        // SAFETY: 16 numbers from k on lie inside row and query.
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

fn dots_at(rows: &[i8], at: &[u32], query: &[i16], out: &mut [i32]) {
    for (row, out) in at.iter().zip(out) {
        // SAFETY: every row of `at` lies inside `rows`, by the caller's check.
        *out = unsafe { dot(rows.as_ptr().add(*row as usize * query.len()), query) };
    }
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

#[inline(always)]
fn scan(s: &Scan, admit: i16, sums: &mut [i16], masks: &mut [u16], swizzle: impl Fn(v128, v128) -> v128) {
    let pairs = s.tables.len() / 32;
    let (factor, offset, admit) = (i16x8_splat(s.factor), i16x8_splat(s.offset), i16x8_splat(admit));
    let mut codes = s.codes.as_ptr();
    for (i, mask) in masks.iter_mut().enumerate() {
        // SAFETY: `codes` and `tables` point at pair p of block i and its two tables, by the caller's check.
        let look_up = |codes: *const u8, tables: *const u8| unsafe {
            let code = v128_load(codes.cast());
            let low = swizzle(v128_load(tables.cast()), v128_and(code, u8x16_splat(15)));
            u8x16_add(low, swizzle(v128_load(tables.add(16).cast()), u8x16_shr(code, 4)))
        };
        // SAFETY: sixteen biases of block i.
        let (b0, b1) = unsafe {
            let biases = s.biases.as_ptr().add(i * BLOCK);
            (v128_load(biases.cast()), v128_load(biases.add(8).cast()))
        };
        let mut low = i16x8_add(i16x8_q15mulr_sat(b0, factor), offset);
        let mut high = i16x8_add(i16x8_q15mulr_sat(b1, factor), offset);
        let mut tables = s.tables.as_ptr();
        for _ in 0..pairs / 2 {
            // SAFETY: two more pairs of this block.
            let sum = unsafe {
                let sum = u8x16_add(look_up(codes, tables), look_up(codes.add(16), tables.add(32)));
                codes = codes.add(32);
                tables = tables.add(64);
                sum
            };
            low = i16x8_add(low, u16x8_extend_low_u8x16(sum));
            high = i16x8_add(high, u16x8_extend_high_u8x16(sum));
        }
        if pairs % 2 == 1 {
            let sum = look_up(codes, tables);
            // SAFETY: the last pair of this block.
            codes = unsafe { codes.add(16) };
            low = i16x8_add(low, u16x8_extend_low_u8x16(sum));
            high = i16x8_add(high, u16x8_extend_high_u8x16(sum));
        }
        // SAFETY: sixteen sums of block i.
        unsafe {
            let out = sums.as_mut_ptr().add(i * BLOCK);
            v128_store(out.cast(), low);
            v128_store(out.add(8).cast(), high);
        }
        *mask = i8x16_bitmask(i8x16_narrow_i16x8(i16x8_ge(low, admit), i16x8_ge(high, admit)));
    }
}
