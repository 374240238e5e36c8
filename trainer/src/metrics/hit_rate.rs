//! Hit rate: whether a list holds a target.

use super::{Better, Formula, Metric};

/// Hit rate in the first k places.
pub const HIT_RATE: Metric =
    Metric { family: "hr", k: None, unit: "share of queries, 0 to 1", better: Better::Higher, formula: Formula::Ranks(hit_rate) };

/// 1 if a target has rank ≤ k, else 0; its mean over queries is the hit rate.
pub fn hit_rate(ranks: &[usize], k: usize) -> f64 {
    if ranks.iter().any(|rank| *rank <= k) { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!((hit_rate(&[10], 10), hit_rate(&[11], 10)), (1.0, 0.0));
        assert_eq!((hit_rate(&[30, 2], 10), hit_rate(&[], 10)), (1.0, 0.0));
    }
}
