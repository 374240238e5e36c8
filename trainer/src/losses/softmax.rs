//! Cross-entropy of a softmax over the candidates, fused with its gradient. Only the logits of one chunk of rows exist
//! at a time, and the gradient overwrites them.
//!
//! The targets of a row are soft: they are weights, and their sum is the weight of the row. Masked candidates (the
//! items of the row's history) take no part in its softmax. `shift` is added to the logits; −ln q corrects for
//! candidates that were sampled with probability q (Bengio and Senécal, 2008; Yi et al., 2019).

use crate::ops::{Op, Real, matmul};

/// Rows whose logits exist at the same time.
const CHUNK: usize = 64;

/// The candidates that one row should rank first, and those it leaves out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Target {
    /// (candidate, weight ≥ 0) pairs. A row without any has loss 0.
    pub wanted: Vec<(u32, f32)>,
    /// Candidates that the row leaves out, unless they are wanted: they are no part of its softmax and never drawn as
    /// negatives.
    pub masked: Vec<u32>,
}

/// Σ over rows of −Σ weight · ln softmax, times `scale`.
///
/// `u` is `[rows, d]`, `v` `[candidates, d]`; `bias` and `shift` are `[candidates]`. Writes `du`; adds to `dv` and
/// `dbias`.
#[allow(clippy::too_many_arguments)]
pub fn loss<T: Real>(
    d: usize,
    (u, du): (&[T], &mut [T]),
    (v, dv): (&[T], &mut [T]),
    (bias, dbias): (&[T], &mut [T]),
    shift: &[T],
    targets: &[Target],
    scale: T,
) -> T {
    let candidates = bias.len();
    let start: Vec<T> = bias.iter().zip(shift).map(|(b, s)| *b + *s).collect();
    let mut logits = vec![T::ZERO; CHUNK.min(targets.len()) * candidates];
    let mut total = T::ZERO;
    for ((targets, u), du) in targets.chunks(CHUNK).zip(u.chunks(CHUNK * d)).zip(du.chunks_mut(CHUNK * d)) {
        let rows = targets.len();
        let logits = &mut logits[..rows * candidates];
        logits.chunks_exact_mut(candidates).for_each(|row| row.copy_from_slice(&start));
        matmul([rows, d, candidates], (u, Op::Plain), (v, Op::Transposed), T::ONE, logits);
        for (z, target) in logits.chunks_exact_mut(candidates).zip(targets) {
            total += row_gradient(z, target, scale);
        }
        for row in logits.chunks_exact(candidates) {
            dbias.iter_mut().zip(row).for_each(|(b, z)| *b += *z);
        }
        matmul([rows, candidates, d], (logits, Op::Plain), (v, Op::Plain), T::ZERO, du);
        matmul([candidates, rows, d], (logits, Op::Transposed), (u, Op::Plain), T::ONE, dv);
    }
    total
}

/// Returns the loss of one row and replaces its logits `z` by their gradient.
fn row_gradient<T: Real>(z: &mut [T], target: &Target, scale: T) -> T {
    if target.wanted.is_empty() {
        z.fill(T::ZERO);
        return T::ZERO;
    }
    let wanted: Vec<(usize, T, T)> =
        target.wanted.iter().map(|(c, w)| (*c as usize, T::of(f64::from(*w)), z[*c as usize])).collect();
    target.masked.iter().for_each(|c| z[*c as usize] = T::of(f64::NEG_INFINITY));
    wanted.iter().for_each(|(c, _, logit)| z[*c] = *logit);
    let max = z.iter().copied().fold(T::of(f64::NEG_INFINITY), T::max);
    let mut sum = T::ZERO;
    for z in z.iter_mut() {
        *z = (*z - max).exp();
        sum += *z;
    }
    let factor = scale * wanted.iter().map(|(_, weight, _)| *weight).sum::<T>() / sum;
    z.iter_mut().for_each(|z| *z *= factor);
    let log_sum = sum.ln() + max;
    let mut loss = T::ZERO;
    for (c, weight, logit) in wanted {
        loss += weight * (log_sum - logit);
        z[c] -= weight * scale;
    }
    loss * scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    const D: usize = 3;
    const CANDIDATES: usize = 7;

    fn value(u: &[f64], v: &[f64], bias: &[f64], targets: &[Target]) -> (f64, [Vec<f64>; 3]) {
        let [mut du, mut dv, mut dbias] = [vec![7.0; u.len()], vec![0.0; v.len()], vec![0.0; bias.len()]];
        let shift = numbers(CANDIDATES, 9);
        let loss = loss(D, (u, &mut du), (v, &mut dv), (bias, &mut dbias), &shift, targets, 0.5);
        (loss, [du, dv, dbias])
    }

    #[test]
    fn uniform_scores_cost_the_logarithm_of_the_number_of_candidates() {
        let targets = [Target { wanted: vec![(1, 0.25), (2, 0.75)], masked: vec![0, 1, 5] }];
        let (mut du, mut dv, mut dbias) = ([0.0; D], [0.0; D * CANDIDATES], [0.0; CANDIDATES]);
        let zero = [0.0; CANDIDATES];
        let loss = loss(D, (&[0.0; D], &mut du), (&[0.0; D * CANDIDATES], &mut dv), (&zero, &mut dbias), &zero, &targets, 1.0);
        assert!((loss - 5.0f64.ln()).abs() < 1e-12);
        assert_eq!((dbias[0], dbias[5]), (0.0, 0.0));
        assert!((dbias[1] - (0.2 - 0.25)).abs() < 1e-12 && (dbias[3] - 0.2).abs() < 1e-12);
    }

    #[test]
    fn gradients_over_several_chunks() {
        let rows = CHUNK + 3;
        let (u, v, bias) = (numbers(rows * D, 1), numbers(CANDIDATES * D, 2), numbers(CANDIDATES, 3));
        let target = |r: usize| {
            let (a, b) = ((r % CANDIDATES) as u32, ((r + 3) % CANDIDATES) as u32);
            Target { wanted: vec![(a, 0.5), (b, 0.5)], masked: vec![b, (r as u32 + 1) % CANDIDATES as u32] }
        };
        let targets: Vec<Target> = (0..rows).map(target).collect();
        let (_, [du, dv, dbias]) = value(&u, &v, &bias, &targets);
        assert_gradient("u", &u, &du, |u| value(u, &v, &bias, &targets).0);
        assert_gradient("v", &v, &dv, |v| value(&u, v, &bias, &targets).0);
        assert_gradient("bias", &bias, &dbias, |bias| value(&u, &v, bias, &targets).0);
    }
}
