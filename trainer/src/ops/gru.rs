//! A gated recurrent unit over a history, with the event x and the state s:
//!
//! - z = σ(x Wz + b + s Rz + b′)
//! - r = σ(x Wr + b + s Rr + b′)
//! - n = tanh(x Wn + b + r ⊙ (s Rn + b′))
//! - s ← (1 − z) ⊙ n + z ⊙ s
//!
//! Sources: Cho et al., Learning phrase representations using RNN encoder–decoder, 2014; for recommendations Hidasi et
//! al., Session-based recommendations with recurrent neural networks, 2016.

use super::{Op, Real, linear, matmul};
use crate::onnx::{Attribute, GraphBuilder, Value};

/// Number of gates: z, r and n lie side by side.
pub const GATES: usize = 3;
/// Added to gate z and subtracted from gate r for an absent event, so that the state stays as it is.
const STAY: f32 = 100.0;

/// Parameters, or their gradients. The columns of z, r and n lie side by side.
pub struct Gates<S> {
    /// Wz, Wr and Wn: `[d, 3 d]`.
    pub input: S,
    /// b of each gate: `[3 d]`.
    pub input_bias: S,
    /// Rz, Rr and Rn: `[d, 3 d]`.
    pub state: S,
    /// b′ of each gate: `[3 d]`.
    pub state_bias: S,
}

/// Values of a forward pass that the backward pass needs.
pub struct Passed<T> {
    /// z, r and n of each event: `[events, 3 d]`.
    gates: Vec<T>,
    /// s Rn + b′: `[events, d]`.
    candidate: Vec<T>,
}

fn sigmoid<T: Real>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp())
}

fn tanh<T: Real>(x: T) -> T {
    T::of(2.0) * sigmoid(T::of(2.0) * x) - T::ONE
}

/// Writes `states` `[events + 1, d]`: row p is the state after the first p events of `x` `[events, d]`, oldest first;
/// row 0 is 0.
pub fn forward<T: Real>(d: usize, x: &[T], p: &Gates<&[T]>, states: &mut [T]) -> Passed<T> {
    let events = x.len() / d;
    let mut gates = vec![T::ZERO; events * GATES * d];
    linear::forward(x, p.input, p.input_bias, &mut gates);
    let mut candidate = vec![T::ZERO; events * d];
    let mut of_state = vec![T::ZERO; GATES * d];
    states[..d].fill(T::ZERO);
    for (t, (gates, candidate)) in gates.chunks_exact_mut(GATES * d).zip(candidate.chunks_exact_mut(d)).enumerate() {
        let (before, after) = states[t * d..][..2 * d].split_at_mut(d);
        of_state.copy_from_slice(p.state_bias);
        for (s, row) in before.iter().zip(p.state.chunks_exact(GATES * d)) {
            of_state.iter_mut().zip(row).for_each(|(o, w)| *o += *s * *w);
        }
        candidate.copy_from_slice(&of_state[2 * d..]);
        for i in 0..d {
            let (z, r) = (sigmoid(gates[i] + of_state[i]), sigmoid(gates[d + i] + of_state[d + i]));
            let n = tanh(gates[2 * d + i] + r * candidate[i]);
            (gates[i], gates[d + i], gates[2 * d + i]) = (z, r, n);
            after[i] = (T::ONE - z) * n + z * before[i];
        }
    }
    Passed { gates, candidate }
}

/// The backward pass for `dstates` `[events + 1, d]`. Adds to `dx` `[events, d]` and to the gradients of the
/// parameters.
pub fn backward<T: Real>(
    d: usize,
    (x, dx): (&[T], &mut [T]),
    p: &Gates<&[T]>,
    states: &[T],
    passed: &Passed<T>,
    dstates: &[T],
    dp: &mut Gates<&mut [T]>,
) {
    let events = x.len() / d;
    // Gradients of the gates' inputs: those from x, and those from the state. The two differ for n alone.
    let (mut from_x, mut from_state) = (vec![T::ZERO; events * GATES * d], vec![T::ZERO; events * GATES * d]);
    let mut carried = vec![T::ZERO; d];
    for t in (0..events).rev() {
        let (gates, candidate) = (&passed.gates[t * GATES * d..][..GATES * d], &passed.candidate[t * d..][..d]);
        let (before, dafter) = (&states[t * d..][..d], &dstates[(t + 1) * d..][..d]);
        let at = t * GATES * d..(t + 1) * GATES * d;
        let (from_x, from_state) = (&mut from_x[at.clone()], &mut from_state[at]);
        for i in 0..d {
            let (z, r, n) = (gates[i], gates[d + i], gates[2 * d + i]);
            let ds = carried[i] + dafter[i];
            let dn = ds * (T::ONE - z) * (T::ONE - n * n);
            let dz = ds * (before[i] - n) * z * (T::ONE - z);
            let dr = dn * candidate[i] * r * (T::ONE - r);
            (from_x[i], from_x[d + i], from_x[2 * d + i]) = (dz, dr, dn);
            (from_state[i], from_state[d + i], from_state[2 * d + i]) = (dz, dr, dn * r);
            carried[i] = ds * z;
        }
        for (carried, row) in carried.iter_mut().zip(p.state.chunks_exact(GATES * d)) {
            *carried += row.iter().zip(&*from_state).map(|(w, g)| *w * *g).sum::<T>();
        }
    }
    let mut added = vec![T::ZERO; x.len()];
    linear::backward(x, p.input, &from_x, dp.input, dp.input_bias, &mut added);
    dx.iter_mut().zip(added).for_each(|(dx, a)| *dx += a);
    for row in from_state.chunks_exact(GATES * d) {
        dp.state_bias.iter_mut().zip(row).for_each(|(b, g)| *b += *g);
    }
    matmul([d, events, GATES * d], (&states[..events * d], Op::Transposed), (&from_state, Op::Plain), T::ONE, dp.state);
}

/// ONNX nodes: from `h` `[batch, L, d]`, newest first, and `mask` f32 `[batch, L]`, 1 for an event, to the last state
/// `[batch, 1, d]`.
///
/// Absent events come first in time and must leave the state at 0. One more input, 1 for an absent event, holds the
/// gates for them. Their own numbers and the bias are also multiplied by 0, because σ computed by a runtime falls a
/// little short of 1.
pub fn onnx(g: &mut GraphBuilder, d: usize, p: &Gates<&[f32]>, h: &Value, mask: &Value) -> Value {
    let last = g.constant_i64("gru.last", &[1], &[2]);
    let one = g.constant_f32("gru.one", &[], &[1.0]);
    let mask = g.node("Unsqueeze", &[mask, &last], &[]);
    let absent = g.node("Sub", &[&one, &mask], &[]);
    let present = g.node("Mul", &[h, &mask], &[]);
    let x = g.node("Concat", &[&present, &mask, &absent], &[("axis", Attribute::Int(2))]);
    let x = g.node("Transpose", &[&x], &[("perm", Attribute::Ints(&[1, 0, 2]))]);
    let column = |w: &[f32], c: usize| (0..d).map(|row| w[row * GATES * d + c]).collect::<Vec<f32>>();
    let stay = |c: usize| [STAY, -STAY, 0.0][c / d];
    let input: Vec<f32> = (0..GATES * d).flat_map(|c| [column(p.input, c), vec![p.input_bias[c], stay(c)]].concat()).collect();
    let state: Vec<f32> = (0..GATES * d).flat_map(|c| column(p.state, c)).collect();
    let input = g.constant_f32("gru.input", &[1, GATES * d, d + 2], &input);
    let state = g.constant_f32("gru.state", &[1, GATES * d, d], &state);
    let bias = g.constant_f32("gru.bias", &[1, 2 * GATES * d], &[&vec![0.0; GATES * d], p.state_bias].concat());
    let attributes = [
        ("hidden_size", Attribute::Int(d as i64)),
        ("linear_before_reset", Attribute::Int(1)),
        ("direction", Attribute::Text("reverse")),
    ];
    let state = g.second("GRU", &[&x, &input, &state, &bias], &attributes);
    g.node("Transpose", &[&state], &[("perm", Attribute::Ints(&[1, 0, 2]))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    fn gates(d: usize, seed: u64) -> [Vec<f64>; 4] {
        [
            numbers(GATES * d * d, seed),
            numbers(GATES * d, seed + 1),
            numbers(GATES * d * d, seed + 2),
            numbers(GATES * d, seed + 3),
        ]
    }

    fn read(parts: &[Vec<f64>; 4]) -> Gates<&[f64]> {
        let [input, input_bias, state, state_bias] = parts;
        Gates { input, input_bias, state, state_bias }
    }

    #[test]
    fn one_number_by_hand() {
        let parts = [vec![0.5, -1.0, 2.0], vec![0.1, 0.2, 0.3], vec![1.0, 0.7, -0.4], vec![0.0, 0.1, 0.5]];
        let mut states = [9.0; 3];
        forward(1, &[2.0, -1.0], &read(&parts), &mut states);
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        let step = |x: f64, s: f64| {
            let (z, r) = (sigma(0.5 * x + 0.1 + s), sigma(-x + 0.2 + 0.7 * s + 0.1));
            let n = (2.0 * x + 0.3 + r * (0.5 - 0.4 * s)).tanh();
            (1.0 - z) * n + z * s
        };
        assert_eq!(states[0], 0.0);
        assert!((states[1] - step(2.0, 0.0)).abs() < 1e-12 && (states[2] - step(-1.0, step(2.0, 0.0))).abs() < 1e-12);
    }

    #[test]
    fn gradients() {
        let (d, events) = (3, 4);
        let (x, parts, dstates) = (numbers(events * d, 1), gates(d, 2), numbers((events + 1) * d, 9));
        let run = |x: &[f64], parts: &[Vec<f64>; 4]| {
            let mut states = vec![0.0; dstates.len()];
            let passed = forward(d, x, &read(parts), &mut states);
            (states, passed)
        };
        let loss = |x: &[f64], parts: &[Vec<f64>; 4]| run(x, parts).0.iter().zip(&dstates).map(|(y, d)| y * d).sum();
        let (states, passed) = run(&x, &parts);
        let (mut dx, mut dparts) = (vec![0.0; x.len()], parts.clone().map(|p| vec![0.0; p.len()]));
        let [input, input_bias, state, state_bias] = &mut dparts;
        let mut dp = Gates { input: &mut input[..], input_bias, state, state_bias };
        backward(d, (&x, &mut dx), &read(&parts), &states, &passed, &dstates, &mut dp);
        assert_gradient("x", &x, &dx, |x| loss(x, &parts));
        for i in 0..4 {
            assert_gradient("gates", &parts[i], &dparts[i], |part| {
                let mut parts = parts.clone();
                parts[i] = part.to_vec();
                loss(&x, &parts)
            });
        }
    }
}
