//! A gated recurrent unit (GRU) with a state of d numbers.

use crate::onnx::{GraphBuilder, Value};
use crate::ops::Real;
use crate::ops::gru::{self, GATES, Gates, Passed};
use crate::towers::params::{Parameter, fill_uniform, split_mut};

pub(super) fn layout(d: usize) -> Vec<Parameter> {
    vec![
        Parameter::new("gru_input", &[d, GATES * d]),
        Parameter::new("gru_input_bias", &[GATES * d]),
        Parameter::new("gru_state", &[d, GATES * d]),
        Parameter::new("gru_state_bias", &[GATES * d]),
    ]
}

fn gates<T>(d: usize, numbers: &[T]) -> Gates<&[T]> {
    let (input, rest) = numbers.split_at(GATES * d * d);
    let (input_bias, rest) = rest.split_at(GATES * d);
    let (state, state_bias) = rest.split_at(GATES * d * d);
    Gates { input, input_bias, state, state_bias }
}

pub(super) fn start<T: Real>(d: usize, numbers: &mut [T], seed: u64) {
    fill_uniform(numbers, 1.0 / libm::sqrt(d as f64), seed);
}

pub(super) fn forward<T: Real>(d: usize, numbers: &[T], h: &[T], states: &mut [T]) -> Passed<T> {
    gru::forward(d, h, &gates(d, numbers), states)
}

pub(super) fn backward<T: Real>(
    d: usize,
    numbers: &[T],
    h: (&[T], &mut [T]),
    (states, passed): (&[T], &Passed<T>),
    dstates: &[T],
    dnumbers: &mut [T],
) {
    let [input, input_bias, state, state_bias] = split_mut(&layout(d), dnumbers);
    let mut dgates = Gates { input, input_bias, state, state_bias };
    gru::backward(d, h, &gates(d, numbers), states, passed, dstates, &mut dgates);
}

pub(super) fn onnx(g: &mut GraphBuilder, d: usize, numbers: &[f32], h: &Value, mask: &Value) -> Value {
    gru::onnx(g, d, &gates(d, numbers), h, mask)
}
