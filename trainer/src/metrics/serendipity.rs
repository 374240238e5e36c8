//! Serendipity: hits that popularity alone would not have shown. Ge et al., Beyond accuracy: evaluating recommender
//! systems by coverage and serendipity, 2010.

use super::{Better, Formula, List, Metric};

/// Serendipity of the first k places.
pub const SERENDIPITY: Metric = Metric {
    family: "serendipity",
    k: None,
    unit: "share of places, 0 to 1",
    better: Better::Higher,
    formula: Formula::List(|list| Some(serendipity(list))),
};

/// The share of the list that is a target and not in the list of popular items; 0 for an empty list.
pub fn serendipity(list: &List) -> f64 {
    let is_surprise = |item: &&u32| list.targets.contains(item) && !list.popular.contains(item);
    list.items.iter().filter(is_surprise).count() as f64 / list.items.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::ItemUsers;
    use super::*;

    #[test]
    fn known_values() {
        let users = ItemUsers::default();
        let list =
            List { items: &[1, 2, 3, 4], history: &[], targets: &[2, 3, 9], popular: &[3, 7], users: &users, groups: None };
        assert_eq!(serendipity(&list), 0.25);
        assert_eq!(serendipity(&List { items: &[], ..list }), 0.0);
    }
}
