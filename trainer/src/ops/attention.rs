//! Causal self-attention with several heads and a learned bias per head and distance between two events.
//!
//! Sources: Vaswani et al., Attention is all you need, 2017; Shaw et al., Self-attention with relative position
//! representations, 2018. The bias depends on the distance alone, because the first event of a bounded history has no
//! special meaning.

use super::{Op, Real, matmul};
use crate::onnx::{Attribute, GraphBuilder, Value};

/// Number of distance buckets. Distances 0 to 7 have one bucket each, every later doubling has two, and the last bucket
/// holds all distances from 363 on.
pub const DISTANCES: usize = 20;
/// Added to the score of a key that the query must not see.
const HIDDEN: f32 = -1e9;

/// Bucket of a distance in events, below [`DISTANCES`].
fn bucket(distance: usize) -> usize {
    if distance < 8 {
        return distance;
    }
    let octave = distance.ilog2() as usize;
    // Is the distance in the upper half of its doubling, on a logarithmic scale?
    let half = usize::from(distance * distance >= 1 << (2 * octave + 1));
    (2 + 2 * octave + half).min(DISTANCES - 1)
}

/// Copies columns `at..at + width` of `x` `[rows, d]` to a matrix `[rows, width]`.
fn columns<T: Real>(x: &[T], d: usize, at: usize, width: usize) -> Vec<T> {
    x.chunks_exact(d).flat_map(|row| &row[at..at + width]).copied().collect()
}

/// Adds `x` `[rows, width]` to columns `at..at + width` of `out` `[rows, d]`.
fn add_columns<T: Real>(x: &[T], d: usize, at: usize, width: usize, out: &mut [T]) {
    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(d)) {
        out[at..at + width].iter_mut().zip(x).for_each(|(o, x)| *o += *x);
    }
}

/// Attends over `qkv` `[rows, 3 d]`: queries, keys and values side by side, oldest event first.
///
/// `bias` is `[heads, DISTANCES]`. Writes `out` `[rows, d]` and returns the attention weights `[heads, rows, rows]`,
/// which [`backward`] takes as `shares`.
pub fn forward<T: Real>(d: usize, heads: usize, qkv: &[T], bias: &[T], out: &mut [T]) -> Vec<T> {
    let (rows, width) = (out.len() / d, d / heads);
    let scale = T::of(1.0 / libm::sqrt(width as f64));
    let mut shares = vec![T::ZERO; heads * rows * rows];
    out.fill(T::ZERO);
    for (head, (shares, bias)) in shares.chunks_exact_mut(rows * rows).zip(bias.chunks_exact(DISTANCES)).enumerate() {
        let [q, k, v] = [0, 1, 2].map(|part| columns(qkv, 3 * d, part * d + head * width, width));
        matmul([rows, width, rows], (&q, Op::Plain), (&k, Op::Transposed), T::ZERO, shares);
        for (i, row) in shares.chunks_exact_mut(rows).enumerate() {
            let (seen, newer) = row.split_at_mut(i + 1);
            newer.fill(T::ZERO);
            let mut max = T::of(f64::NEG_INFINITY);
            for (j, x) in seen.iter_mut().enumerate() {
                *x = *x * scale + bias[bucket(i - j)];
                max = max.max(*x);
            }
            let mut sum = T::ZERO;
            for x in seen.iter_mut() {
                *x = (*x - max).exp();
                sum += *x;
            }
            seen.iter_mut().for_each(|x| *x /= sum);
        }
        let mut seen = vec![T::ZERO; rows * width];
        matmul([rows, rows, width], (shares, Op::Plain), (&v, Op::Plain), T::ZERO, &mut seen);
        add_columns(&seen, d, head * width, width, out);
    }
    shares
}

/// The backward pass for `dout` `[rows, d]`. Writes `dqkv` `[rows, 3 d]` and adds to `dbias` `[heads, DISTANCES]`.
pub fn backward<T: Real>(d: usize, heads: usize, qkv: &[T], shares: &[T], dout: &[T], dqkv: &mut [T], dbias: &mut [T]) {
    let (rows, width) = (dout.len() / d, d / heads);
    let scale = T::of(1.0 / libm::sqrt(width as f64));
    dqkv.fill(T::ZERO);
    let mut dscores = vec![T::ZERO; rows * rows];
    for (head, (shares, dbias)) in shares.chunks_exact(rows * rows).zip(dbias.chunks_exact_mut(DISTANCES)).enumerate() {
        let [q, k, v] = [0, 1, 2].map(|part| columns(qkv, 3 * d, part * d + head * width, width));
        let dseen = columns(dout, d, head * width, width);
        matmul([rows, width, rows], (&dseen, Op::Plain), (&v, Op::Transposed), T::ZERO, &mut dscores);
        for (i, (dscores, shares)) in dscores.chunks_exact_mut(rows).zip(shares.chunks_exact(rows)).enumerate() {
            let along = dscores[..=i].iter().zip(shares).map(|(d, p)| *d * *p).sum::<T>();
            for (j, (d, p)) in dscores.iter_mut().zip(shares).enumerate() {
                // The weights of newer events are 0.
                *d = *p * (*d - along);
                if j <= i {
                    dbias[bucket(i - j)] += *d;
                }
                *d *= scale;
            }
        }
        let mut part = vec![T::ZERO; rows * width];
        let mut add = |part_of: usize, shape: [usize; 3], a: (&[T], Op), b: &[T]| {
            matmul(shape, a, (b, Op::Plain), T::ZERO, &mut part);
            add_columns(&part, 3 * d, part_of * d + head * width, width, dqkv);
        };
        add(0, [rows, rows, width], (&dscores, Op::Plain), &k);
        add(1, [rows, rows, width], (&dscores, Op::Transposed), &q);
        add(2, [rows, rows, width], (shares, Op::Transposed), &dseen);
    }
}

/// Biases of the newest `asking` events over all `len` keys, both newest first: `[1, heads, asking, len]`. Keys newer
/// than the query have [`HIDDEN`].
fn biases(heads: usize, len: usize, asking: usize, bias: &[f32]) -> Vec<f32> {
    let one = |head: usize, i: usize, j: usize| if j < i { HIDDEN } else { bias[head * DISTANCES + bucket(j - i)] };
    (0..heads).flat_map(|h| (0..asking).flat_map(move |i| (0..len).map(move |j| one(h, i, j)))).collect()
}

/// Masks absent events: −10⁹ where `mask` f32 `[batch, L]` is 0, and 0 where it is 1. Shape `[batch, 1, 1, L]`.
pub fn absent(g: &mut GraphBuilder, len: usize, mask: &Value) -> Value {
    let one = g.constant_f32("attention.one", &[], &[1.0]);
    let far = g.constant_f32("attention.far", &[], &[-HIDDEN]);
    let absent = g.node("Sub", &[mask, &one], &[]);
    let absent = g.node("Mul", &[&absent, &far], &[]);
    let shape = g.constant_i64("attention.mask", &[4], &[-1, 1, 1, len as i64]);
    g.node("Reshape", &[&absent, &shape], &[])
}

/// ONNX nodes of the attention of the newest `asking` events; returns `[batch, asking, d]`.
///
/// `q` is `[batch, asking, d]`, `k` and `v` are `[batch, L, d]`, all newest first; `bias` is `[heads, DISTANCES]`.
/// `absent` is the result of [`absent`].
#[allow(clippy::too_many_arguments)]
pub fn onnx(
    g: &mut GraphBuilder,
    name: &str,
    [d, heads, len, asking]: [usize; 4],
    [q, k, v]: [&Value; 3],
    bias: &[f32],
    absent: &Value,
) -> Value {
    let mut split = |part: &str, x: &Value, rows: usize| {
        let shape = [-1, rows as i64, heads as i64, (d / heads) as i64];
        let shape = g.constant_i64(&format!("{name}.{part}"), &[4], &shape);
        g.node("Reshape", &[x, &shape], &[])
    };
    let (q, k, v) = (split("queries", q, asking), split("keys", k, len), split("values", v, len));
    let scale = g.constant_f32(&format!("{name}.scale"), &[], &[1.0 / ((d / heads) as f32).sqrt()]);
    let bias = g.constant_f32(&format!("{name}.bias"), &[1, heads, asking, len], &biases(heads, len, asking, bias));
    let equation = |text| [("equation", Attribute::Text(text))];
    let scores = g.node("Einsum", &[&q, &k], &equation("bihd,bjhd->bhij"));
    let scores = g.node("Mul", &[&scores, &scale], &[]);
    let scores = g.node("Add", &[&scores, &bias], &[]);
    let scores = g.node("Add", &[&scores, absent], &[]);
    let shares = g.node("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
    let seen = g.node("Einsum", &[&shares, &v], &equation("bhij,bjhd->bihd"));
    let shape = g.constant_i64(&format!("{name}.joined"), &[3], &[-1, asking as i64, d as i64]);
    g.node("Reshape", &[&seen, &shape], &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn distances_fall_into_their_buckets() {
        let buckets: Vec<usize> = [0, 7, 8, 11, 12, 15, 16, 22, 23, 31, 32, 361, 363, 9999].map(bucket).to_vec();
        assert_eq!(buckets, [0, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 18, 19, 19]);
    }

    #[test]
    fn equal_scores_give_the_mean_of_the_event_and_all_older_ones() {
        let (d, heads) = (2, 1);
        // Queries and keys of zeros; values 1, 3, 8 in the first dimension.
        let qkv = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0];
        let mut out = [9.0f64; 6];
        forward(d, heads, &qkv, &[0.0; DISTANCES], &mut out);
        for (got, expected) in out.iter().zip([1.0, 0.0, 2.0, 0.0, 4.0, 0.0]) {
            assert!((got - expected).abs() < 1e-12);
        }
        // A bias of ln 2 at distance 0 counts the event itself twice.
        let mut bias = [0.0; DISTANCES];
        bias[0] = std::f64::consts::LN_2;
        forward(d, heads, &qkv, &bias, &mut out);
        assert!((out[2] - 7.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn large_scores_stay_finite() {
        let mut out = [9.0f64; 6];
        forward(2, 1, &[0.0; 18].map(|_: f64| 60.0), &[2000.0; DISTANCES], &mut out);
        assert_eq!(out, [60.0; 6]);
    }

    #[test]
    fn biases_depend_on_distance_and_hide_newer_events() {
        let bias: Vec<f32> = (0..2 * DISTANCES).map(|i| i as f32).collect();
        let hidden = -1e9;
        assert_eq!(biases(2, 3, 2, &bias), [0.0, 1.0, 2.0, hidden, 0.0, 1.0, 20.0, 21.0, 22.0, hidden, 20.0, 21.0]);
        assert_eq!(biases(1, 10, 1, &bias)[7..], [7.0, 8.0, 8.0]);
    }

    #[test]
    fn gradients() {
        let (d, heads, rows) = (4, 2, 10);
        let (qkv, bias, dout) = (numbers(rows * 3 * d, 1), numbers(heads * DISTANCES, 2), numbers(rows * d, 3));
        let loss = |qkv: &[f64], bias: &[f64]| {
            let mut out = vec![0.0; rows * d];
            forward(d, heads, qkv, bias, &mut out);
            out.iter().zip(&dout).map(|(y, d)| y * d).sum()
        };
        let mut out = vec![0.0; rows * d];
        let shares = forward(d, heads, &qkv, &bias, &mut out);
        let (mut dqkv, mut dbias) = (vec![9.0; qkv.len()], vec![0.0; bias.len()]);
        backward(d, heads, &qkv, &shares, &dout, &mut dqkv, &mut dbias);
        assert_gradient("qkv", &qkv, &dqkv, |qkv| loss(qkv, &bias));
        assert_gradient("bias", &bias, &dbias, |bias| loss(&qkv, bias));
    }
}
