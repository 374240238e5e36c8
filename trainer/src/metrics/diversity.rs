//! Intra-list diversity: how unlike the items of a list are. Ziegler et al., Improving recommendation lists through
//! topic diversification, 2005.

use super::item_users::mean;
use super::{Better, Formula, ItemUsers, Metric};

/// Intra-list diversity of the first k places.
pub const DIVERSITY: Metric = Metric {
    family: "ild",
    k: None,
    unit: "1 − cosine, 0 to 1",
    better: Better::Neither,
    formula: Formula::List(|list| Some(diversity(list.items, list.users))),
};

/// Mean over the pairs of items of a list of 1 − the cosine of their sets of users: 1 if no two items share a user; 0
/// without pairs.
pub fn diversity(items: &[u32], users: &ItemUsers) -> f64 {
    let pairs = items.iter().enumerate().flat_map(|(i, a)| items[..i].iter().map(move |b| (a, b)));
    mean(pairs.map(|(a, b)| 1.0 - users.cosine(*a, *b)))
}

#[cfg(test)]
mod tests {
    use super::super::item_users::tests::three_items;
    use super::*;

    #[test]
    fn known_values() {
        let users = three_items();
        let cosine = 1.0 / 3f64.sqrt();
        assert!((diversity(&[0, 1, 2], &users) - (3.0 - cosine) / 3.0).abs() < 1e-12);
        assert_eq!(diversity(&[0], &users), 0.0);
    }
}
