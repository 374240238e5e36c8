//! Stateless draws: the hash of a seed and a counter. The draws of a training, baseline or interval are the same on any
//! machine and any number of threads, and can be repeated without being stored.

/// Hashes two words with the finalizer of SplitMix64 (Steele, Lea, Flood, Fast splittable pseudorandom number
/// generators, 2014).
///
/// `mix(seed, 0), mix(seed, 1), …` are independent draws of 64 uniform bits. `mix(seed, n)` can serve as a seed in
/// turn.
#[inline]
pub fn mix(seed: u64, counter: u64) -> u64 {
    let mut z = seed ^ counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 2⁵³: the number of values that [`unit()`] takes.
const STEPS: f64 = (1u64 << 53) as f64;

/// The upper 53 bits of a word as a number x, 0 ≤ x < 1.
#[inline]
pub fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / STEPS
}

/// The upper 53 bits of a word as a number x, 0 < x ≤ 1, so that its logarithm is finite.
#[inline]
pub fn positive_unit(word: u64) -> f64 {
    ((word >> 11) + 1) as f64 / STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outputs of SplitMix64 with the seed 0.
    #[test]
    fn hashes_like_splitmix64() {
        let expected = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!([1, 2, 3].map(|counter| mix(0, counter)), expected);
        assert_eq!([mix(0x9e37_79b9_7f4a_7c15, 0), mix(5, 1)], [expected[0], 0x16b1_cba9_5fc6_0262]);
    }

    #[test]
    fn units_stay_in_their_ranges() {
        assert_eq!((unit(0), unit(u64::MAX)), (0.0, 1.0 - f64::EPSILON / 2.0));
        assert_eq!((positive_unit(0), positive_unit(u64::MAX)), (f64::EPSILON / 2.0, 1.0));
    }
}
