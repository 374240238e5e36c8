//! Novelty: how rare the items of a list are. Zhou et al., Solving the apparent diversity-accuracy dilemma of
//! recommender systems, 2010.

use super::item_users::mean;
use super::{Better, Formula, ItemUsers, Metric};

/// Novelty of the first k places.
pub const NOVELTY: Metric = Metric {
    family: "novelty",
    k: None,
    unit: "bits",
    better: Better::Neither,
    formula: Formula::List(|list| Some(novelty(list.items, list.users))),
};

/// Mean over the items of a list of −log2 P(a user had the item), in bits; higher for rarer items, 0 for an empty list.
/// One user is added to both counts, so that an item nobody had has a finite value.
pub fn novelty(items: &[u32], users: &ItemUsers) -> f64 {
    mean(items.iter().map(|item| -libm::log2((users.count(*item) as f64 + 1.0) / (users.users() as f64 + 1.0))))
}

#[cfg(test)]
mod tests {
    use super::super::item_users::tests::three_items;
    use super::*;

    #[test]
    fn known_values() {
        let users = three_items();
        assert_eq!(novelty(&[0, 1, 2], &users), (0.0 + 1.0 + 2.0) / 3.0);
        assert_eq!(novelty(&[], &users), 0.0);
    }
}
