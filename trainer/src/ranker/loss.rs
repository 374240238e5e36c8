//! What a ranker minimises over the candidates of one request.

use serde::{Deserialize, Serialize};

use crate::losses::softplus;
use crate::ops::Real;

/// How the candidates of a request are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankerLoss {
    /// Each candidate alone: binary cross-entropy.
    Pointwise,
    /// Pairs of a wanted candidate and another: logistic loss of their difference (Burges et al., 2005).
    Pairwise,
    /// All candidates at once: cross-entropy of a softmax (Cao et al., 2007).
    Listwise,
}

/// The loss of one request's candidates under one head. `logits`, `labels` and `counts` are `[candidates]`: labels from
/// 0 to 1, NaN where nothing is known, which leaves the candidate out; counts say for how many candidates each stands,
/// itself among them. Adds `scale` times the slopes to `slopes`.
///
/// The loss is a mean over the candidates, a mean over the pairs of different labels, each weighed by their difference,
/// or a sum over the candidates, each weighed by its label. Where there is nothing to compare it is 0.
pub fn of_labels<T: Real>(loss: RankerLoss, logits: &[T], (labels, counts): (&[f32], &[f32]), scale: T, slopes: &mut [T]) -> T {
    let number = |x: f32| T::of(f64::from(x));
    let known: Vec<(usize, T, T)> = labels
        .iter()
        .zip(counts)
        .enumerate()
        .filter(|(_, (y, _))| !y.is_nan())
        .map(|(i, (y, n))| (i, number(*y), number(*n)))
        .collect();
    let mut total = T::ZERO;
    match loss {
        RankerLoss::Pointwise => {
            let all: T = known.iter().map(|(_, _, n)| *n).sum();
            for (i, y, n) in known {
                let (value, slope) = softplus(logits[i]);
                let share = scale * n / all;
                total += share * (value - y * logits[i]);
                slopes[i] += share * (slope - y);
            }
        }
        RankerLoss::Pairwise => {
            let pairs = || known.iter().flat_map(|a| known.iter().map(move |b| (a, b))).filter(|(a, b)| a.1 > b.1);
            let all: T = pairs().map(|(a, b)| a.2 * b.2).sum();
            for ((i, more, n), (j, less, m)) in pairs() {
                let weight = scale * *n * *m / all * (*more - *less);
                let (value, slope) = softplus(logits[*j] - logits[*i]);
                total += weight * value;
                slopes[*i] -= weight * slope;
                slopes[*j] += weight * slope;
            }
        }
        RankerLoss::Listwise => {
            let wanted: T = known.iter().map(|(_, y, n)| *y * *n).sum();
            if wanted > T::ZERO {
                let most = known.iter().map(|(i, ..)| logits[*i]).reduce(Real::max).unwrap_or_default();
                let sum: T = known.iter().map(|(i, _, n)| *n * (logits[*i] - most).exp()).sum();
                for (i, y, n) in known {
                    let log = logits[i] - most - sum.ln();
                    total -= scale * n * y * log;
                    slopes[i] += scale * n * (wanted * log.exp() - y);
                }
            }
        }
    }
    total
}

/// The mean squared error of the known `values`, NaN where nothing is known, times `scale`; adds the slopes.
pub fn of_values<T: Real>(outputs: &[T], values: &[f32], scale: T, slopes: &mut [T]) -> T {
    let known = values.iter().enumerate().filter(|(_, y)| !y.is_nan());
    let share = scale / T::of(known.clone().count().max(1) as f64);
    let mut total = T::ZERO;
    for (i, y) in known {
        let error = outputs[i] - T::of(f64::from(*y));
        total += share * error * error;
        slopes[i] += T::of(2.0) * share * error;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    const ALL: [RankerLoss; 3] = [RankerLoss::Pointwise, RankerLoss::Pairwise, RankerLoss::Listwise];

    #[test]
    fn known_values() {
        let value = |loss, logits: &[f64], labels: &[f32]| {
            of_labels(loss, logits, (labels, &[1.0; 4]), 2.0, &mut vec![0.0; logits.len()])
        };
        let (logits, labels) = ([1.0, 0.0, 9.0, 1.0], [1.0, 0.0, f32::NAN, 0.0]);
        let [one, zero] = [1.0f64, 0.0].map(|x| (1.0 + x.exp()).ln());
        let pointwise = 2.0 * ((one - 1.0) + zero + one) / 3.0;
        assert!((value(RankerLoss::Pointwise, &logits, &labels) - pointwise).abs() < 1e-12);
        let pairwise = 2.0 * ((one - 1.0) + zero) / 2.0;
        assert!((value(RankerLoss::Pairwise, &logits, &labels) - pairwise).abs() < 1e-12);
        let e = 1.0f64.exp();
        let listwise = -2.0 * (e / (e + 1.0 + e)).ln();
        assert!((value(RankerLoss::Listwise, &logits, &labels) - listwise).abs() < 1e-12);
        // 0.5 counts half as much as 1.
        let half = value(RankerLoss::Pairwise, &[0.0, 0.0], &[0.5, 0.0]);
        assert!((half - zero).abs() < 1e-12);
        let listwise = value(RankerLoss::Listwise, &[0.0, 0.0], &[0.5, 0.25]);
        assert!((listwise - 2.0 * 0.75 * 2.0f64.ln()).abs() < 1e-12);
        assert_eq!(of_values(&[1.0, 5.0, 3.0], &[0.0, f32::NAN, 5.0], 2.0, &mut [0.0; 3]), 2.0 * (1.0 + 4.0) / 2.0);
    }

    #[test]
    fn a_count_stands_for_so_many_candidates() {
        let value = |loss, logits: &[f64], labels: &[f32], counts: &[f32]| {
            let mut slopes = vec![0.0; logits.len()];
            (of_labels(loss, logits, (labels, counts), 1.5, &mut slopes), slopes)
        };
        for loss in ALL {
            let (three, slopes) = value(loss, &[0.5, -1.0, -1.0, -1.0], &[1.0, 0.25, 0.25, 0.25], &[1.0; 4]);
            let (counted, slopes_of_counted) = value(loss, &[0.5, -1.0], &[1.0, 0.25], &[1.0, 3.0]);
            assert!((three - counted).abs() < 1e-12, "{loss:?}");
            assert!((slopes[0] - slopes_of_counted[0]).abs() < 1e-12 && (3.0 * slopes[1] - slopes_of_counted[1]).abs() < 1e-12);
        }
    }

    #[test]
    fn nothing_to_compare_gives_nothing() {
        for loss in ALL {
            for labels in [&[f32::NAN; 2][..], &[]] {
                let mut slopes = vec![0.0f64; labels.len()];
                assert_eq!(of_labels(loss, &vec![1.0; labels.len()], (labels, &[1.0; 2]), 1.0, &mut slopes), 0.0);
                assert!(slopes.iter().all(|s| *s == 0.0));
            }
        }
        for loss in [RankerLoss::Pairwise, RankerLoss::Listwise] {
            assert_eq!(of_labels(loss, &[1.0, 2.0f64], (&[0.0; 2], &[1.0; 2]), 1.0, &mut [0.0; 2]), 0.0);
        }
    }

    #[test]
    fn gradients() {
        let logits = numbers(6, 1);
        let labels = [1.0, 0.0, 0.5, f32::NAN, 0.0, 1.0];
        for loss in ALL {
            let mut slopes = vec![0.0; 6];
            let known = (&labels[..], &[1.0, 7.0, 1.0, 1.0, 1.0, 2.0][..]);
            of_labels(loss, &logits, known, 1.5, &mut slopes);
            assert_gradient(&format!("{loss:?}"), &logits, &slopes, |x| of_labels(loss, x, known, 1.5, &mut [0.0; 6]));
        }
        let mut slopes = vec![0.0; 6];
        of_values(&logits, &labels, 1.5, &mut slopes);
        assert_gradient("values", &logits, &slopes, |x| of_values(x, &labels, 1.5, &mut [0.0; 6]));
    }
}
