//! Popularity lift: how much more popular a list is than the history. Abdollahpouri et al., The connection between
//! popularity bias, calibration, and fairness in recommendation, 2020.

use super::item_users::mean;
use super::{Better, Formula, ItemUsers, Metric};

/// Popularity lift of the first k places.
pub const POPULARITY_LIFT: Metric = Metric {
    family: "lift",
    k: None,
    unit: "relative difference, −1 or more",
    better: Better::Neither,
    formula: Formula::List(|list| popularity_lift(list.items, list.history, list.users)),
};

/// The mean share of users who had the items of the list, divided by that of the history, minus 1. At 0 the list is as
/// popular as the history; `None` if nobody had the items of the history.
pub fn popularity_lift(items: &[u32], history: &[u32], users: &ItemUsers) -> Option<f64> {
    let share = |item: &u32| users.count(*item) as f64 / users.users().max(1) as f64;
    let [list, history] = [items, history].map(|items| mean(items.iter().map(share)));
    (history > 0.0).then(|| list / history - 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::item_users::tests::three_items;
    use super::*;

    #[test]
    fn known_values() {
        let users = three_items();
        assert!((popularity_lift(&[0], &[1], &users).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(popularity_lift(&[0], &[], &users), None);
    }
}
