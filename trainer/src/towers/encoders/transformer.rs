//! Causal transformer blocks with a layer norm before attention and before the perceptron. Kang and McAuley,
//! Self-attentive sequential recommendation, 2018.
//!
//! x ← x + drop(W · attention(LN(x))); x ← x + drop(W2 · GELU(W1 · LN(x))). The summary of a prefix is its last
//! row.

use crate::onnx::{Attribute, GraphBuilder, Value};
use crate::ops::attention::{self, DISTANCES};
use crate::ops::dropout::Dropout;
use crate::ops::{Real, gelu, layer_norm, linear};
use crate::random::mix;
use crate::towers::params::{Parameter, fill_uniform, split, split_mut, total};

/// The number of blocks.
const BLOCKS: usize = 2;
/// The number of attention heads in a block. d must be a multiple of it.
pub const HEADS: usize = 2;
/// The hidden width of the perceptron, as a multiple of d.
const WIDE: usize = 4;
/// The initial scale of a block's residual branches.
const START_SHARE: f64 = 0.5;

/// Parameters of a block, or their gradients.
struct Block<S> {
    first_gain: S,
    first_bias: S,
    qkv: S,
    qkv_bias: S,
    distances: S,
    out: S,
    out_bias: S,
    second_gain: S,
    second_bias: S,
    w1: S,
    b1: S,
    w2: S,
    b2: S,
}

const PARAMETERS: usize = 13;

impl<S> From<[S; PARAMETERS]> for Block<S> {
    fn from(parts: [S; PARAMETERS]) -> Self {
        let [first_gain, first_bias, qkv, qkv_bias, distances, out, out_bias, second_gain, second_bias, w1, b1, w2, b2] = parts;
        Block { first_gain, first_bias, qkv, qkv_bias, distances, out, out_bias, second_gain, second_bias, w1, b1, w2, b2 }
    }
}

/// Activations of one block that its backward pass needs.
pub(super) struct Passed<T> {
    /// The inputs of attention and of the perceptron, before the norms: `[events, d]`.
    x: [Vec<T>; 2],
    /// The same inputs after the norms: `[events, d]`.
    normed: [Vec<T>; 2],
    qkv: Vec<T>,
    shares: Vec<T>,
    /// The output of attention, before W.
    seen: Vec<T>,
    /// The hidden layer of the perceptron, before and after GELU.
    hidden: [Vec<T>; 2],
    dropout: [Dropout; 2],
}

fn block_layout(d: usize, block: usize) -> Vec<Parameter> {
    let parameter = |name: &str, shape: &[usize]| Parameter::new(format!("block{block}_{name}"), shape);
    vec![
        parameter("first_gain", &[d]),
        parameter("first_bias", &[d]),
        parameter("qkv", &[d, 3 * d]),
        parameter("qkv_bias", &[3 * d]),
        parameter("distances", &[HEADS * DISTANCES]),
        parameter("out", &[d, d]),
        parameter("out_bias", &[d]),
        parameter("second_gain", &[d]),
        parameter("second_bias", &[d]),
        parameter("w1", &[d, WIDE * d]),
        parameter("b1", &[WIDE * d]),
        parameter("w2", &[WIDE * d, d]),
        parameter("b2", &[d]),
    ]
}

pub(super) fn layout(d: usize) -> Vec<Parameter> {
    (0..BLOCKS).flat_map(|block| block_layout(d, block)).collect()
}

/// Splits the flat list into the parameters of each block.
fn blocks<T>(d: usize, numbers: &[T]) -> Vec<Block<&[T]>> {
    let layout = block_layout(d, 0);
    numbers.chunks_exact(total(&layout)).map(|one| split(&layout, one).into()).collect()
}

pub(super) fn start<T: Real>(d: usize, numbers: &mut [T], seed: u64) {
    let layout = block_layout(d, 0);
    for (i, one) in numbers.chunks_exact_mut(total(&layout)).enumerate() {
        let seed = mix(seed, i as u64);
        let p: Block<&mut [T]> = split_mut(&layout, one).into();
        p.first_gain.fill(T::ONE);
        p.second_gain.fill(T::ONE);
        let bound = |inputs: usize| 1.0 / libm::sqrt(inputs as f64);
        fill_uniform(p.qkv, bound(d), seed);
        fill_uniform(p.out, START_SHARE * bound(d), seed + 1);
        fill_uniform(p.w1, bound(d), seed + 2);
        fill_uniform(p.w2, START_SHARE * bound(WIDE * d), seed + 3);
    }
}

fn add<T: Real>(to: &mut [T], x: &[T]) {
    to.iter_mut().zip(x).for_each(|(to, x)| *to += *x);
}

pub(super) fn forward<T: Real>(d: usize, numbers: &[T], h: &[T], dropout: Dropout, summary: &mut [T]) -> Vec<Passed<T>> {
    let events = h.len() / d;
    if events == 0 {
        return Vec::new();
    }
    let zeros = |width: usize| vec![T::ZERO; events * width];
    let mut x = h.to_vec();
    let mut passed = Vec::new();
    for (i, p) in blocks(d, numbers).into_iter().enumerate() {
        let dropout = [0, 1].map(|part| Dropout { seed: mix(dropout.seed, 2 * i as u64 + part), ..dropout });
        let (before, mut first, mut qkv, mut seen, mut part) = (x.clone(), zeros(d), zeros(3 * d), zeros(d), zeros(d));
        layer_norm::forward(&x, d, Some((p.first_gain, p.first_bias)), &mut first);
        linear::forward(&first, p.qkv, p.qkv_bias, &mut qkv);
        let shares = attention::forward(d, HEADS, &qkv, p.distances, &mut seen);
        linear::forward(&seen, p.out, p.out_bias, &mut part);
        dropout[0].apply(&mut part);
        add(&mut x, &part);
        let (between, mut second, mut inner, mut outer) = (x.clone(), zeros(d), zeros(WIDE * d), zeros(WIDE * d));
        layer_norm::forward(&x, d, Some((p.second_gain, p.second_bias)), &mut second);
        linear::forward(&second, p.w1, p.b1, &mut inner);
        gelu::forward(&inner, &mut outer);
        linear::forward(&outer, p.w2, p.b2, &mut part);
        dropout[1].apply(&mut part);
        add(&mut x, &part);
        passed.push(Passed { x: [before, between], normed: [first, second], qkv, shares, seen, hidden: [inner, outer], dropout });
    }
    summary[d..].copy_from_slice(&x);
    passed
}

pub(super) fn backward<T: Real>(d: usize, numbers: &[T], dh: &mut [T], passed: &[Passed<T>], dsummary: &[T], dnumbers: &mut [T]) {
    let layout = block_layout(d, 0);
    let zeros = |width: usize| vec![T::ZERO; dh.len() / d * width];
    let mut dx = dsummary[d..].to_vec();
    let gradients = dnumbers.chunks_exact_mut(total(&layout));
    for ((p, a), dp) in blocks(d, numbers).into_iter().zip(passed).zip(gradients).rev() {
        let dp: Block<&mut [T]> = split_mut(&layout, dp).into();
        let (mut dpart, mut dhidden, mut dnormed) = (dx.clone(), zeros(WIDE * d), zeros(d));
        a.dropout[1].apply(&mut dpart);
        linear::backward(&a.hidden[1], p.w2, &dpart, dp.w2, dp.b2, &mut dhidden);
        gelu::backward(&a.hidden[0], &mut dhidden);
        linear::backward(&a.normed[1], p.w1, &dhidden, dp.w1, dp.b1, &mut dnormed);
        let affine = Some((dp.second_gain, dp.second_bias));
        layer_norm::backward(&a.x[1], d, Some(p.second_gain), &dnormed, affine, &mut dx);

        let (mut dpart, mut dseen, mut dqkv) = (dx.clone(), zeros(d), zeros(3 * d));
        a.dropout[0].apply(&mut dpart);
        linear::backward(&a.seen, p.out, &dpart, dp.out, dp.out_bias, &mut dseen);
        attention::backward(d, HEADS, &a.qkv, &a.shares, &dseen, &mut dqkv, dp.distances);
        linear::backward(&a.normed[0], p.qkv, &dqkv, dp.qkv, dp.qkv_bias, &mut dnormed);
        let affine = Some((dp.first_gain, dp.first_bias));
        layer_norm::backward(&a.x[0], d, Some(p.first_gain), &dnormed, affine, &mut dx);
    }
    add(dh, &dx);
}

/// Adds the blocks to a graph. The last block computes only the newest row, which is the summary.
pub(super) fn onnx(g: &mut GraphBuilder, [d, len]: [usize; 2], numbers: &[f32], h: &Value, mask: &Value) -> Value {
    let absent = attention::absent(g, len, mask);
    let newest = g.constant_i64("newest", &[1], &[0]);
    let first = [("axis", Attribute::Int(1))];
    let mut x = h.clone();
    let blocks = blocks(d, numbers);
    for (i, p) in blocks.iter().enumerate() {
        let name = |part: &str| format!("block{i}.{part}");
        let normed = layer_norm::onnx(g, &name("first"), &x, d, Some((p.first_gain, p.first_bias)));
        let (mut asking, mut rows) = (normed.clone(), len);
        if i + 1 == blocks.len() {
            asking = g.node("Gather", &[&normed, &newest], &first);
            x = g.node("Gather", &[&x, &newest], &first);
            rows = 1;
        }
        let mut part = |at: usize, word: &str, x: &Value| {
            let columns: Vec<f32> = p.qkv.chunks_exact(3 * d).flat_map(|row| &row[at * d..(at + 1) * d]).copied().collect();
            product(g, &name(word), x, &columns, &p.qkv_bias[at * d..(at + 1) * d])
        };
        let (q, k, v) = (part(0, "q", &asking), part(1, "k", &normed), part(2, "v", &normed));
        let seen = attention::onnx(g, &name("attention"), [d, HEADS, len, rows], [&q, &k, &v], p.distances, &absent);
        let attended = product(g, &name("out"), &seen, p.out, p.out_bias);
        x = g.node("Add", &[&x, &attended], &[]);
        let normed = layer_norm::onnx(g, &name("second"), &x, d, Some((p.second_gain, p.second_bias)));
        let inner = product(g, &name("inner"), &normed, p.w1, p.b1);
        let outer = gelu::onnx(g, &name("gelu"), &inner);
        let outer = product(g, &name("outer"), &outer, p.w2, p.b2);
        x = g.node("Add", &[&x, &outer], &[]);
    }
    // The summary of an empty history is 0, since there is no newest event.
    let any = g.node("Gather", &[mask, &newest], &first);
    let last = g.constant_i64("any.last", &[1], &[2]);
    let any = g.node("Unsqueeze", &[&any, &last], &[]);
    g.node("Mul", &[&x, &any], &[])
}

/// x `[batch, rows, a]` · `w` `[a, b]` + `bias`.
fn product(g: &mut GraphBuilder, name: &str, x: &Value, w: &[f32], bias: &[f32]) -> Value {
    let b = bias.len();
    let w = g.constant_f32(&format!("{name}.weight"), &[w.len() / b, b], w);
    let bias = g.constant_f32(&format!("{name}.bias"), &[b], bias);
    let product = g.node("MatMul", &[x, &w], &[]);
    g.node("Add", &[&product, &bias], &[])
}
