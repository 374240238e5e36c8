//! Recall: which share of the targets a list holds.

use super::{Better, Formula, Metric};

/// Recall in the first k places.
pub const RECALL: Metric = Metric {
    family: "recall",
    k: None,
    unit: "share of targets, 0 to 1",
    better: Better::Higher,
    formula: Formula::Ranks(recall),
};

/// The number of targets of rank ≤ k, divided by min(k, targets); 0 without targets.
pub fn recall(ranks: &[usize], k: usize) -> f64 {
    let hits = ranks.iter().filter(|r| **r <= k).count();
    if ranks.is_empty() { 0.0 } else { hits as f64 / ranks.len().min(k) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(recall(&[1, 20, 21], 20), 2.0 / 3.0);
        assert_eq!(recall(&[1, 2, 3], 2), 1.0);
        assert_eq!(recall(&[], 2), 0.0);
    }
}
