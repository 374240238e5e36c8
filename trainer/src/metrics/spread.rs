//! How widely the lists of all queries spread over the items.

/// Share of the items that occur in any list; `shown` has the number of lists of each item. Higher is wider.
pub fn coverage(shown: &[u32]) -> f64 {
    shown.iter().filter(|n| **n > 0).count() as f64 / shown.len().max(1) as f64
}

/// Gini coefficient of the number of lists of each item: 0 where all are shown alike, near 1 where few take all.
///
/// Σ (2i − n − 1) xᵢ / (n Σ xᵢ) over the ascending counts, i from 1.
pub fn gini(shown: &[u32]) -> f64 {
    let mut sorted = shown.to_vec();
    sorted.sort_unstable();
    let (n, sum) = (sorted.len() as f64, sorted.iter().map(|x| f64::from(*x)).sum::<f64>());
    let weighted: f64 = sorted.iter().enumerate().map(|(i, x)| (2.0 * (i as f64 + 1.0) - n - 1.0) * f64::from(*x)).sum();
    if sum == 0.0 { 0.0 } else { weighted / (n * sum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!((coverage(&[0, 2, 1, 0]), coverage(&[])), (0.5, 0.0));
        assert_eq!(gini(&[3, 3, 3]), 0.0);
        assert_eq!(gini(&[0, 0, 0, 8]), 0.75);
    }
}
