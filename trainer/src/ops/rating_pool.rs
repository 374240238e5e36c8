//! Summarises the ratings of a history: the visitor's mean rating and tastes, relative to the usual ratings of the
//! items.
//!
//! A rated event has the residual `r = t[value] − β · v`. For n such events, as in asymmetric SVD (Koren, 2008):
//!
//! - mean = Σ r / (n + e^k₁)
//! - tastes = Σ (r − mean) v / √(n + e^k₂)
//!
//! Training needs both for every prefix of a window; they follow from sums that grow by one event at a time.

use super::Real;
use super::event::EventIndex;
use crate::onnx::{Attribute, GraphBuilder, Value};

/// Row of the value table for events without a value; an event with any other row is rated.
const UNRATED: u16 = 0;

/// Parameters, or their gradients.
pub struct Residuals<S> {
    /// t by row of the value table; row 0 is not used.
    pub values: S,
    /// β `[d]`: predicts an item's mean rating from its vector.
    pub slope: S,
    /// k₁ and k₂: logarithms of the numbers of prior events that pull mean and tastes towards 0.
    pub log_priors: S,
}

/// Sums over the rated events of a prefix.
struct Sums<T> {
    count: T,
    residuals: T,
    vectors: Vec<T>,
    weighted: Vec<T>,
}

impl<T: Real> Sums<T> {
    fn zeros(d: usize) -> Self {
        Sums { count: T::ZERO, residuals: T::ZERO, vectors: vec![T::ZERO; d], weighted: vec![T::ZERO; d] }
    }

    /// Adds (`sign` 1) or removes (`sign` −1) an event whose item has the vector `v`.
    fn add(&mut self, sign: T, residual: T, v: &[T]) {
        self.count += sign;
        self.residuals += sign * residual;
        for ((sum, weighted), v) in self.vectors.iter_mut().zip(&mut self.weighted).zip(v) {
            *sum += sign * *v;
            *weighted += sign * residual * *v;
        }
    }
}

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).map(|(a, b)| *a * *b).sum()
}

fn residual<T: Real>(p: &Residuals<&[T]>, event: &EventIndex, v: &[T]) -> T {
    p.values[event.value as usize] - dot(p.slope, v)
}

/// Writes `out` `[events + 1 − first, 1 + d]`: mean and tastes of every prefix of at least `first` events.
///
/// `v` is `[items, d]`.
pub fn forward<T: Real>(d: usize, events: &[EventIndex], v: &[T], p: &Residuals<&[T]>, first: usize, out: &mut [T]) {
    let mut sums = Sums::zeros(d);
    let priors = [p.log_priors[0].exp(), p.log_priors[1].exp()];
    for prefix in 0..=events.len() {
        if let Some(event) = prefix.checked_sub(1).map(|i| &events[i])
            && event.value != UNRATED
        {
            let v = &v[event.item as usize * d..][..d];
            sums.add(T::ONE, residual(p, event, v), v);
        }
        if prefix >= first {
            let out = &mut out[(prefix - first) * (d + 1)..][..d + 1];
            out[0] = sums.residuals / (sums.count + priors[0]);
            let scale = T::ONE / (sums.count + priors[1]).sqrt();
            for (i, (weighted, sum)) in sums.weighted.iter().zip(&sums.vectors).enumerate() {
                out[1 + i] = (*weighted - out[0] * *sum) * scale;
            }
        }
    }
}

/// The backward pass for `dout`, of the shape of `out` in [`forward`]. Adds to `dv` `[items, d]` and to the gradients
/// of the parameters.
#[allow(clippy::too_many_arguments)]
pub fn backward<T: Real>(
    d: usize,
    events: &[EventIndex],
    v: &[T],
    p: &Residuals<&[T]>,
    first: usize,
    dout: &[T],
    dv: &mut [T],
    dp: &mut Residuals<&mut [T]>,
) {
    let row = |event: &EventIndex| event.item as usize * d..(event.item as usize + 1) * d;
    let mut sums = Sums::zeros(d);
    for event in events.iter().filter(|e| e.value != UNRATED) {
        let v = &v[row(event)];
        sums.add(T::ONE, residual(p, event, v), v);
    }
    let priors = [p.log_priors[0].exp(), p.log_priors[1].exp()];
    // Gradients of the sums, accumulated from the longest prefix to the shortest.
    let mut dsums = Sums::zeros(d);
    for prefix in (0..=events.len()).rev() {
        if prefix >= first {
            let dout = &dout[(prefix - first) * (d + 1)..][..d + 1];
            let (below, under) = (sums.count + priors[0], sums.count + priors[1]);
            let (mean, scale) = (sums.residuals / below, T::ONE / under.sqrt());
            let (mut dmean, mut dscale) = (dout[0], T::ZERO);
            for i in 0..d {
                let dtaste = dout[1 + i];
                dsums.weighted[i] += scale * dtaste;
                dsums.vectors[i] -= mean * scale * dtaste;
                dmean -= scale * dtaste * sums.vectors[i];
                dscale += dtaste * (sums.weighted[i] - mean * sums.vectors[i]);
            }
            dsums.residuals += dmean / below;
            dp.log_priors[0] -= dmean * mean / below * priors[0];
            dp.log_priors[1] -= T::of(0.5) * dscale * scale / under * priors[1];
        }
        let Some(event) = prefix.checked_sub(1).map(|i| &events[i]).filter(|e| e.value != UNRATED) else { continue };
        let (v, dv) = (&v[row(event)], &mut dv[row(event)]);
        let r = residual(p, event, v);
        let dr = dsums.residuals + dot(&dsums.weighted, v);
        dp.values[event.value as usize] += dr;
        for i in 0..d {
            dv[i] += dsums.vectors[i] + r * dsums.weighted[i] - dr * p.slope[i];
            dp.slope[i] -= dr * v[i];
        }
        sums.add(-T::ONE, r, v);
    }
}

/// ONNX nodes: from `vectors` f32 `[batch, L, d]`, `values` i64 `[batch, L]` and `mask` f32 `[batch, L]` to mean and
/// tastes `[batch, 1 + d]`.
pub fn onnx(g: &mut GraphBuilder, d: usize, p: &Residuals<&[f32]>, vectors: &Value, values: &Value, mask: &Value) -> Value {
    let rows = p.values.len();
    let rated: Vec<f32> = (0..rows).map(|row| if row == UNRATED as usize { 0.0 } else { 1.0 }).collect();
    let gathered = |g: &mut GraphBuilder, name: &str, table: &[f32]| {
        let table = g.constant_f32(name, &[rows], table);
        g.node("Gather", &[&table, values], &[("axis", Attribute::Int(0))])
    };
    let rated = gathered(g, "rated.rows", &rated);
    let rated = g.node("Mul", &[&rated, mask], &[]);
    let value = gathered(g, "rated.values", p.values);
    let slope = g.constant_f32("rated.slope", &[d, 1], p.slope);
    let (middle, last) = (g.constant_i64("rated.middle", &[1], &[1]), g.constant_i64("rated.last", &[1], &[2]));
    let usual = g.node("MatMul", &[vectors, &slope], &[]);
    let usual = g.node("Squeeze", &[&usual, &last], &[]);
    let residual = g.node("Sub", &[&value, &usual], &[]);
    let residual = g.node("Mul", &[&residual, &rated], &[]);
    let sum = |g: &mut GraphBuilder, x: &Value| g.node("ReduceSum", &[x, &middle], &[("keepdims", Attribute::Int(1))]);
    let (count, sum) = (sum(g, &rated), sum(g, &residual));
    let prior = |g: &mut GraphBuilder, i: usize| {
        let prior = g.constant_f32(["rated.prior", "rated.prior.tastes"][i], &[1, 1], &[p.log_priors[i].exp()]);
        g.node("Add", &[&count, &prior], &[])
    };
    let below = prior(g, 0);
    let mean = g.node("Div", &[&sum, &below], &[]);
    let usual = g.node("Mul", &[&rated, &mean], &[]);
    let centred = g.node("Sub", &[&residual, &usual], &[]);
    let centred = g.node("Unsqueeze", &[&centred, &middle], &[]);
    let tastes = g.node("MatMul", &[&centred, vectors], &[]);
    let tastes = g.node("Squeeze", &[&tastes, &middle], &[]);
    let under = prior(g, 1);
    let under = g.node("Sqrt", &[&under], &[]);
    let tastes = g.node("Div", &[&tastes, &under], &[]);
    g.node("Concat", &[&mean, &tastes], &[("axis", Attribute::Int(1))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    const D: usize = 2;

    fn events() -> Vec<EventIndex> {
        [(0, 1), (2, 0), (1, 2), (2, 2)].map(|(item, value)| EventIndex { item, value, ..EventIndex::default() }).to_vec()
    }

    #[test]
    fn one_event_and_none() {
        let p = Residuals { values: &[9.0f64, 2.0][..], slope: &[0.5, 0.0], log_priors: &[0.0, 3.0f64.ln()] };
        let event = EventIndex { value: 1, ..EventIndex::default() };
        let mut out = [7.0; 6];
        forward(D, &[event], &[4.0, -8.0], &p, 0, &mut out);
        assert_eq!(out[..3], [0.0; 3]);
        // r = 2 − 2 = 0.
        assert!(out[3..].iter().all(|x| x.abs() < 1e-12));
        let p = Residuals { values: &[9.0, 3.0][..], ..p };
        forward(D, &[event], &[4.0, -8.0], &p, 1, &mut out[..3]);
        // r = 1, mean = 1/2, tastes = (1 − 1/2) v / 2.
        assert!(out[..3].iter().zip([0.5, 1.0, -2.0]).all(|(x, y)| (x - y).abs() < 1e-12), "{out:?}");
    }

    #[test]
    fn gradients() {
        let (v, values, slope, priors) = (numbers(3 * D, 1), numbers(3, 2), numbers(D, 3), numbers(2, 4));
        for first in [0, 2, 4] {
            let dout = numbers((5 - first) * (D + 1), 5);
            let loss = |v: &[f64], values: &[f64], slope: &[f64], log_priors: &[f64]| -> f64 {
                let mut out = vec![0.0; dout.len()];
                forward(D, &events(), v, &Residuals { values, slope, log_priors }, first, &mut out);
                dot(&out, &dout)
            };
            let [mut dv, mut dvalues, mut dslope, mut dpriors] = [vec![0.0; 3 * D], vec![0.0; 3], vec![0.0; D], vec![0.0; 2]];
            let p = Residuals { values: &values[..], slope: &slope[..], log_priors: &priors[..] };
            let mut dp = Residuals { values: &mut dvalues[..], slope: &mut dslope[..], log_priors: &mut dpriors[..] };
            backward(D, &events(), &v, &p, first, &dout, &mut dv, &mut dp);
            assert_gradient("v", &v, &dv, |v| loss(v, &values, &slope, &priors));
            assert_gradient("values", &values, &dvalues, |values| loss(&v, values, &slope, &priors));
            assert_gradient("slope", &slope, &dslope, |slope| loss(&v, &values, slope, &priors));
            assert_gradient("priors", &priors, &dpriors, |priors| loss(&v, &values, &slope, priors));
        }
    }
}
