//! Pairwise loss: a wanted item should score above the drawn negatives. Rendle et al., BPR: Bayesian personalized
//! ranking from implicit feedback, 2009.

use super::RowLoss;
use crate::ops::Real;

/// The mean of −ln σ(wanted − negative) over the negatives, and its slopes by the scores.
pub(super) fn row<T: Real>(wanted: T, negatives: &[T]) -> RowLoss<T> {
    let share = T::ONE / T::of(negatives.len() as f64);
    let mut found = RowLoss { loss: T::ZERO, wanted: T::ZERO, negatives: Vec::with_capacity(negatives.len()) };
    for negative in negatives {
        let (loss, slope) = super::softplus(*negative - wanted);
        found.loss += share * loss;
        found.wanted -= share * slope;
        found.negatives.push(share * slope);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let found = row(1.0f64, &[1.0, 0.0]);
        assert!((found.loss - (2.0f64.ln() + (1.0 + (-1.0f64).exp()).ln()) / 2.0).abs() < 1e-12);
        assert!((found.negatives[0] - 0.25).abs() < 1e-12);
        assert!((found.wanted + found.negatives.iter().sum::<f64>()).abs() < 1e-12);
    }
}
