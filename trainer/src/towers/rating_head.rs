//! The rating head of the user tower. Its output is `[c, w]`: the visitor's predicted rating of an item with the vector
//! v is c + w · v.
//!
//! `[c, w]` = W · `[a, mean, tastes]` + b, where a is the hidden layer of the tower's perceptron, and mean and tastes
//! come from [`rating_pool`]. The model therefore assumes that an item's mean rating is a linear function of its
//! vector. Training subtracts the mean of the ratings and divides by their standard deviation.

use super::params::Parameter;
use crate::onnx::{Attribute, GraphBuilder, Value};
use crate::ops::event::EventIndex;
use crate::ops::rating_pool::{self, Residuals};
use crate::ops::{Real, linear};

/// The number of parameters of a head.
pub(super) const PARAMETERS: usize = 6;
/// The initial ln k of the mean and of the tastes.
const START_LOG_PRIOR: f64 = 1.6;
/// The initial weight of the tastes.
const START_TASTES: f64 = 0.1;

/// The parameters, or their gradients.
pub(super) struct Head<S> {
    pub pool: Residuals<S>,
    /// `[hidden + 1 + d, 1 + d]`.
    pub weights: S,
    /// `[1 + d]`.
    pub bias: S,
    /// Mean and standard deviation of the ratings. They are constants, not trained.
    pub scale: S,
}

impl<S> From<[S; PARAMETERS]> for Head<S> {
    fn from([values, slope, log_priors, weights, bias, scale]: [S; PARAMETERS]) -> Self {
        Head { pool: Residuals { values, slope, log_priors }, weights, bias, scale }
    }
}

/// The parameters of the head; all empty in a tower that predicts no ratings.
pub(super) fn layout(rates: bool, d: usize, hidden: usize, values: usize) -> [Parameter; PARAMETERS] {
    let n = usize::from(rates);
    [
        Parameter::new("rating_values", &[n * values]),
        Parameter::new("rating_slope", &[n * d]),
        Parameter::new("rating_priors", &[n * 2]),
        Parameter::new("rating_weights", &[n * (hidden + 1 + d), 1 + d]),
        Parameter::new("rating_bias", &[n * (1 + d)]),
        Parameter::new("rating_scale", &[n * 2]),
    ]
}

/// Activations that the backward pass needs.
pub(super) struct Activations<T> {
    /// `[rows, hidden + 1 + d]`.
    input: Vec<T>,
    /// c and w, in standard deviations: `[rows, 1 + d]`.
    pub out: Vec<T>,
}

impl<T: Real> Head<&mut [T]> {
    /// Initialises the parameters so that the head predicts the mean of the visitor's ratings, plus a small part of the
    /// tastes. `values` has the mean rating of each row of the value table.
    pub fn start(&mut self, d: usize, [mean, sd]: [f64; 2], values: &[f64]) {
        self.scale.copy_from_slice(&[mean, sd].map(T::of));
        self.pool.values.iter_mut().zip(values).for_each(|(t, value)| *t = T::of((value - mean) / sd));
        self.pool.log_priors.fill(T::of(START_LOG_PRIOR));
        let hidden = self.weights.len() / (1 + d) - (1 + d);
        for i in 0..=d {
            self.weights[(hidden + i) * (1 + d) + i] = if i == 0 { T::ONE } else { T::of(START_TASTES) };
        }
    }
}

impl<T: Real> Head<&[T]> {
    /// Computes c and w for each prefix of at least `first` events. `after` `[rows, hidden]` is the perceptron's hidden
    /// layer.
    pub fn forward(&self, d: usize, events: &[EventIndex], vectors: &[T], first: usize, after: &[T]) -> Activations<T> {
        let rows = events.len() + 1 - first;
        let hidden = after.len() / rows;
        let mut pools = vec![T::ZERO; rows * (1 + d)];
        rating_pool::forward(d, events, vectors, &self.pool, first, &mut pools);
        let input: Vec<T> =
            after.chunks_exact(hidden).zip(pools.chunks_exact(1 + d)).flat_map(|(a, p)| a.iter().chain(p)).copied().collect();
        let mut out = vec![T::ZERO; rows * (1 + d)];
        linear::forward(&input, self.weights, self.bias, &mut out);
        Activations { input, out }
    }

    /// Adds the gradient to `dvectors`, `dafter` and `gradient`. `dout` `[rows, 1 + d]` is the gradient of
    /// [`Activations::out`].
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        d: usize,
        events: &[EventIndex],
        vectors: &[T],
        first: usize,
        a: &Activations<T>,
        dout: &[T],
        dvectors: &mut [T],
        dafter: &mut [T],
        gradient: &mut Head<&mut [T]>,
    ) {
        let rows = events.len() + 1 - first;
        let hidden = dafter.len() / rows;
        let mut dinput = vec![T::ZERO; a.input.len()];
        linear::backward(&a.input, self.weights, dout, gradient.weights, gradient.bias, &mut dinput);
        let mut dpools = Vec::with_capacity(rows * (1 + d));
        for (dinput, dafter) in dinput.chunks_exact(hidden + 1 + d).zip(dafter.chunks_exact_mut(hidden)) {
            dafter.iter_mut().zip(dinput).for_each(|(a, x)| *a += *x);
            dpools.extend_from_slice(&dinput[hidden..]);
        }
        rating_pool::backward(d, events, vectors, &self.pool, first, &dpools, dvectors, &mut gradient.pool);
    }

    /// `[c, w]` of one row of [`Activations::out`], in the unit of the ratings.
    pub fn unscaled(&self, out: &[T]) -> Vec<T> {
        out.iter().enumerate().map(|(i, x)| *x * self.scale[1] + if i == 0 { self.scale[0] } else { T::ZERO }).collect()
    }
}

impl Head<&[f32]> {
    /// Adds the head to a graph. It reads `hidden` `[batch, hidden]` and the tower's inputs, and returns `[c, w]` in
    /// the unit of the ratings, `[batch, 1 + d]`.
    pub fn onnx(&self, g: &mut GraphBuilder, d: usize, hidden: &Value, [vectors, values, mask]: [&Value; 3]) -> Value {
        let pools = rating_pool::onnx(g, d, &self.pool, vectors, values, mask);
        let input = g.node("Concat", &[hidden, &pools], &[("axis", Attribute::Int(1))]);
        let weights: Vec<f32> = self.weights.iter().map(|x| x * self.scale[1]).collect();
        linear::onnx(g, "rating", &input, &weights, &self.unscaled(self.bias))
    }
}
