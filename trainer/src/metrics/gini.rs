//! Gini coefficient: how unevenly the lists show the items.

use super::{Better, Formula, Metric};

/// Gini coefficient of the first k places of all lists.
pub const GINI: Metric = Metric {
    family: "gini",
    k: None,
    unit: "0 (even) to 1 (one item takes all)",
    better: Better::Neither,
    formula: Formula::AllLists(|lists| gini(lists.shown)),
};

/// Gini coefficient of the number of lists that each item is in: 0 if all items are shown equally often, near 1 if a
/// few take all places.
///
/// Σ (2i − n − 1) xᵢ / (n Σ xᵢ) over the ascending counts, i from 1; 0 if nothing is shown.
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
        assert_eq!(gini(&[3, 3, 3]), 0.0);
        assert_eq!(gini(&[0, 0, 0, 8]), 0.75);
    }
}
