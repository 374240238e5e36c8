//! Pointwise loss: binary cross-entropy of the wanted item and of drawn negatives, as in SASRec (Kang and McAuley,
//! 2018).
//!
//! With few negatives the scores come out too high. gBCE corrects this with the weight β of the wanted item:
//!
//! - β = α (t (1 − 1/α) + 1/α)
//!
//! α is the share of the catalog that is drawn, t is the calibration: t = 0 is plain BCE, t = 1 corrects fully (β = α).
//! Source: Petrov and Macdonald, gSASRec, 2023.

use super::RowLoss;
use crate::ops::Real;

/// Calibration t of gBCE, as the paper recommends.
pub(super) const CALIBRATION: f64 = 0.75;

/// β for `negatives` drawn from a catalog of `items`; `calibration` is t, 0 to 1.
pub(super) fn beta(negatives: usize, items: usize, calibration: f64) -> f64 {
    let alpha = (negatives as f64 / (items.max(2) - 1) as f64).min(1.0);
    alpha * (calibration * (1.0 - 1.0 / alpha) + 1.0 / alpha)
}

/// The loss −(β ln σ(wanted) + Σ ln(1 − σ(negative))) / (1 + number of negatives), and its slopes by the scores.
pub(super) fn row<T: Real>(wanted: T, negatives: &[T], beta: T) -> RowLoss<T> {
    let share = T::ONE / T::of(1.0 + negatives.len() as f64);
    let (loss, slope) = super::softplus(-wanted);
    let mut found =
        RowLoss { loss: share * beta * loss, wanted: -share * beta * slope, negatives: Vec::with_capacity(negatives.len()) };
    for negative in negatives {
        let (loss, slope) = super::softplus(*negative);
        found.loss += share * loss;
        found.negatives.push(share * slope);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let found = row(0.0f64, &[0.0, 3.0f64.ln()], 0.5);
        assert!((found.loss - (0.5 * 2.0f64.ln() + 2.0f64.ln() + 4.0f64.ln()) / 3.0).abs() < 1e-12);
        assert!((found.wanted + 0.25 / 3.0).abs() < 1e-12);
        assert!((found.negatives[1] - 0.75 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn beta_falls_from_1_to_the_drawn_share() {
        assert_eq!(beta(10, 101, 0.0), 1.0);
        assert!((beta(10, 101, 1.0) - 0.1).abs() < 1e-12);
        assert!((beta(10, 101, 0.75) - (0.1 * 0.75 * -9.0 + 1.0)).abs() < 1e-12);
        assert_eq!(beta(100, 101, 0.75), 1.0);
    }
}
