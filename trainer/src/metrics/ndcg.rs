//! Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002), binary gains and graded ones.

use super::{Better, Formula, Metric};

/// Normalised discounted cumulative gain.
pub const NDCG: Metric = Metric {
    family: "ndcg",
    k: None,
    unit: "share of the ideal list's gain, 0 to 1",
    better: Better::Higher,
    formula: Formula::Ranks(ndcg),
};

/// The same where targets are worth what the data declares as utility.
pub const GRADED_NDCG: Metric = Metric { family: "graded_ndcg", formula: Formula::Gains(graded_ndcg), ..NDCG };

/// The sum of 1/log2(r + 1) over targets of rank r ≤ k, divided by the same sum for an ideal list, whose first min(k,
/// targets) places are targets; 0 without targets.
pub fn ndcg(ranks: &[usize], k: usize) -> f64 {
    let ideal: f64 = (1..=ranks.len().min(k)).map(discount).sum();
    if ideal == 0.0 { 0.0 } else { ranks.iter().filter(|r| **r <= k).map(|r| discount(*r)).sum::<f64>() / ideal }
}

/// The sum of g/log2(r + 1) over targets of rank r ≤ k with the gain g, 0 or more, divided by the same sum for an ideal
/// list, which starts with the targets by falling gain; `None` if no target has a gain.
pub fn graded_ndcg(ranks: &[usize], gains: &[f64], k: usize) -> Option<f64> {
    let mut ideal = gains.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let ideal: f64 = (1..=k).zip(ideal).map(|(rank, gain)| gain * discount(rank)).sum();
    let found = ranks.iter().zip(gains).filter(|(rank, _)| **rank <= k).map(|(rank, gain)| gain * discount(*rank));
    (ideal > 0.0).then(|| found.sum::<f64>() / ideal)
}

fn discount(rank: usize) -> f64 {
    1.0 / libm::log2(rank as f64 + 1.0)
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

    #[test]
    fn known_values_of_graded_gains() {
        assert_eq!(graded_ndcg(&[2, 1], &[1.0, 3.0], 10), Some(1.0));
        assert_eq!(graded_ndcg(&[3], &[4.0], 10), Some(0.5));
        assert_eq!(graded_ndcg(&[1, 2], &[0.0, 0.0], 10), None);
        let log = 3f64.log2();
        assert!((graded_ndcg(&[1, 2, 11], &[1.0, 3.0, 0.0], 10).unwrap() - (1.0 + 3.0 / log) / (3.0 + 1.0 / log)).abs() < 1e-12);
        for ranks in [[1, 4, 9], [2, 3, 5]] {
            assert!((graded_ndcg(&ranks, &[2.0; 3], 5).unwrap() - ndcg(&ranks, 5)).abs() < 1e-12);
        }
    }
}
