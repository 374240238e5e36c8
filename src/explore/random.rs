//! Random numbers of one decision. The seed and the decision id fix them, the same on every target.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The stream of a decision's draws.
pub fn decision_rng(seed: u64, decision: &str) -> ChaCha8Rng {
    stream("decision", seed, decision)
}

/// A named stream of a decision: ChaCha8 with the key SHA-256("foretaste/" ‖ name ‖ seed, 8 bytes little-endian ‖
/// decision id).
pub fn stream(name: &str, seed: u64, decision: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(b"foretaste/");
    hash.update(name);
    hash.update(seed.to_le_bytes());
    hash.update(decision.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// A uniform number 0 ≤ x < 1 with 53 random bits.
pub fn unit(rng: &mut dyn Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A uniform whole number below `n` ≥ 1, without bias. Lemire, Fast random integer generation in an interval, 2019.
pub fn below(rng: &mut dyn Rng, n: u64) -> u64 {
    let threshold = n.wrapping_neg() % n;
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(n);
        if product as u64 >= threshold {
            return (product >> 64) as u64;
        }
    }
}

/// A standard normal number. Marsaglia and Bray, A convenient method for generating normal variables, 1964.
pub fn normal(rng: &mut dyn Rng) -> f64 {
    loop {
        let [x, y] = [2.0 * unit(rng) - 1.0, 2.0 * unit(rng) - 1.0];
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return libm::sqrt(-2.0 * libm::log(square) / square) * x;
        }
    }
}

/// An almost normal number with mean 0 and variance 1, from a single draw of 32 bits: the scaled sum of its four bytes.
pub fn nearly_normal(rng: &mut dyn Rng) -> f32 {
    let sum: i32 = rng.next_u32().to_le_bytes().iter().map(|byte| i32::from(*byte)).sum();
    // Four uniform bytes have the mean 510 and the variance 4 · (256² − 1) / 12.
    (sum - 510) as f32 / 147.799_86
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn streams_differ_by_seed_and_decision() {
        let first = |seed, decision| decision_rng(seed, decision).next_u64();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert!(first(1, "a") != first(2, "a") && first(1, "a") != first(1, "b"));
    }

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut rng = decision_rng(1, "");
        let mut seen = [0; 7];
        (0..7000).for_each(|_| seen[below(&mut rng, 7) as usize] += 1);
        assert!(seen.iter().all(|c| (850..1150).contains(c)), "{seen:?}");
        assert_eq!(below(&mut rng, 1), 0);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&unit(&mut rng))));
    }

    #[test]
    fn normal_numbers_have_their_moments() {
        let mut rng = decision_rng(2, "");
        let numbers: Vec<f64> = (0..20_000).map(|_| normal(&mut rng)).collect();
        let moment = |power: i32| numbers.iter().map(|x| (0..power).map(|_| x).product::<f64>()).sum::<f64>() / 20_000.0;
        // Bounds of four standard errors, which are √1, √2, √15 and √96 over √20,000.
        assert!(moment(1).abs() < 0.029 && (moment(2) - 1.0).abs() < 0.04);
        assert!(moment(3).abs() < 0.11 && (moment(4) - 3.0).abs() < 0.28);
        let numbers: Vec<f64> = (0..20_000).map(|_| f64::from(nearly_normal(&mut rng))).collect();
        let moment = |power: i32| numbers.iter().map(|x| (0..power).map(|_| x).product::<f64>()).sum::<f64>() / 20_000.0;
        assert!(moment(1).abs() < 0.029 && (moment(2) - 1.0).abs() < 0.04);
        // The fourth moment of the sum of four uniform numbers is 3 − 1.2 / 4.
        assert!(moment(3).abs() < 0.11 && (moment(4) - 2.7).abs() < 0.2);
    }
}
