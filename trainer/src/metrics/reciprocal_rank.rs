//! Reciprocal rank: its mean over queries is the MRR.

use super::{Better, Formula, Metric};

/// Reciprocal rank of a query's best target; its mean over queries is the MRR.
pub const RECIPROCAL_RANK: Metric = Metric {
    family: "mrr",
    k: None,
    unit: "1 / rank, 0 to 1",
    better: Better::Higher,
    formula: Formula::WholeRanking(|ranks, _| reciprocal_rank(ranks)),
};

/// 1 / the best rank of the targets; 0 without targets.
pub fn reciprocal_rank(ranks: &[usize]) -> f64 {
    ranks.iter().min().map_or(0.0, |rank| 1.0 / *rank as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!((reciprocal_rank(&[4]), reciprocal_rank(&[9, 2]), reciprocal_rank(&[])), (0.25, 0.5, 0.0));
    }
}
