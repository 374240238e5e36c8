//! The sum of a history, divided by a power of its number of events: pool = Σ h / (n + 0.3)^power.
//!
//! Power 1 gives the mean (Covington et al., Deep neural networks for YouTube recommendations, 2016), power ½ the
//! multi-hot vector of length one (Liang et al., Variational autoencoders for collaborative filtering, 2018).

use super::Real;
use crate::onnx::{Attribute, GraphBuilder, Value};

/// Added to the number of events; pulls the pool of a short history towards 0.
const PRIOR: f64 = 0.3;

fn scale<T: Real>(events: usize, power: f64) -> T {
    T::of(libm::pow(events as f64 + PRIOR, -power))
}

/// Writes `pools` `[events + 1, d]`: row p pools the first p of `h` `[events, d]`; row 0 is 0.
pub fn forward<T: Real>(d: usize, h: &[T], power: f64, pools: &mut [T]) {
    let mut sum = vec![T::ZERO; d];
    pools[..d].fill(T::ZERO);
    for (i, (h, pools)) in h.chunks_exact(d).zip(pools[d..].chunks_exact_mut(d)).enumerate() {
        let scale = scale::<T>(i + 1, power);
        for ((sum, h), pool) in sum.iter_mut().zip(h).zip(pools) {
            *sum += *h;
            *pool = *sum * scale;
        }
    }
}

/// The backward pass for `dpools` `[events + 1, d]`. Adds to `dh` `[events, d]`.
pub fn backward<T: Real>(d: usize, power: f64, dpools: &[T], dh: &mut [T]) {
    let mut sum = vec![T::ZERO; d];
    for (i, (dh, dpools)) in dh.chunks_exact_mut(d).zip(dpools[d..].chunks_exact(d)).enumerate().rev() {
        let scale = scale::<T>(i + 1, power);
        for ((sum, dh), dpool) in sum.iter_mut().zip(dh).zip(dpools) {
            *sum += *dpool * scale;
            *dh += *sum;
        }
    }
}

/// ONNX nodes: from `h` `[batch, L, d]` and `mask` f32 `[batch, L]`, 1 for an event, to the pool `[batch, 1, d]`.
/// `power` is 0.5 or 1.
pub fn onnx(g: &mut GraphBuilder, power: f64, h: &Value, mask: &Value) -> Value {
    let prior = g.constant_f32("pool.prior", &[], &[PRIOR as f32]);
    let middle = g.constant_i64("pool.middle", &[1], &[1]);
    let last = g.constant_i64("pool.last", &[1], &[2]);
    let mask = g.node("Unsqueeze", &[mask, &middle], &[]);
    let sum = g.node("MatMul", &[&mask, h], &[]);
    let count = g.node("ReduceSum", &[&mask, &last], &[("keepdims", Attribute::Int(1))]);
    let count = g.node("Add", &[&count, &prior], &[]);
    let by = if power == 0.5 { g.node("Sqrt", &[&count], &[]) } else { count };
    g.node("Div", &[&sum, &by], &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn known_values_and_gradient() {
        let (h, dpools) = (numbers(6, 1), numbers(8, 2));
        for power in [0.5, 1.0] {
            let pools = |h: &[f64]| {
                let mut pools = vec![9.0; 8];
                forward(2, h, power, &mut pools);
                pools
            };
            assert_eq!(pools(&h)[..2], [0.0, 0.0]);
            assert!((pools(&h)[6] - (h[0] + h[2] + h[4]) / 3.3f64.powf(power)).abs() < 1e-12);
            let mut dh = vec![0.0; 6];
            backward(2, power, &dpools, &mut dh);
            assert_gradient("h", &h, &dh, |h| pools(h).iter().zip(&dpools).map(|(y, d)| y * d).sum());
        }
    }
}
