//! Average precision: its mean over queries is the MAP.

use super::{Better, Formula, Metric};

/// Average precision of a query; its mean over queries is the MAP.
pub const AVERAGE_PRECISION: Metric = Metric {
    family: "map",
    k: None,
    unit: "mean precision, 0 to 1",
    better: Better::Higher,
    formula: Formula::Ranks(average_precision),
};

/// The sum over targets of rank r ≤ k of the precision of the first r places, divided by min(k, targets); 0 without
/// targets.
pub fn average_precision(ranks: &[usize], k: usize) -> f64 {
    let mut hits: Vec<usize> = ranks.iter().copied().filter(|r| *r <= k).collect();
    hits.sort_unstable();
    let sum: f64 = hits.iter().enumerate().map(|(i, rank)| (i + 1) as f64 / *rank as f64).sum();
    if ranks.is_empty() { 0.0 } else { sum / ranks.len().min(k) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(average_precision(&[4, 1], 10), (1.0 + 0.5) / 2.0);
        assert_eq!(average_precision(&[1, 11], 10), 0.5);
        assert_eq!(average_precision(&[3], 2), 0.0);
        assert_eq!(average_precision(&[], 10), 0.0);
    }
}
