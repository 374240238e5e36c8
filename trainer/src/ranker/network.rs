//! The ranker's network: scores candidates from the visitor's vector, the item's vector and encoded features.
//!
//! Of an embedding table E, projections P and Q, a candidate's slots with weights w, and the vectors u and v of visitor
//! and item, both `[d]`:
//!
//! - x₀ = [Σ w E(slot); P u; Q v; u ⊙ v]
//! - *DCN-v2* (Wang et al., 2021): xₗ₊₁ = x₀ ⊙ (Uₗ Vₗ xₗ + bₗ) + xₗ, a low rank for Uₗ Vₗ, with a perceptron beside it
//! - *Wide & Deep* (Cheng et al., 2016): the perceptron alone
//!
//! Both add a linear part Σ w W(slot), which starts as the score of retrieval. So an untrained ranker orders as
//! retrieval does.

use foretaste::features::Bag;
use foretaste::model::Graph;
use foretaste::model::signature::{RankerInputs, RankerOutputs, Shapes};
use serde::{Deserialize, Serialize};

use crate::onnx::{Attribute, GraphBuilder, Value};
use crate::ops::dropout::Dropout;
use crate::ops::{Op, Real, bag, linear, matmul};
use crate::random::mix;
use crate::towers::{Parameter, fill_normal, split, split_mut, total};

/// Numbers of an embedded slot.
const EMBEDDING: usize = 48;
/// Numbers that a vector is projected to.
const PROJECTED: usize = 16;
/// Rank and number of the cross layers.
const RANK: usize = 16;
const LAYERS: usize = 2;
/// Widths of the perceptron's hidden layers.
const HIDDEN: [usize; 2] = [64, 32];
/// Number of parameters: see [`RankerShape::layout`].
const PARAMETERS: usize = 8 + 3 * LAYERS + 2;
/// Standard deviation of an embedded slot's numbers when training starts.
const START_SD: f64 = 0.05;

/// Kinds of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Cross layers beside a perceptron.
    Dcn,
    /// A perceptron beside a linear part.
    WideDeep,
}

/// Everything that sets the sizes of a ranker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankerShape {
    /// Kind of network.
    pub network: Network,
    /// d: dimensions of a visitor's or item's vector.
    pub dim: usize,
    /// Rows of the embedding table: the widths of all inputs together.
    pub slots: usize,
    /// Number of outputs.
    pub heads: usize,
}

impl RankerShape {
    /// Length of x₀.
    fn width(&self) -> usize {
        EMBEDDING + 2 * PROJECTED + self.dim
    }

    /// Length of what the outputs are a linear function of.
    fn top(&self) -> usize {
        HIDDEN[1] + if self.network == Network::Dcn { self.width() } else { 0 }
    }

    fn layout(&self) -> Vec<Parameter> {
        let (n, heads) = (self.width(), self.heads);
        let crossed = if self.network == Network::Dcn { n } else { 0 };
        let mut layout = vec![
            Parameter::new("embedding", &[self.slots, EMBEDDING]),
            Parameter::new("user", &[self.dim, PROJECTED]),
            Parameter::new("item", &[self.dim, PROJECTED]),
            Parameter::new("wide", &[self.slots, heads]),
            Parameter::new("hidden_0", &[n, HIDDEN[0]]),
            Parameter::new("hidden_0_bias", &[HIDDEN[0]]),
            Parameter::new("hidden_1", &[HIDDEN[0], HIDDEN[1]]),
            Parameter::new("hidden_1_bias", &[HIDDEN[1]]),
        ];
        for layer in 0..LAYERS {
            layout.push(Parameter::new(format!("cross_{layer}_down"), &[crossed, RANK]));
            layout.push(Parameter::new(format!("cross_{layer}_up"), &[RANK, crossed]));
            layout.push(Parameter::new(format!("cross_{layer}_bias"), &[crossed]));
        }
        layout.push(Parameter::new("out", &[self.top(), heads]));
        layout.push(Parameter::new("out_bias", &[heads]));
        layout
    }
}

/// The parameters, or their gradients.
struct Parts<S> {
    embedding: S,
    user: S,
    item: S,
    wide: S,
    hidden: [[S; 2]; 2],
    /// Down `[n, r]`, up `[r, n]` and bias `[n]` of each layer.
    cross: [[S; 3]; LAYERS],
    out: S,
    out_bias: S,
}

impl<S> From<[S; PARAMETERS]> for Parts<S> {
    fn from(parts: [S; PARAMETERS]) -> Self {
        let [embedding, user, item, wide, h0, b0, h1, b1, d0, u0, s0, d1, u1, s1, out, out_bias] = parts;
        let (hidden, cross) = ([[h0, b0], [h1, b1]], [[d0, u0, s0], [d1, u1, s1]]);
        Parts { embedding, user, item, wide, hidden, cross, out, out_bias }
    }
}

/// A ranker with its numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker<T = f32> {
    /// Its sizes.
    pub shape: RankerShape,
    /// Names and shapes of its parameters, in the order of `numbers`.
    pub layout: Vec<Parameter>,
    /// All parameters, one after the other.
    pub numbers: Vec<T>,
}

/// What some candidates are scored from, row by row.
#[derive(Clone, Copy)]
pub struct Candidates<'a, T> {
    /// The visitor's vector of each candidate: `[rows, d]`.
    pub users: &'a [T],
    /// The item's vector of each candidate: `[rows, d]`.
    pub items: &'a [T],
    /// The encoded features of each candidate.
    pub bags: &'a [&'a Bag],
}

/// What the backward pass needs of the forward pass.
pub struct Activations<T> {
    x0: Vec<T>,
    /// Input of each cross layer, `[rows, n]`, its projection `[rows, r]`, and what x₀ is multiplied by, `[rows, n]`.
    cross: Vec<[Vec<T>; 3]>,
    /// Hidden layers after ReLU and dropout.
    hidden: [Vec<T>; 2],
    top: Vec<T>,
    /// The outputs: `[rows, heads]`, in logits for heads of probability, else in standard deviations of the value.
    pub heads: Vec<T>,
}

impl<T: Real> Ranker<T> {
    /// A ranker of zeros.
    pub fn zeros(shape: RankerShape) -> Self {
        let layout = shape.layout();
        Ranker { shape, numbers: vec![T::ZERO; total(&layout)], layout }
    }

    /// An untrained ranker whose outputs are `scale` times the weight of the slot `score`, the deviation of
    /// retrieval's score; equal seeds give equal numbers.
    pub fn start(shape: RankerShape, score: Option<(u32, f64)>, seed: u64) -> Self {
        let mut ranker = Self::zeros(shape);
        let mut p = Parts::from(split_mut(&ranker.layout, &mut ranker.numbers));
        let fan = |inputs: usize, gain: f64| (gain / inputs as f64).sqrt();
        fill_normal(p.embedding, START_SD, mix(seed, 0));
        fill_normal(p.user, fan(shape.dim, 1.0), mix(seed, 1));
        fill_normal(p.item, fan(shape.dim, 1.0), mix(seed, 2));
        // He et al., 2015, for layers with ReLU.
        fill_normal(p.hidden[0][0], fan(shape.width(), 2.0), mix(seed, 3));
        fill_normal(p.hidden[1][0], fan(HIDDEN[0], 2.0), mix(seed, 4));
        for (layer, [down, up, _]) in p.cross.iter_mut().enumerate() {
            fill_normal(down, fan(shape.width(), 1.0), mix(seed, 5 + 2 * layer as u64));
            fill_normal(up, fan(RANK, 0.1), mix(seed, 6 + 2 * layer as u64));
        }
        // `out` stays 0: the outputs start as the linear part.
        if let Some((slot, scale)) = score {
            p.wide[slot as usize * shape.heads..][..shape.heads].fill(T::of(scale));
        }
        ranker
    }

    fn parts(&self) -> Parts<&[T]> {
        Parts::from(split(&self.layout, &self.numbers))
    }

    /// Scores candidates. `dropout` thins x₀ and the hidden layers.
    ///
    /// # Panics
    /// If a slot is past the table, or the lengths do not fit.
    pub fn forward(&self, candidates: Candidates<T>, dropout: Dropout) -> Activations<T> {
        let (p, shape, rows) = (self.parts(), self.shape, candidates.bags.len());
        let (n, d) = (shape.width(), shape.dim);
        let bags = || candidates.bags.iter().copied();
        let mut embedded = vec![T::ZERO; rows * EMBEDDING];
        bag::forward(p.embedding, EMBEDDING, bags(), &mut embedded);
        let projected = |vectors: &[T], matrix: &[T]| {
            let mut out = vec![T::ZERO; rows * PROJECTED];
            matmul([rows, d, PROJECTED], (vectors, Op::Plain), (matrix, Op::Plain), T::ZERO, &mut out);
            out
        };
        let (users, items) = (projected(candidates.users, p.user), projected(candidates.items, p.item));
        let mut x0 = Vec::with_capacity(rows * n);
        for row in 0..rows {
            x0.extend_from_slice(&embedded[row * EMBEDDING..][..EMBEDDING]);
            x0.extend_from_slice(&users[row * PROJECTED..][..PROJECTED]);
            x0.extend_from_slice(&items[row * PROJECTED..][..PROJECTED]);
            let both = candidates.users[row * d..][..d].iter().zip(&candidates.items[row * d..][..d]);
            x0.extend(both.map(|(u, v)| *u * *v));
        }
        of_layer(dropout, 0).apply(&mut x0);

        let mut cross = Vec::new();
        let mut crossed = Vec::new();
        if shape.network == Network::Dcn {
            crossed = x0.clone();
            for [down, up, bias] in p.cross {
                let (mut low, mut factor) = (vec![T::ZERO; rows * RANK], vec![T::ZERO; rows * n]);
                matmul([rows, n, RANK], (&crossed, Op::Plain), (down, Op::Plain), T::ZERO, &mut low);
                linear::forward(&low, up, bias, &mut factor);
                let next = x0.iter().zip(&factor).zip(&crossed).map(|((x, f), before)| *x * *f + *before).collect();
                cross.push([std::mem::replace(&mut crossed, next), low, factor]);
            }
        }
        let layer = |input: &[T], [weights, bias]: [&[T]; 2], place: u64| {
            let mut output = vec![T::ZERO; rows * bias.len()];
            linear::forward(input, weights, bias, &mut output);
            output.iter_mut().for_each(|x| *x = x.max(T::ZERO));
            of_layer(dropout, place).apply(&mut output);
            output
        };
        let first = layer(&x0, p.hidden[0], 1);
        let second = layer(&first, p.hidden[1], 2);
        let top = beside(rows, &crossed, &second);
        let mut heads = vec![T::ZERO; rows * shape.heads];
        linear::forward(&top, p.out, p.out_bias, &mut heads);
        bag::forward(p.wide, shape.heads, bags(), &mut heads);
        Activations { x0, cross, hidden: [first, second], top, heads }
    }

    /// Adds the gradient to `gradient`, which has the layout of the numbers. `dheads` `[rows, heads]` is the gradient
    /// of `Activations::heads`; the other arguments are those of the forward pass.
    pub fn backward(&self, candidates: Candidates<T>, a: &Activations<T>, dheads: &[T], dropout: Dropout, gradient: &mut [T]) {
        let (p, shape, rows) = (self.parts(), self.shape, candidates.bags.len());
        let (n, d) = (shape.width(), shape.dim);
        let mut g = Parts::from(split_mut(&self.layout, gradient));
        let bags = || candidates.bags.iter().copied();
        bag::backward(shape.heads, bags(), dheads, g.wide);
        let mut dtop = vec![T::ZERO; a.top.len()];
        linear::backward(&a.top, p.out, dheads, g.out, g.out_bias, &mut dtop);
        let crossed = shape.top() - HIDDEN[1];
        let (mut dcrossed, mut dsecond) = (Vec::with_capacity(rows * crossed), Vec::with_capacity(rows * HIDDEN[1]));
        for row in dtop.chunks_exact(shape.top()) {
            dcrossed.extend_from_slice(&row[..crossed]);
            dsecond.extend_from_slice(&row[crossed..]);
        }
        let [h0, h1] = &mut g.hidden;
        let layer = |input: &[T], output: &[T], weights: &[T], [dweights, dbias]: &mut [&mut [T]; 2], mut dout: Vec<T>, place| {
            of_layer(dropout, place).apply(&mut dout);
            dout.iter_mut().zip(output).filter(|(_, y)| **y <= T::ZERO).for_each(|(dy, _)| *dy = T::ZERO);
            let mut dinput = vec![T::ZERO; input.len()];
            linear::backward(input, weights, &dout, dweights, dbias, &mut dinput);
            dinput
        };
        let dfirst = layer(&a.hidden[0], &a.hidden[1], p.hidden[1][0], h1, dsecond, 2);
        let mut dx0 = layer(&a.x0, &a.hidden[0], p.hidden[0][0], h0, dfirst, 1);

        for (([input, low, factor], [down, up, _]), [ddown, dup, dbias]) in a.cross.iter().zip(p.cross).zip(&mut g.cross).rev() {
            let dfactor: Vec<T> = dcrossed.iter().zip(&a.x0).map(|(dy, x)| *dy * *x).collect();
            dx0.iter_mut().zip(&dcrossed).zip(factor).for_each(|((dx, dy), f)| *dx += *dy * *f);
            let mut dlow = vec![T::ZERO; low.len()];
            linear::backward(low, up, &dfactor, dup, dbias, &mut dlow);
            matmul([n, rows, RANK], (input, Op::Transposed), (&dlow, Op::Plain), T::ONE, ddown);
            matmul([rows, RANK, n], (&dlow, Op::Plain), (down, Op::Transposed), T::ONE, &mut dcrossed);
        }
        // The first cross layer reads x₀.
        dx0.iter_mut().zip(&dcrossed).for_each(|(dx, dy)| *dx += *dy);
        of_layer(dropout, 0).apply(&mut dx0);

        let part =
            |from: usize, len: usize| -> Vec<T> { dx0.chunks_exact(n).flat_map(|row| &row[from..from + len]).copied().collect() };
        bag::backward(EMBEDDING, bags(), &part(0, EMBEDDING), g.embedding);
        for (vectors, dmatrix, from) in [(candidates.users, g.user, EMBEDDING), (candidates.items, g.item, EMBEDDING + PROJECTED)]
        {
            let dprojected = part(from, PROJECTED);
            matmul([d, rows, PROJECTED], (vectors, Op::Transposed), (&dprojected, Op::Plain), T::ONE, dmatrix);
        }
    }
}

impl Ranker {
    /// The ranker as an ONNX file with the inputs and outputs of [`RANKER`](foretaste::model::signature::RANKER), for
    /// bags of at most `width` slots. `rotation` `[d, d]` turns the vectors into those that it learnt from.
    pub fn onnx(&self, width: usize, rotation: &[f32]) -> Vec<u8> {
        let d = self.shape.dim;
        let shapes = Shapes { dim: d, ranker: width, heads: self.shape.heads, ..Shapes::default() };
        let mut g = GraphBuilder::new(Graph::Ranker.name());
        let RankerInputs { user, item, slots, weights } = RankerInputs::each(|port| g.input(port, &shapes));
        let rotation = g.constant_f32("rotation", &[d, d], rotation);
        let [user, item] = [user, item].map(|vectors| g.node("MatMul", &[&vectors, &rotation], &[]));
        let heads = self.nodes(&mut g, [&user, &item, &slots, &weights]);
        g.output(RankerOutputs::each(|port| port).heads, &heads, &shapes);
        g.finish()
    }

    /// Nodes from the turned vectors and the padded bags to the heads.
    fn nodes(&self, g: &mut GraphBuilder, [user, item, slots, weights]: [&Value; 4]) -> Value {
        let (p, shape) = (self.parts(), self.shape);
        let concat = |g: &mut GraphBuilder, parts: &[&Value]| g.node("Concat", parts, &[("axis", Attribute::Int(1))]);
        let embedded = bag::onnx(g, "embedding", p.embedding, EMBEDDING, slots, weights);
        let mut projected = |name: &str, vectors: &Value, matrix: &[f32]| {
            let matrix = g.constant_f32(name, &[shape.dim, PROJECTED], matrix);
            g.node("MatMul", &[vectors, &matrix], &[])
        };
        let (users, items) = (projected("user_projection", user, p.user), projected("item_projection", item, p.item));
        let both = g.node("Mul", &[user, item], &[]);
        let x0 = concat(g, &[&embedded, &users, &items, &both]);
        let mut top = Vec::new();
        if shape.network == Network::Dcn {
            let mut crossed = x0.clone();
            for (layer, [down, up, bias]) in p.cross.into_iter().enumerate() {
                let down = g.constant_f32(&format!("cross_{layer}.down"), &[shape.width(), RANK], down);
                let low = g.node("MatMul", &[&crossed, &down], &[]);
                let factor = linear::onnx(g, &format!("cross_{layer}"), &low, up, bias);
                let product = g.node("Mul", &[&x0, &factor], &[]);
                crossed = g.node("Add", &[&product, &crossed], &[]);
            }
            top.push(crossed);
        }
        let mut deep = x0;
        for (layer, [weights, bias]) in p.hidden.into_iter().enumerate() {
            let sum = linear::onnx(g, &format!("hidden_{layer}"), &deep, weights, bias);
            deep = g.node("Relu", &[&sum], &[]);
        }
        top.push(deep);
        let top = if let [one] = &top[..] { one.clone() } else { concat(g, &top.iter().collect::<Vec<_>>()) };
        let heads = linear::onnx(g, "out", &top, p.out, p.out_bias);
        let wide = bag::onnx(g, "wide", p.wide, shape.heads, slots, weights);
        g.node("Add", &[&heads, &wide], &[])
    }
}

/// The dropout of one layer: each has a mask of its own.
fn of_layer(dropout: Dropout, layer: u64) -> Dropout {
    Dropout { seed: mix(dropout.seed, layer), ..dropout }
}

/// The rows of two matrices side by side; the first may be empty.
fn beside<T: Real>(rows: usize, a: &[T], b: &[T]) -> Vec<T> {
    let [wide, narrow] = [a.len(), b.len()].map(|len| len / rows.max(1));
    (0..rows).flat_map(|row| a[row * wide..][..wide].iter().chain(&b[row * narrow..][..narrow])).copied().collect()
}

#[cfg(test)]
mod tests {
    use foretaste::model::signature::RANKER;
    use foretaste::model::{ModelRuntime, TensorData, TractRuntime};

    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    const SHAPE: RankerShape = RankerShape { network: Network::Dcn, dim: 3, slots: 5, heads: 2 };

    fn bags() -> Vec<Bag> {
        vec![vec![(0, 1.0), (4, -0.5)], vec![], vec![(2, 2.0), (0, 0.5), (3, 1.0)], vec![(1, 1.0)]]
    }

    #[test]
    fn gradients_of_both_networks() {
        let bags = bags();
        let bags: Vec<&Bag> = bags.iter().collect();
        let (users, items, dheads) = (numbers(12, 1), numbers(12, 2), numbers(8, 3));
        let candidates = Candidates { users: &users, items: &items, bags: &bags };
        for network in [Network::Dcn, Network::WideDeep] {
            for dropout in [Dropout::NONE, Dropout { rate: 0.3, seed: 5 }] {
                let mut ranker = Ranker::<f64>::zeros(RankerShape { network, ..SHAPE });
                ranker.numbers = numbers(ranker.numbers.len(), 4).iter().map(|x| 0.5 * x).collect();
                let a = ranker.forward(candidates, dropout);
                let mut gradient = vec![0.0; ranker.numbers.len()];
                ranker.backward(candidates, &a, &dheads, dropout, &mut gradient);
                assert_gradient(&format!("{network:?}"), &ranker.numbers, &gradient, |n| {
                    let ranker = Ranker { numbers: n.to_vec(), ..ranker.clone() };
                    ranker.forward(candidates, dropout).heads.iter().zip(&dheads).map(|(y, dy)| y * dy).sum()
                });
            }
        }
    }

    /// A cross layer of one row, worked out by its formula.
    #[test]
    fn cross_layers_multiply_by_their_input() {
        let mut ranker = Ranker::<f64>::zeros(RankerShape { heads: 1, ..SHAPE });
        let n = SHAPE.width();
        let mut p = Parts::from(split_mut(&ranker.layout, &mut ranker.numbers));
        // x₀ has 0.5, 2 and 3 in its last places, the products; each layer multiplies by 1 + x's last number.
        for [down, up, bias] in &mut p.cross {
            down[(n - 1) * RANK] = 1.0;
            up[..n].fill(1.0);
            bias.fill(1.0);
        }
        p.out.iter_mut().take(n).for_each(|w| *w = 1.0);
        let bag = Bag::new();
        let one = Candidates { users: &[0.5, 1.0, 1.0], items: &[1.0, 2.0, 3.0], bags: &[&bag] };
        // x₁ = x₀ (1 + 3) + x₀ = 5 x₀, x₂ = x₀ (1 + 15) + x₁ = 21 x₀.
        assert!((ranker.forward(one, Dropout::NONE).heads[0] - 21.0 * 5.5).abs() < 1e-9);
    }

    /// The graph computes what training does, for every batch that a page runs.
    #[test]
    fn the_graph_computes_the_forward_pass() {
        let (width, bags) = (4, bags());
        let slots: Vec<i64> =
            bags.iter().flat_map(|bag| (0..width).map(|i| bag.get(i).map_or(0, |slot| i64::from(slot.0)))).collect();
        let weights: Vec<f32> = bags.iter().flat_map(|bag| (0..width).map(|i| bag.get(i).map_or(0.0, |slot| slot.1))).collect();
        let bags: Vec<&Bag> = bags.iter().collect();
        let small = |n: usize, seed: u64| numbers(n, seed).iter().map(|x| *x as f32).collect::<Vec<f32>>();
        let (users, items, rotation) = (small(12, 1), small(12, 2), small(9, 3));
        let turn = |rows: &[f32]| super::super::turned(rows, &rotation, 3);
        for network in [Network::Dcn, Network::WideDeep] {
            let mut ranker = Ranker::<f32>::zeros(RankerShape { network, ..SHAPE });
            ranker.numbers = small(ranker.numbers.len(), 4);
            let (users_turned, items_turned) = (turn(&users), turn(&items));
            let candidates = Candidates { users: &users_turned, items: &items_turned, bags: &bags };
            let expected = ranker.forward(candidates, Dropout::NONE).heads;
            let shapes = Shapes { dim: 3, ranker: width, heads: 2, ..Shapes::default() };
            let runtime = TractRuntime::new(&[(Graph::Ranker, ranker.onnx(width, &rotation))], shapes).unwrap();
            for batch in Graph::Ranker.batches().iter().filter(|batch| **batch >= 4) {
                let inputs = RankerInputs {
                    user: TensorData::F32(users.clone()),
                    item: TensorData::F32(items.clone()),
                    slots: TensorData::I64(slots.clone()),
                    weights: TensorData::F32(weights.clone()),
                };
                let inputs = RANKER.pack(inputs.in_order(), &Shapes { batch: *batch, ..shapes });
                let got = &runtime.run(Graph::Ranker, &inputs).unwrap()[0];
                for (got, expected) in got.iter().zip(&expected) {
                    assert!((got - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{network:?} {batch}: {got} {expected}");
                }
            }
        }
    }

    #[test]
    fn an_untrained_ranker_keeps_the_order_of_retrieval() {
        let bags: Vec<Bag> = [-1.0, 0.25, 2.0].map(|deviation| vec![(1, 1.0), (4, deviation)]).to_vec();
        let bags: Vec<&Bag> = bags.iter().collect();
        let (users, items) = (numbers(9, 1), numbers(9, 2));
        for network in [Network::Dcn, Network::WideDeep] {
            let shape = RankerShape { network, ..SHAPE };
            let ranker = Ranker::<f64>::start(shape, Some((4, 1.5)), 7);
            let heads = ranker.forward(Candidates { users: &users, items: &items, bags: &bags }, Dropout::NONE).heads;
            assert_eq!(heads, [-1.5, -1.5, 0.375, 0.375, 3.0, 3.0]);
            assert_eq!(ranker, Ranker::start(shape, Some((4, 1.5)), 7));
            assert_ne!(ranker.numbers, Ranker::<f64>::start(shape, Some((4, 1.5)), 8).numbers);
        }
    }
}
