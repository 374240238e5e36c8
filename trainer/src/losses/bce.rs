//! Pointwise: is this item wanted? Binary cross-entropy of the wanted item and of negatives, as SASRec is trained.
//!
//! With few negatives the scores come out too high. gBCE weighs the wanted item by β to undo that: β = α (t (1 − 1/α) + 1/α) for the share α of the
//! catalog that is drawn and a calibration t; t = 0 is plain BCE. Petrov and Macdonald, gSASRec, 2023.

use super::Pair;
use crate::ops::Real;

/// Calibration of gBCE, as the paper recommends.
pub(super) const CALIBRATION: f64 = 0.75;

/// β for `negatives` of a catalog of `items`.
pub(super) fn beta(negatives: usize, items: usize, calibration: f64) -> f64 {
    let alpha = (negatives as f64 / (items.max(2) - 1) as f64).min(1.0);
    alpha * (calibration * (1.0 - 1.0 / alpha) + 1.0 / alpha)
}

/// −(β ln σ(wanted) + Σ ln(1 − σ(negative))) / (1 + the number of negatives).
pub(super) fn row<T: Real>(wanted: T, negatives: &[T], beta: T) -> Pair<T> {
    let share = T::ONE / T::of(1.0 + negatives.len() as f64);
    let (loss, slope) = super::softplus(-wanted);
    let mut pair =
        Pair { loss: share * beta * loss, wanted: -share * beta * slope, negatives: Vec::with_capacity(negatives.len()) };
    for negative in negatives {
        let (loss, slope) = super::softplus(*negative);
        pair.loss += share * loss;
        pair.negatives.push(share * slope);
    }
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let pair = row(0.0f64, &[0.0, 3.0f64.ln()], 0.5);
        assert!((pair.loss - (0.5 * 2.0f64.ln() + 2.0f64.ln() + 4.0f64.ln()) / 3.0).abs() < 1e-12);
        assert!((pair.wanted + 0.25 / 3.0).abs() < 1e-12);
        assert!((pair.negatives[1] - 0.75 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn beta_goes_from_1_to_the_share_that_is_drawn() {
        assert_eq!(beta(10, 101, 0.0), 1.0);
        assert!((beta(10, 101, 1.0) - 0.1).abs() < 1e-12);
        assert!((beta(10, 101, 0.75) - (0.1 * 0.75 * -9.0 + 1.0)).abs() < 1e-12);
        assert_eq!(beta(100, 101, 0.75), 1.0);
    }
}
