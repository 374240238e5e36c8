//! Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002), binary gains.

use super::{Better, Formula, Metric};

/// Normalised discounted cumulative gain.
pub const NDCG: Metric = Metric {
    family: "ndcg",
    k: None,
    unit: "share of the ideal list's gain, 0 to 1",
    better: Better::Higher,
    formula: Formula::Ranks(ndcg),
};

/// The sum of 1/log2(r + 1) over targets of rank r ≤ k, divided by the same sum for an ideal list, whose first min(k,
/// targets) places are targets; 0 without targets.
pub fn ndcg(ranks: &[usize], k: usize) -> f64 {
    let gain = |rank: usize| 1.0 / libm::log2(rank as f64 + 1.0);
    let ideal: f64 = (1..=ranks.len().min(k)).map(gain).sum();
    if ideal == 0.0 { 0.0 } else { ranks.iter().filter(|r| **r <= k).map(|r| gain(*r)).sum::<f64>() / ideal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(ndcg(&[1, 2], 10), 1.0);
        assert_eq!(ndcg(&[3], 10), 0.5);
        assert_eq!(ndcg(&[11], 10), 0.0);
        assert_eq!(ndcg(&[], 10), 0.0);
        let expected = (1.0 + 0.5) / (1.0 + 1.0 / 3f64.log2());
        assert!((ndcg(&[1, 3, 50], 2) - 1.0 / (1.0 + 1.0 / 3f64.log2())).abs() < 1e-12);
        assert!((ndcg(&[1, 3], 3) - expected).abs() < 1e-12);
    }
}
