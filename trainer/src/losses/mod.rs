//! Losses that train the towers, one per file, each fused with its gradient. All are generic over f32 and f64.

mod bce;
mod bpr;
mod negatives;
pub mod softmax;
pub mod squared_error;

use serde::{Deserialize, Serialize};

pub use negatives::Negatives;
use softmax::Target;

use crate::ops::Real;

/// Loss over the scores of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Listwise: cross-entropy over all candidates with soft targets (ListNet: Cao et al., 2007).
    #[default]
    Softmax,
    /// Pairwise: BPR.
    Bpr,
    /// Pointwise: binary cross-entropy.
    Bce,
    /// Pointwise: gBCE, which corrects binary cross-entropy for few negatives.
    Gbce,
}

/// The loss of one wanted item, and its slopes by the scores of the wanted item and of the negatives.
struct RowLoss<T> {
    loss: T,
    wanted: T,
    negatives: Vec<T>,
}

/// Numbers and their gradient, of the same shape: `[n, d]` for vectors, `[n]` for biases.
pub type Both<'a, T> = (&'a [T], &'a mut [T]);

impl Loss {
    /// Σ over rows of the weighted losses of the wanted items, times `scale`.
    ///
    /// The arguments are those of [`softmax::loss`]: writes `du`, adds to `dv` and `dbias`. `negatives` is ignored by
    /// [`Loss::Softmax`], which compares with all candidates.
    #[allow(clippy::too_many_arguments)]
    pub fn run<T: Real>(
        self,
        d: usize,
        (u, du): Both<T>,
        (v, dv): Both<T>,
        (bias, dbias): Both<T>,
        shift: &[T],
        targets: &[Target],
        scale: T,
        negatives: Negatives,
    ) -> T {
        let beta = match self {
            Loss::Softmax => return softmax::loss(d, (u, du), (v, dv), (bias, dbias), shift, targets, scale),
            Loss::Gbce => bce::beta(negatives.count, bias.len(), bce::CALIBRATION),
            Loss::Bpr | Loss::Bce => 1.0,
        };
        du.fill(T::ZERO);
        let mut total = T::ZERO;
        for (row, (target, (u, du))) in targets.iter().zip(u.chunks_exact(d).zip(du.chunks_exact_mut(d))).enumerate() {
            let vector = |c: u32| &v[c as usize * d..][..d];
            let score = |c: u32| bias[c as usize] + vector(c).iter().zip(u).map(|(v, u)| *v * *u).sum::<T>();
            let drawn = negatives.draw(row, bias.len(), target, score);
            if drawn.is_empty() {
                continue;
            }
            let scores: Vec<T> = drawn.iter().map(|c| score(*c)).collect();
            let mut slope_of = |c: u32, slope: T| {
                dbias[c as usize] += slope;
                du.iter_mut().zip(vector(c)).for_each(|(du, v)| *du += slope * *v);
                dv[c as usize * d..][..d].iter_mut().zip(u).for_each(|(dv, u)| *dv += slope * *u);
            };
            for (c, weight) in &target.wanted {
                let weight = scale * T::of(f64::from(*weight));
                let found = match self {
                    Loss::Bpr => bpr::row(score(*c), &scores),
                    _ => bce::row(score(*c), &scores, T::of(beta)),
                };
                total += weight * found.loss;
                slope_of(*c, weight * found.wanted);
                drawn.iter().zip(found.negatives).for_each(|(c, slope)| slope_of(*c, weight * slope));
            }
        }
        total
    }
}

/// ln(1 + eˣ) and its slope σ(x), without overflow.
pub fn softplus<T: Real>(x: T) -> (T, T) {
    let far = (if x < T::ZERO { x } else { -x }).exp();
    let larger = T::ONE / (T::ONE + far);
    (x.max(T::ZERO) + (T::ONE + far).ln(), if x < T::ZERO { far * larger } else { larger })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn gradients_of_the_losses_with_drawn_negatives() {
        let (d, rows, candidates) = (3, 5, 7u32);
        let (u, v, bias) = (numbers(rows * d, 1), numbers(candidates as usize * d, 2), numbers(candidates as usize, 3));
        let target = |r: u32| Target { wanted: vec![(r, 0.7), (r + 1, 0.3)], masked: vec![(r + 2) % candidates] };
        let targets: Vec<Target> = (0..rows as u32).map(target).collect();
        for loss in [Loss::Bpr, Loss::Bce, Loss::Gbce] {
            let value = |u: &[f64], v: &[f64], bias: &[f64]| {
                let [mut du, mut dv, mut dbias] = [vec![7.0; u.len()], vec![0.0; v.len()], vec![0.0; bias.len()]];
                let negatives = Negatives { count: 2, hardness: 1, seed: 4 };
                let total = loss.run(d, (u, &mut du), (v, &mut dv), (bias, &mut dbias), &[0.0; 7], &targets, 0.5, negatives);
                (total, [du, dv, dbias])
            };
            let (_, [du, dv, dbias]) = value(&u, &v, &bias);
            assert_gradient(&format!("{loss:?} u"), &u, &du, |u| value(u, &v, &bias).0);
            assert_gradient(&format!("{loss:?} v"), &v, &dv, |v| value(&u, v, &bias).0);
            assert_gradient(&format!("{loss:?} bias"), &bias, &dbias, |bias| value(&u, &v, bias).0);
        }
    }

    #[test]
    fn softplus_is_exact_for_large_numbers() {
        assert_eq!(softplus(1000.0f64), (1000.0, 1.0));
        assert_eq!(softplus(-1000.0f64), (0.0, 0.0));
        assert!((softplus(0.0f64).0 - std::f64::consts::LN_2).abs() < 1e-15 && softplus(0.0f64).1 == 0.5);
    }
}
