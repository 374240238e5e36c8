//! Pools a history to four decayed means with learned rates, and the last event.
//!
//! A decayed mean is pool = Σ e^(−r·age) h / (Σ e^(−r·age) + 0.3). The age counts events, 0 for the newest. The rates r
//! are learned as logarithms. Training needs the pools of every prefix of a window; one pass gives them all: num ←
//! e^(−r)·num + h and den ← e^(−r)·den + 1.

use super::Real;
use crate::onnx::{Attribute, GraphBuilder, Value};

/// Number of decayed means.
pub const RATES: usize = 4;
/// Number of pools: the decayed means and the last event.
pub const POOLS: usize = RATES + 1;
/// Added to the denominator; pulls the mean of a short history towards 0.
const PRIOR: f64 = 0.3;

/// e^(−r) for each rate: the factor by which each new event shrinks the sums before it.
fn keeps<T: Real>(log_rates: &[T]) -> impl Iterator<Item = T> {
    log_rates.iter().map(|rate| (-rate.exp()).exp())
}

/// Writes `pools` `[events + 1, POOLS, d]`: row p pools the first p of `h` `[events, d]`, oldest first; row 0 is 0.
pub fn forward<T: Real>(d: usize, h: &[T], log_rates: &[T], pools: &mut [T]) {
    pools[..POOLS * d].fill(T::ZERO);
    for (k, keep) in keeps(log_rates).enumerate() {
        let (mut numerator, mut denominator) = (vec![T::ZERO; d], T::ZERO);
        for (h, pools) in h.chunks_exact(d).zip(pools[POOLS * d..].chunks_exact_mut(POOLS * d)) {
            denominator = keep * denominator + T::ONE;
            let scale = T::ONE / (denominator + T::of(PRIOR));
            for ((n, h), pool) in numerator.iter_mut().zip(h).zip(&mut pools[k * d..][..d]) {
                *n = keep * *n + *h;
                *pool = *n * scale;
            }
        }
    }
    for (h, pools) in h.chunks_exact(d).zip(pools[POOLS * d..].chunks_exact_mut(POOLS * d)) {
        pools[RATES * d..].copy_from_slice(h);
    }
}

/// The backward pass for `dpools` `[events + 1, POOLS, d]`. Adds to `dh` `[events, d]` and `dlog_rates` `[RATES]`.
pub fn backward<T: Real>(d: usize, pools: &[T], log_rates: &[T], dpools: &[T], dh: &mut [T], dlog_rates: &mut [T]) {
    let events = dh.len() / d;
    let row = |p: usize, k: usize| (p * POOLS + k) * d;
    for (k, keep) in keeps(log_rates).enumerate() {
        let mut denominators = vec![T::ZERO; events + 1];
        (1..=events).for_each(|p| denominators[p] = keep * denominators[p - 1] + T::ONE);
        // Gradients of numerator and denominator, carried from the newest event to the oldest.
        let (mut dnumerator, mut ddenominator, mut dkeep) = (vec![T::ZERO; d], T::ZERO, T::ZERO);
        for p in (1..=events).rev() {
            let scale = T::ONE / (denominators[p] + T::of(PRIOR));
            // The numerator before the event is the pool before the event times this number.
            let before = denominators[p - 1] + T::of(PRIOR);
            let (dpool, pool, last) = (&dpools[row(p, k)..][..d], &pools[row(p, k)..][..d], &pools[row(p - 1, k)..][..d]);
            let mut along = T::ZERO;
            for i in 0..d {
                dnumerator[i] += dpool[i] * scale;
                ddenominator -= dpool[i] * pool[i] * scale;
                along += dnumerator[i] * last[i];
            }
            dkeep += along * before + ddenominator * denominators[p - 1];
            for (h, n) in dh[(p - 1) * d..][..d].iter_mut().zip(&mut dnumerator) {
                *h += *n;
                *n *= keep;
            }
            ddenominator *= keep;
        }
        // d e^(−e^s) / ds = −e^s e^(−e^s)
        dlog_rates[k] -= dkeep * keep * log_rates[k].exp();
    }
    for p in 1..=events {
        dh[(p - 1) * d..][..d].iter_mut().zip(&dpools[row(p, RATES)..][..d]).for_each(|(h, g)| *h += *g);
    }
}

/// ONNX nodes: from `h` `[batch, L, d]`, newest first, and `mask` f32 `[batch, L]`, 1 for an event, to the pools
/// `[batch, POOLS, d]`.
pub fn onnx(g: &mut GraphBuilder, len: usize, log_rates: &[f32], h: &Value, mask: &Value) -> Value {
    let mut weights: Vec<f32> = Vec::with_capacity(POOLS * len);
    for rate in log_rates {
        weights.extend((0..len).map(|age| (-rate.exp() * age as f32).exp()));
    }
    weights.extend((0..len).map(|age| if age == 0 { 1.0 } else { 0.0 }));
    let weights = g.constant_f32("pool.weights", &[1, POOLS, len], &weights);
    // The denominator of the last event's pool is 1, whether the event is present or not.
    let (mut share, mut prior) = ([1.0; POOLS], [PRIOR as f32; POOLS]);
    (share[RATES], prior[RATES]) = (0.0, 1.0);
    let share = g.constant_f32("pool.share", &[1, POOLS, 1], &share);
    let prior = g.constant_f32("pool.prior", &[1, POOLS, 1], &prior);
    let middle = g.constant_i64("pool.middle", &[1], &[1]);
    let last = g.constant_i64("pool.last", &[1], &[2]);
    let mask = g.node("Unsqueeze", &[mask, &middle], &[]);
    let weights = g.node("Mul", &[&mask, &weights], &[]);
    let numerator = g.node("MatMul", &[&weights, h], &[]);
    let sum = g.node("ReduceSum", &[&weights, &last], &[("keepdims", Attribute::Int(1))]);
    let sum = g.node("Mul", &[&sum, &share], &[]);
    let denominator = g.node("Add", &[&sum, &prior], &[]);
    g.node("Div", &[&numerator, &denominator], &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn pools_are_the_weighted_means_of_their_prefix() {
        let (events, d) = (6, 3);
        let (h, rates) = (numbers(events * d, 1), numbers(RATES, 2));
        let mut pools = vec![9.0; (events + 1) * POOLS * d];
        forward(d, &h, &rates, &mut pools);
        for p in 0..=events {
            for k in 0..POOLS {
                for i in 0..d {
                    let weight =
                        |j: usize| if k < RATES { (-rates[k].exp() * (p - 1 - j) as f64).exp() } else { f64::from(j + 1 == p) };
                    let sum: f64 = (0..p).map(|j| weight(j) * h[j * d + i]).sum();
                    let all: f64 = (0..p).map(weight).sum::<f64>() + PRIOR;
                    let expected = if k < RATES { sum / all } else { sum };
                    assert!((pools[(p * POOLS + k) * d + i] - expected).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn gradients() {
        let (events, d) = (5, 2);
        let (h, rates, dpools) = (numbers(events * d, 1), numbers(RATES, 2), numbers((events + 1) * POOLS * d, 3));
        let pools = |h: &[f64], rates: &[f64]| {
            let mut pools = vec![0.0; dpools.len()];
            forward(d, h, rates, &mut pools);
            pools
        };
        let loss = |h: &[f64], rates: &[f64]| pools(h, rates).iter().zip(&dpools).map(|(y, d)| y * d).sum();
        let (mut dh, mut drates) = (vec![0.0; h.len()], vec![0.0; RATES]);
        backward(d, &pools(&h, &rates), &rates, &dpools, &mut dh, &mut drates);
        assert_gradient("h", &h, &dh, |h| loss(h, &rates));
        assert_gradient("rates", &rates, &drates, |rates| loss(&h, rates));
    }
}
