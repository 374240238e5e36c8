//! Encoders: each turns the events of a history, or of any of its prefixes, into a summary of one or more vectors.

mod recurrent;
mod transformer;

pub use transformer::HEADS;

use serde::{Deserialize, Serialize};

use super::params::Parameter;
use crate::onnx::{GraphBuilder, Value};
use crate::ops::decay_pool::{POOLS, RATES};
use crate::ops::dropout::Dropout;
use crate::ops::{Real, decay_pool, gru, sum_pool};

/// The encoder of the user tower: how it combines the event vectors of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoder {
    /// The last event, and four means in which the weight of older events decays at learned rates.
    #[default]
    Pools,
    /// The mean of all events.
    Mean,
    /// The sum of all events, divided by the square root of their number. In an untied tower this is a linear
    /// autoencoder.
    Sum,
    /// A gated recurrent unit.
    Gru,
    /// Two transformer blocks with causal attention.
    Transformer,
}

/// The summaries of all prefixes, and the activations that the backward pass needs.
pub(super) struct Encoded<T> {
    /// `[events + 1, parts, d]`. Row i belongs to the first i events; row 0 is 0.
    pub summary: Vec<T>,
    passed: Passed<T>,
}

/// Activations that the backward pass needs besides the summaries.
enum Passed<T> {
    Nothing,
    Gates(gru::Passed<T>),
    Blocks(Vec<transformer::Passed<T>>),
}

impl Encoder {
    /// The number of vectors in a summary.
    pub(super) fn parts(self) -> usize {
        if self == Encoder::Pools { POOLS } else { 1 }
    }

    /// The exponent of the number of events by which the sum is divided, see [`crate::ops::sum_pool`].
    fn power(self) -> f64 {
        if self == Encoder::Sum { 0.5 } else { 1.0 }
    }

    pub(super) fn layout(self, d: usize) -> Vec<Parameter> {
        match self {
            Encoder::Pools => vec![Parameter::new("log_rates", &[RATES])],
            Encoder::Mean | Encoder::Sum => Vec::new(),
            Encoder::Gru => recurrent::layout(d),
            Encoder::Transformer => transformer::layout(d),
        }
    }

    /// Initialises the parameters for training. `rates` are the decay rates of [`Encoder::Pools`].
    pub(super) fn start<T: Real>(self, d: usize, rates: [f64; RATES], numbers: &mut [T], seed: u64) {
        match self {
            Encoder::Pools => numbers.iter_mut().zip(rates).for_each(|(rate, start)| *rate = T::of(libm::log(start))),
            Encoder::Mean | Encoder::Sum => {}
            Encoder::Gru => recurrent::start(d, numbers, seed),
            Encoder::Transformer => transformer::start(d, numbers, seed),
        }
    }

    /// Computes the summaries of all prefixes of the events `h` `[events, d]`, oldest first.
    pub(super) fn forward<T: Real>(self, d: usize, numbers: &[T], h: &[T], dropout: Dropout) -> Encoded<T> {
        let mut summary = vec![T::ZERO; (h.len() / d + 1) * self.parts() * d];
        let passed = match self {
            Encoder::Pools => {
                decay_pool::forward(d, h, numbers, &mut summary);
                Passed::Nothing
            }
            Encoder::Mean | Encoder::Sum => {
                sum_pool::forward(d, h, self.power(), &mut summary);
                Passed::Nothing
            }
            Encoder::Gru => Passed::Gates(recurrent::forward(d, numbers, h, &mut summary)),
            Encoder::Transformer => Passed::Blocks(transformer::forward(d, numbers, h, dropout, &mut summary)),
        };
        Encoded { summary, passed }
    }

    /// Adds the gradient to `dh` and `dnumbers`. `dsummary` is the gradient of the summaries and has their shape.
    pub(super) fn backward<T: Real>(
        self,
        d: usize,
        numbers: &[T],
        (h, dh): (&[T], &mut [T]),
        encoded: &Encoded<T>,
        dsummary: &[T],
        dnumbers: &mut [T],
    ) {
        match &encoded.passed {
            Passed::Nothing if self == Encoder::Pools => {
                decay_pool::backward(d, &encoded.summary, numbers, dsummary, dh, dnumbers);
            }
            Passed::Nothing => sum_pool::backward(d, self.power(), dsummary, dh),
            Passed::Gates(gates) => recurrent::backward(d, numbers, (h, dh), (&encoded.summary, gates), dsummary, dnumbers),
            Passed::Blocks(blocks) => transformer::backward(d, numbers, dh, blocks, dsummary, dnumbers),
        }
    }

    /// Adds the encoder to a graph and returns the summary `[batch, parts, d]`. `h` `[batch, len, d]` are the events,
    /// newest first; `mask` `[batch, len]` is 1 where there is an event and 0 elsewhere.
    pub(super) fn onnx(self, g: &mut GraphBuilder, [d, len]: [usize; 2], numbers: &[f32], h: &Value, mask: &Value) -> Value {
        match self {
            Encoder::Pools => decay_pool::onnx(g, len, numbers, h, mask),
            Encoder::Mean | Encoder::Sum => sum_pool::onnx(g, self.power(), h, mask),
            Encoder::Gru => recurrent::onnx(g, d, numbers, h, mask),
            Encoder::Transformer => transformer::onnx(g, [d, len], numbers, h, mask),
        }
    }
}
