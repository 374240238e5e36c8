//! Precision of the first places of a list.

use super::{Better, Formula, Metric};

/// Precision of the first k places.
pub const PRECISION: Metric = Metric {
    family: "precision",
    k: None,
    unit: "share of places, 0 to 1",
    better: Better::Higher,
    formula: Formula::Ranks(precision),
};

/// The share of the first k places that hold a target: hits / k.
pub fn precision(ranks: &[usize], k: usize) -> f64 {
    ranks.iter().filter(|r| **r <= k).count() as f64 / k as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_values() {
        assert_eq!(super::precision(&[1, 20, 21], 20), 0.1);
        assert_eq!(super::precision(&[], 20), 0.0);
    }
}
