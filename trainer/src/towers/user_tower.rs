//! The user tower: history and context to the visitor's vector.
//!
//! Each event becomes a vector ([`event`]), and the history becomes a summary P of one or more vectors ([`Encoder`]).
//! With c the embedding of the context, u = ½ eˢ · LN( Σ_k m_k ⊙ P_k + W2 · GELU(W1 · `[LN(P), c]`) ). The tower reads
//! no user id.

use foretaste::EncodedState;
use foretaste::features::{Bag, EncodedHistory, Encoding};
use foretaste::model::Graph;
use foretaste::model::signature::{Shapes, UserInputs, UserOutputs};
use serde::{Deserialize, Serialize};

use super::SlotScale;
use super::encoders::{Encoded, Encoder};
use super::params::{Parameter, fill_uniform, split, split_mut, total};
use super::rating_head::{self, Head};
use crate::onnx::{Attribute, GraphBuilder, Value};
use crate::ops::decay_pool::RATES;
use crate::ops::dropout::Dropout;
use crate::ops::event::{EventIndex, Tables};
use crate::ops::{Real, bag, event, gelu, layer_norm, linear};
use crate::random::mix;

/// Initial gains of the lowest and the highest value bucket, so that a disliked item counts less.
const START_GAIN: [f64; 2] = [-0.3, 0.2];
/// The perceptron's initial share of the vector.
const START_SHARE: f64 = 0.5;

/// The encoder and the sizes of a user tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserShape {
    /// The encoder, which turns the events into a summary.
    pub encoder: Encoder,
    /// Dimensions of a vector.
    pub dim: usize,
    /// Hidden width of the perceptron.
    pub hidden: usize,
    /// Rows of the embedding tables of value, type, gap and run, in this order.
    pub rows: [usize; 4],
    /// Rows of the context's embedding table.
    pub context: usize,
    /// Whether the tower has a rating head.
    pub rates: bool,
}

impl UserShape {
    /// The shape that fits an encoding.
    pub fn of(encoding: &Encoding, encoder: Encoder, dim: usize, hidden: usize, rates: bool) -> Self {
        let h = &encoding.history;
        UserShape {
            encoder,
            dim,
            hidden,
            rows: [h.value_rows(), h.type_rows(), h.gap_buckets, h.run_buckets],
            context: encoding.context_width(),
            rates,
        }
    }

    fn layout(&self) -> Vec<Parameter> {
        let (d, hidden, [values, types, gaps, runs]) = (self.dim, self.hidden, self.rows);
        let parts = self.encoder.parts();
        let mut layout = self.encoder.layout(d);
        layout.extend([
            Parameter::new("gain", &[values]),
            Parameter::new("values", &[values, d]),
            Parameter::new("types", &[types, d]),
            Parameter::new("gaps", &[gaps, d]),
            Parameter::new("runs", &[runs, d]),
            Parameter::new("mix", &[parts, d]),
            Parameter::new("context", &[self.context, d]),
            Parameter::new("w1", &[(parts + 1) * d, hidden]),
            Parameter::new("b1", &[hidden]),
            Parameter::new("w2", &[hidden, d]),
            Parameter::new("b2", &[d]),
            Parameter::new("norm_gain", &[d]),
            Parameter::new("norm_bias", &[d]),
            Parameter::new("log_scale", &[1]),
        ]);
        layout.extend(rating_head::layout(self.rates, d, hidden, values));
        layout
    }
}

/// Parameters of the user tower.
#[derive(Debug, Clone, PartialEq)]
pub struct UserTower<T = f32> {
    /// Encoder and sizes.
    pub shape: UserShape,
    /// The parameters in `numbers`, in order.
    pub layout: Vec<Parameter>,
    /// The numbers of all parameters.
    pub numbers: Vec<T>,
}

/// The number of parameters after the encoder's.
const COMMON: usize = 14 + rating_head::PARAMETERS;

/// The parameters, or their gradients.
struct Parts<S> {
    /// All parameters of the encoder in one slice.
    encoder: S,
    tables: Tables<S>,
    mix: S,
    context: S,
    w1: S,
    b1: S,
    w2: S,
    b2: S,
    norm_gain: S,
    norm_bias: S,
    log_scale: S,
    head: Head<S>,
}

impl<S> Parts<S> {
    fn new(encoder: S, common: [S; COMMON]) -> Self {
        let [gain, values, types, gaps, runs, mix, context, w1, b1, w2, b2, norm_gain, norm_bias, log_scale, head @ ..] = common;
        let tables = Tables { gain, values, types, gaps, runs };
        Parts { encoder, tables, mix, context, w1, b1, w2, b2, norm_gain, norm_bias, log_scale, head: head.into() }
    }
}

/// One history, with a request after each of its prefixes of at least `first` events.
#[derive(Debug, Clone, Copy)]
pub struct UserInput<'a, T> {
    /// The events, oldest first; an event's item is a row of `vectors`.
    pub events: &'a [EventIndex],
    /// The item vectors that the history reads, `[items, d]`.
    pub vectors: &'a [T],
    /// The number of events in the shortest prefix to compute.
    pub first: usize,
    /// The context of each prefix `first..=events.len()`, as a bag of slots.
    pub contexts: &'a [Bag],
}

/// The results of a forward pass over prefixes of one history, and the activations that the backward pass needs.
pub struct Activations<T> {
    /// The visitor's vectors, one row for each prefix: `[rows, d]`.
    pub u: Vec<T>,
    /// Events as vectors: `[events, d]`.
    h: Vec<T>,
    encoded: Encoded<T>,
    /// Input of the perceptron, after dropout: `[rows, (parts + 1) d]`.
    x: Vec<T>,
    /// Before GELU: `[rows, hidden]`.
    before: Vec<T>,
    /// After GELU and dropout.
    after: Vec<T>,
    /// Before the last norm: `[rows, d]`.
    sum: Vec<T>,
    dropout: [Dropout; 3],
    head: Option<rating_head::Activations<T>>,
}

impl<T> Activations<T> {
    /// c and w of the rating head for each row, in standard deviations of the ratings: `[rows, 1 + d]`; empty if the
    /// tower has no rating head.
    pub fn ratings(&self) -> &[T] {
        self.head.as_ref().map_or(&[], |head| &head.out)
    }
}

impl<T: Real> UserTower<T> {
    /// A tower of zeros.
    pub fn zeros(shape: UserShape) -> Self {
        let layout = shape.layout();
        UserTower { shape, numbers: vec![T::ZERO; total(&layout)], layout }
    }

    /// The tower at the start of training: the mean of the summary's vectors plus a small random perceptron.
    pub fn start(shape: UserShape, rates: [f64; RATES], seed: u64) -> Self {
        let mut tower = Self::zeros(shape);
        let p = parts_mut(&tower.layout, &mut tower.numbers);
        shape.encoder.start(shape.dim, rates, p.encoder, mix(seed, 0));
        let buckets = p.tables.gain.len() - 1;
        for (i, gain) in p.tables.gain[1..].iter_mut().enumerate() {
            let place = if buckets > 1 { i as f64 / (buckets - 1) as f64 } else { 0.5 };
            *gain = T::of(START_GAIN[0] + place * (START_GAIN[1] - START_GAIN[0]));
        }
        let parts = shape.encoder.parts();
        p.mix.fill(T::of(1.0 / parts as f64));
        let bound = |inputs: usize| 1.0 / libm::sqrt(inputs as f64);
        fill_uniform(p.w1, bound((parts + 1) * shape.dim), seed);
        fill_uniform(p.b1, bound((parts + 1) * shape.dim), seed + 1);
        fill_uniform(p.w2, START_SHARE * bound(shape.hidden), seed + 2);
        fill_uniform(p.b2, START_SHARE * bound(shape.hidden), seed + 3);
        p.norm_gain.fill(T::ONE);
        tower
    }

    /// Initialises the rating head. `moments` are the mean and the standard deviation of the ratings, `by_row` the mean
    /// rating of each row of the value table.
    pub fn start_ratings(&mut self, moments: [f64; 2], by_row: &[f64]) {
        let d = self.shape.dim;
        parts_mut(&self.layout, &mut self.numbers).head.start(d, moments, by_row);
    }

    fn parts(&self) -> Parts<&[T]> {
        let (encoder, common) = self.layout.split_at(self.layout.len() - COMMON);
        let (own, rest) = self.numbers.split_at(total(encoder));
        Parts::new(own, split(common, rest))
    }

    /// The scale ½ eˢ of the vector.
    fn scale(&self) -> T {
        T::of(0.5) * self.parts().log_scale[0].exp()
    }

    /// Computes the visitor's vector for each prefix. `dropout` must have a seed of its own for each history.
    pub fn forward(&self, input: UserInput<T>, dropout: Dropout) -> Activations<T> {
        let UserInput { events, vectors, first, contexts } = input;
        let (d, p, rows) = (self.shape.dim, self.parts(), events.len() + 1 - first);
        let (encoder, wide) = (self.shape.encoder, self.shape.encoder.parts() * d);
        let width = wide + d;
        let mut h = vec![T::ZERO; events.len() * d];
        event::forward(d, events, vectors, &p.tables, &mut h);
        let dropout = [0, 1, 2].map(|i| Dropout { seed: mix(dropout.seed, i), ..dropout });
        let encoded = encoder.forward(d, p.encoder, &h, dropout[2]);
        let asked = &encoded.summary[first * wide..];

        let mut x = vec![T::ZERO; rows * width];
        for ((x, pools), context) in x.chunks_exact_mut(width).zip(asked.chunks_exact(wide)).zip(contexts) {
            layer_norm::forward(pools, d, None, &mut x[..wide]);
            bag::forward(p.context, d, [context], &mut x[wide..]);
        }
        dropout[0].apply(&mut x);
        let mut before = vec![T::ZERO; rows * self.shape.hidden];
        linear::forward(&x, p.w1, p.b1, &mut before);
        let mut after = vec![T::ZERO; before.len()];
        gelu::forward(&before, &mut after);
        dropout[1].apply(&mut after);
        let mut sum = vec![T::ZERO; rows * d];
        linear::forward(&after, p.w2, p.b2, &mut sum);
        for (sum, pools) in sum.chunks_exact_mut(d).zip(asked.chunks_exact(wide)) {
            for (mix, pool) in p.mix.chunks_exact(d).zip(pools.chunks_exact(d)) {
                sum.iter_mut().zip(mix.iter().zip(pool)).for_each(|(s, (m, p))| *s += *m * *p);
            }
        }
        let mut u = vec![T::ZERO; rows * d];
        layer_norm::forward(&sum, d, Some((p.norm_gain, p.norm_bias)), &mut u);
        let scale = self.scale();
        u.iter_mut().for_each(|u| *u *= scale);
        let head = self.shape.rates.then(|| p.head.forward(d, events, vectors, first, &after));
        Activations { u, h, encoded, x, before, after, sum, dropout, head }
    }

    /// Adds the gradient to `dvectors` `[items, d]` and to `gradient`, which has the layout of `numbers`. `du` `[rows,
    /// d]` is the gradient of the visitor's vectors, `dratings` the gradient of [`Activations::ratings`].
    pub fn backward(
        &self,
        input: UserInput<T>,
        a: &Activations<T>,
        [du, dratings]: [&[T]; 2],
        dvectors: &mut [T],
        gradient: &mut [T],
    ) {
        let UserInput { events, vectors, first, contexts } = input;
        let (d, encoder, p) = (self.shape.dim, self.shape.encoder, self.parts());
        let (parts, wide) = (encoder.parts(), encoder.parts() * d);
        let width = wide + d;
        let mut dp = parts_mut(&self.layout, gradient);
        dp.log_scale[0] += du.iter().zip(&a.u).map(|(du, u)| *du * *u).sum::<T>();
        let scale = self.scale();
        let dnormed: Vec<T> = du.iter().map(|du| *du * scale).collect();
        let mut dsum = vec![T::ZERO; a.sum.len()];
        layer_norm::backward(&a.sum, d, Some(p.norm_gain), &dnormed, Some((dp.norm_gain, dp.norm_bias)), &mut dsum);

        let mut dsummary = vec![T::ZERO; a.encoded.summary.len()];
        let (asked, dasked) = (&a.encoded.summary[first * wide..], &mut dsummary[first * wide..]);
        for ((dsum, pools), dpools) in dsum.chunks_exact(d).zip(asked.chunks_exact(wide)).zip(dasked.chunks_exact_mut(wide)) {
            for k in 0..parts {
                for i in 0..d {
                    dp.mix[k * d + i] += dsum[i] * pools[k * d + i];
                    dpools[k * d + i] += dsum[i] * p.mix[k * d + i];
                }
            }
        }
        let mut dafter = vec![T::ZERO; a.after.len()];
        linear::backward(&a.after, p.w2, &dsum, dp.w2, dp.b2, &mut dafter);
        if let Some(head) = &a.head {
            p.head.backward(d, events, vectors, first, head, dratings, dvectors, &mut dafter, &mut dp.head);
        }
        a.dropout[1].apply(&mut dafter);
        gelu::backward(&a.before, &mut dafter);
        let mut dx = vec![T::ZERO; a.x.len()];
        linear::backward(&a.x, p.w1, &dafter, dp.w1, dp.b1, &mut dx);
        a.dropout[0].apply(&mut dx);
        for (((dx, pools), dpools), context) in
            dx.chunks_exact(width).zip(asked.chunks_exact(wide)).zip(dasked.chunks_exact_mut(wide)).zip(contexts)
        {
            layer_norm::backward(pools, d, None, &dx[..wide], None, dpools);
            bag::backward(d, [context], &dx[wide..], dp.context);
        }
        let mut dh = vec![T::ZERO; events.len() * d];
        encoder.backward(d, p.encoder, (&a.h, &mut dh), &a.encoded, &dsummary, dp.encoder);
        event::backward(d, events, vectors, p.tables.gain, &dh, dvectors, &mut dp.tables);
    }
}

impl UserTower {
    /// Runs the forward pass for one query. Returns the vector `[d]` and the rating head's `[c, w]`, which is empty if
    /// the tower has no rating head. `vectors` `[len, d]` are the vectors of the history's items, newest first.
    pub fn forward_one(&self, query: &EncodedState, vectors: &[f32]) -> [Vec<f32>; 2] {
        let mut events = event_indices(&query.history);
        events.iter_mut().enumerate().for_each(|(i, event)| event.item = i as u32);
        events.reverse();
        let contexts = std::slice::from_ref(&query.context);
        let a = self.forward(UserInput { events: &events, vectors, first: events.len(), contexts }, Dropout::NONE);
        let rating = a.head.as_ref().map(|head| self.parts().head.unscaled(&head.out));
        [a.u, rating.unwrap_or_default()]
    }

    /// The tower as an ONNX file with the inputs and outputs of
    /// [`USER_TOWER`](foretaste::model::signature::USER_TOWER), for histories of `len` events and contexts of
    /// `context_slots` slots with the scale `scale`. The graph has the output `rating` if the tower has a rating head.
    pub fn onnx(&self, len: usize, context_slots: usize, scale: &SlotScale) -> Vec<u8> {
        let (d, p) = (self.shape.dim, self.parts());
        let shapes = Shapes { dim: d, len, context: context_slots, ..Shapes::default() };
        let mut g = GraphBuilder::new(Graph::UserTower.name());
        let inputs = UserInputs::each(|port| g.input(port, &shapes));
        let outputs = UserOutputs::each(|port| port);

        let UserInputs { vectors, types, values, gaps, runs, mask, context_slots, context_weights } = inputs;
        let h = event::onnx(&mut g, d, &p.tables, &vectors, [&values, &types, &gaps, &runs]);
        let encoder = self.shape.encoder;
        let pools = encoder.onnx(&mut g, [d, len], p.encoder, &h, &mask);
        let normed = layer_norm::onnx(&mut g, "pool.norm", &pools, d, None);
        let flat = g.constant_i64("pool.flat", &[2], &[-1, (encoder.parts() * d) as i64]);
        let normed = g.node("Reshape", &[&normed, &flat], &[]);
        let context_weights = scale.onnx(&mut g, "context.scale", &context_slots, &context_weights, shapes.context);
        let context = bag::onnx(&mut g, "context", p.context, d, &context_slots, &context_weights);
        let x = g.node("Concat", &[&normed, &context], &[("axis", Attribute::Int(1))]);
        let hidden = linear::onnx(&mut g, "first", &x, p.w1, p.b1);
        let hidden = gelu::onnx(&mut g, "gelu", &hidden);
        let perceptron = linear::onnx(&mut g, "second", &hidden, p.w2, p.b2);
        let mixed = self.mixed(&mut g, &pools);
        let sum = g.node("Add", &[&perceptron, &mixed], &[]);
        // The gain and the bias of the last norm include the scale ½ eˢ.
        let scaled = |x: &[f32]| -> Vec<f32> { x.iter().map(|x| x * self.scale()).collect() };
        let user = layer_norm::onnx(&mut g, "norm", &sum, d, Some((&scaled(p.norm_gain), &scaled(p.norm_bias))));
        g.output(outputs.user, &user, &shapes);
        if self.shape.rates {
            let rating = p.head.onnx(&mut g, d, &hidden, [&vectors, &values, &mask]);
            g.output(outputs.rating, &rating, &shapes);
        }
        g.finish()
    }

    /// Adds Σ_k m_k ⊙ P_k of the summary `[batch, parts, d]` to a graph.
    fn mixed(&self, g: &mut GraphBuilder, pools: &Value) -> Value {
        let mix = g.constant_f32("mix", &[1, self.shape.encoder.parts(), self.shape.dim], self.parts().mix);
        let axis = g.constant_i64("mix.axis", &[1], &[1]);
        let weighted = g.node("Mul", &[pools, &mix], &[]);
        g.node("ReduceSum", &[&weighted, &axis], &[("keepdims", Attribute::Int(0))])
    }
}

fn parts_mut<'a, T>(layout: &[Parameter], numbers: &'a mut [T]) -> Parts<&'a mut [T]> {
    let (encoder, common) = layout.split_at(layout.len() - COMMON);
    let (own, rest) = numbers.split_at_mut(total(encoder));
    Parts::new(own, split_mut(common, rest))
}

/// The events of an encoded history, newest first. An event's item is a catalog row.
pub fn event_indices(history: &EncodedHistory) -> Vec<EventIndex> {
    (0..history.rows.len())
        .map(|i| EventIndex {
            item: history.rows[i],
            value: history.values[i],
            kind: history.types[i],
            gap: history.gaps[i],
            run: history.runs[i],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::softmax::{self, Target};
    use crate::losses::squared_error;
    use crate::ops::check::{assert_gradient, numbers};
    use crate::towers::ItemTower;

    const ENCODERS: [Encoder; 5] = [Encoder::Pools, Encoder::Mean, Encoder::Sum, Encoder::Gru, Encoder::Transformer];

    fn shape(encoder: Encoder) -> UserShape {
        UserShape { encoder, dim: 4, hidden: 6, rows: [3, 2, 3, 2], context: 5, rates: true }
    }

    fn events() -> Vec<EventIndex> {
        let event = |item, value, kind, gap, run| EventIndex { item, value, kind, gap, run };
        vec![event(0, 1, 1, 0, 0), event(2, 2, 0, 1, 1), event(1, 0, 1, 2, 0), event(2, 1, 1, 2, 1)]
    }

    fn contexts() -> Vec<Bag> {
        vec![vec![(0, 1.0)], vec![(1, 0.7), (4, -0.5)], vec![], vec![(2, 1.0), (3, 1.0)], vec![(0, 0.3)]]
    }

    fn towers(encoder: Encoder) -> (ItemTower<f64>, UserTower<f64>) {
        let (mut items, mut user) = (ItemTower::zeros(4, 3, 2, false), UserTower::zeros(shape(encoder)));
        items.numbers = numbers(items.numbers.len(), 1);
        user.numbers = numbers(user.numbers.len(), 2);
        (items, user)
    }

    /// The loss of both towers over all prefixes, and the gradient of each tower's numbers.
    fn loss(items: &ItemTower<f64>, user: &UserTower<f64>) -> (f64, Vec<f64>, Vec<f64>) {
        let (ids, bags) = ([1, 0, 3], vec![vec![(0, 1.0)], vec![(1, 1.0), (0, 0.5)], vec![]]);
        let (v, bias) = items.forward(&ids, &bags);
        let dropout = Dropout { rate: 0.25, seed: 3 };
        let (events, contexts) = (events(), contexts());
        let input = UserInput { events: &events, vectors: &v, first: 0, contexts: &contexts };
        let a = user.forward(input, dropout);
        let target = |r: u32| Target {
            wanted: vec![(r % 3, 0.6), ((r + 1) % 3, 0.4)],
            masked: vec![(r + 2) % 3][..(r % 2) as usize].to_vec(),
        };
        let targets: Vec<Target> = (0..5).map(target).collect();
        let (mut du, mut dv, mut dbias) = (vec![0.0; a.u.len()], vec![0.0; v.len()], vec![0.0; bias.len()]);
        let (mut ditems, mut duser) = (vec![0.0; items.numbers.len()], vec![0.0; user.numbers.len()]);
        let loss = softmax::loss(4, (&a.u, &mut du), (&v, &mut dv), (&bias, &mut dbias), &[0.0; 3], &targets, 1.0);
        let ratings: Vec<_> = (0..5).map(|r| vec![(r % 3, 0.5), ((r + 1) % 3, -1.0)][..(r % 3) as usize].to_vec()).collect();
        let mut dratings = vec![0.0; a.ratings().len()];
        let loss = loss + squared_error::loss(4, (a.ratings(), &mut dratings), (&v, &mut dv), &ratings, 0.3);
        user.backward(input, &a, [&du, &dratings], &mut dv, &mut duser);
        items.backward(&ids, &bags, &dv, &dbias, &mut ditems);
        (loss, ditems, duser)
    }

    #[test]
    fn both_towers_and_their_loss_have_the_gradient_of_finite_differences() {
        for encoder in ENCODERS {
            let (items, user) = towers(encoder);
            let (_, ditems, duser) = loss(&items, &user);
            let named = format!("{encoder:?}");
            assert_gradient(&named, &items.numbers, &ditems, |n| {
                loss(&ItemTower { numbers: n.to_vec(), ..items.clone() }, &user).0
            });
            assert_gradient(&named, &user.numbers, &duser, |n| {
                loss(&items, &UserTower { numbers: n.to_vec(), ..user.clone() }).0
            });
        }
    }

    #[test]
    fn prefixes_are_histories_of_their_own() {
        for encoder in ENCODERS {
            let (_, user) = towers(encoder);
            let (v, events, contexts) = (numbers(12, 5), events(), contexts());
            let input = UserInput { events: &events, vectors: &v, first: 0, contexts: &contexts };
            let all = user.forward(input, Dropout::NONE).u;
            for p in 0..=events.len() {
                let alone = UserInput { events: &events[..p], first: p, contexts: &contexts[p..=p], ..input };
                let one = user.forward(alone, Dropout::NONE).u;
                assert!(one.iter().zip(&all[p * 4..]).all(|(a, b)| (a - b).abs() < 1e-12), "{encoder:?}");
            }
        }
    }

    #[test]
    fn order_values_and_context_change_the_vector() {
        let user = UserTower::<f64>::start(shape(Encoder::Pools), [0.02, 0.08, 0.3, 1.0], 1);
        let (v, context) = (numbers(12, 5), vec![vec![(0, 1.0)]]);
        let vector = |events: &[EventIndex]| {
            user.forward(UserInput { events, vectors: &v, first: events.len(), contexts: &context }, Dropout::NONE).u
        };
        let (forward, mut reversed, mut rated) = (events(), events(), events());
        reversed.reverse();
        rated[3].value = 2;
        assert_ne!(vector(&forward), vector(&reversed));
        assert_ne!(vector(&forward), vector(&rated));
    }
}
