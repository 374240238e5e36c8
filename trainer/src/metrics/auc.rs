//! Area under the ROC curve.

/// P(a target stands before a candidate that is none): 1 for a perfect order, .5 for chance. `candidates` counts the targets too. Higher is
/// better; 1 where every candidate is a target.
pub fn auc(ranks: &[usize], candidates: usize) -> f64 {
    let targets = ranks.len();
    let pairs = targets * candidates.saturating_sub(targets);
    // The ranks' sum is least, n (n + 1) / 2, where all targets come first; each other candidate before a target adds 1.
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
