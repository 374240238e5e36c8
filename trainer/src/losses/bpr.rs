//! Pairwise: a wanted item is to stand above those that were not. Rendle et al., BPR: Bayesian personalized ranking from implicit feedback, 2009.

use super::Pair;
use crate::ops::Real;

/// −ln σ(wanted − negative), its mean over the negatives; gives the loss and the slopes of the wanted score and of the negatives'.
pub(super) fn row<T: Real>(wanted: T, negatives: &[T]) -> Pair<T> {
    let share = T::ONE / T::of(negatives.len() as f64);
    let mut pair = Pair { loss: T::ZERO, wanted: T::ZERO, negatives: Vec::with_capacity(negatives.len()) };
    for negative in negatives {
        let (loss, slope) = super::softplus(*negative - wanted);
        pair.loss += share * loss;
        pair.wanted -= share * slope;
        pair.negatives.push(share * slope);
    }
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let pair = row(1.0f64, &[1.0, 0.0]);
        assert!((pair.loss - (2.0f64.ln() + (1.0 + (-1.0f64).exp()).ln()) / 2.0).abs() < 1e-12);
        assert!((pair.negatives[0] - 0.25).abs() < 1e-12);
        assert!((pair.wanted + pair.negatives.iter().sum::<f64>()).abs() < 1e-12);
    }
}
