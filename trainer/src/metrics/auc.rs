//! Area under the ROC curve.

use super::{Better, Formula, Metric};

/// The area under the ROC curve of a query's whole ranking.
pub const AUC: Metric =
    Metric { family: "auc", k: None, unit: "probability, 0 to 1", better: Better::Higher, formula: Formula::WholeRanking(auc) };

/// The probability that a target ranks above a candidate that is not one: 1 for a perfect order, 0.5 for chance.
/// `candidates` counts the targets too. If every candidate is a target, it is 1.
pub fn auc(ranks: &[usize], candidates: usize) -> f64 {
    let targets = ranks.len();
    let pairs = targets * candidates.saturating_sub(targets);
    // If all targets come first, their ranks sum to n (n + 1) / 2. Every pair of a target and another candidate above
    // it adds 1.
    let wrong = ranks.iter().sum::<usize>() - targets * (targets + 1) / 2;
    if pairs == 0 { 1.0 } else { 1.0 - wrong as f64 / pairs as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(auc(&[2, 1], 10), 1.0);
        assert_eq!(auc(&[5], 5), 0.0);
        assert_eq!(auc(&[1, 4], 4), 0.5);
        assert_eq!((auc(&[1, 2], 2), auc(&[], 3)), (1.0, 1.0));
    }
}
