//! Catalog coverage: how many of the items any list shows.

use super::{Better, Formula, Metric};

/// Coverage of the first k places of all lists.
pub const COVERAGE: Metric = Metric {
    family: "coverage",
    k: None,
    unit: "share of items, 0 to 1",
    better: Better::Neither,
    formula: Formula::AllLists(|lists| coverage(lists.shown)),
};

/// The share of the items that occur in any list; `shown[i]` is the number of lists with item i. 0 without items.
pub fn coverage(shown: &[u32]) -> f64 {
    shown.iter().filter(|n| **n > 0).count() as f64 / shown.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!((coverage(&[0, 2, 1, 0]), coverage(&[])), (0.5, 0.0));
    }
}
