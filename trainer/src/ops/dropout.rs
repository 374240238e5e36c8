//! Dropout (Srivastava et al., 2014). The mask is a hash of a counter, so it is not stored: the backward pass draws the
//! same mask again.

use super::Real;
use crate::random::mix;

/// Sets a share of the numbers to 0 and multiplies the others by 1 / (1 − rate), which keeps the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share of the numbers set to 0, 0 ≤ rate < 1. 0 changes nothing; near 1 almost nothing passes.
    pub rate: f64,
    /// Seed of the mask: equal seeds give equal masks.
    pub seed: u64,
}

impl Dropout {
    /// No dropout.
    pub const NONE: Dropout = Dropout { rate: 0.0, seed: 0 };

    /// Whether number `i` is dropped.
    pub fn drops(&self, i: u64) -> bool {
        ((mix(self.seed, i) >> 32) as f64) < self.rate * (1u64 << 32) as f64
    }

    /// Applies the mask in place: to activations forward, to their gradients backward.
    pub fn apply<T: Real>(&self, x: &mut [T]) {
        if self.rate == 0.0 {
            return;
        }
        let keep = T::of(1.0 / (1.0 - self.rate));
        for (i, x) in x.iter_mut().enumerate() {
            *x = if self.drops(i as u64) { T::ZERO } else { *x * keep };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_drops_nothing() {
        assert!((0..1000).all(|i| !Dropout::NONE.drops(i)));
    }

    #[test]
    fn keeps_the_mean_and_repeats_its_mask() {
        let dropout = Dropout { rate: 0.3, seed: 5 };
        let mut x = vec![1.0f64; 100_000];
        dropout.apply(&mut x);
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        let kept = |i: usize| if dropout.drops(i as u64) { 0.0 } else { 1.0 / 0.7 };
        assert!(x.iter().enumerate().all(|(i, x)| (*x - kept(i)).abs() < 1e-12));
        let mut again = vec![1.0f64; 100_000];
        dropout.apply(&mut again);
        assert_eq!(x, again);
        let other = Dropout { rate: 0.3, seed: 6 };
        let both = (0..100_000).filter(|i| dropout.drops(*i) && other.drops(*i)).count();
        assert!((8_500..9_500).contains(&both), "{both}");
    }
}
