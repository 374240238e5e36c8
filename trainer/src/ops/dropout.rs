//! Dropout whose mask is a hash of a counter: nothing is stored, the backward pass draws the same mask again. Srivastava et al., 2014.

use super::Real;

/// A share of the numbers that is set to 0; the others grow by 1 / (1 − rate).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share, 0 ≤ rate < 1.
    pub rate: f64,
    /// Names the mask.
    pub seed: u64,
}

/// The finalizer of SplitMix64 over two words: a hash that serves as a random generator with a counter.
pub fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed ^ counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
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

    /// The outputs of SplitMix64 with the seed 0 (Steele, Lea, Flood, Fast splittable pseudorandom number generators, 2014).
    #[test]
    fn the_hash_is_that_of_splitmix64() {
        let expected = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!([1, 2, 3].map(|counter| mix(0, counter)), expected);
        assert_eq!([mix(0x9e37_79b9_7f4a_7c15, 0), mix(5, 1)], [expected[0], 0x16b1_cba9_5fc6_0262]);
        assert!(!Dropout::NONE.drops(0), "the least hash, and no share");
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
