//! Calibration: how far the mix of groups in a list is from that in the history. Steck, Calibrated recommendations,
//! 2018.

use std::collections::BTreeMap;

use foretaste::features::Value;

use super::{Better, Formula, Metric};

/// Calibration of the first k places.
pub const CALIBRATION: Metric = Metric {
    family: "calibration",
    k: None,
    unit: "nats, 0 or more",
    better: Better::Lower,
    formula: Formula::List(|list| calibration(list.items, list.history, list.groups?)),
};

/// How much of the history's mix is blended into the list's, so that a group missing from the list does not make the
/// divergence infinite.
const SMOOTHING: f64 = 0.01;

/// The groups of each item, genres for example. An item of several groups counts in each with an equal share.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemGroups {
    groups: usize,
    of_item: Vec<Vec<usize>>,
}

impl ItemGroups {
    /// From the values of a column of categories or sets, one an item: each category, and each member of a set, is a
    /// group.
    pub fn new(values: &[Value]) -> ItemGroups {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut of_item = Vec::new();
        for value in values {
            let members: Vec<&str> = match value {
                Value::Text(text) => vec![text],
                Value::Set(members) => members.iter().map(String::as_str).collect(),
                _ => vec![],
            };
            let mut index = |name| {
                let next = names.len();
                *names.entry(name).or_insert(next)
            };
            of_item.push(members.into_iter().map(&mut index).collect());
        }
        ItemGroups { groups: names.len(), of_item }
    }

    /// The share of each group in some items: `[groups]`, sum 1. `None` if no item has a group.
    fn mix(&self, items: &[u32]) -> Option<Vec<f64>> {
        let mut mix = vec![0.0; self.groups];
        let mut n = 0.0;
        for groups in items.iter().map(|item| &self.of_item[*item as usize]).filter(|groups| !groups.is_empty()) {
            groups.iter().for_each(|g| mix[*g] += 1.0 / groups.len() as f64);
            n += 1.0;
        }
        mix.iter_mut().for_each(|share| *share /= n);
        (n > 0.0).then_some(mix)
    }
}

/// Kullback–Leibler divergence of the list's mix of groups from the history's, in nats: 0 if they are equal. `None` if
/// the history or the list has no group.
pub fn calibration(items: &[u32], history: &[u32], groups: &ItemGroups) -> Option<f64> {
    let (history, list) = (groups.mix(history)?, groups.mix(items)?);
    let term = |(p, q): (&f64, &f64)| if *p > 0.0 { p * libm::log(p / ((1.0 - SMOOTHING) * q + SMOOTHING * p)) } else { 0.0 };
    Some(history.iter().zip(&list).map(term).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let set = |members: &[&str]| Value::Set(members.iter().map(|m| (*m).to_owned()).collect());
        let groups = ItemGroups::new(&[set(&["a"]), set(&["b"]), set(&["a", "b"]), Value::Missing]);
        let divergence = |history: &[u32], items: &[u32]| calibration(items, history, &groups);
        assert_eq!(divergence(&[0, 1], &[2]), Some(0.0));
        let expected = (1.0f64 / 0.505).ln();
        assert!((divergence(&[0], &[2, 3]).unwrap() - expected).abs() < 1e-12);
        assert!((divergence(&[0], &[1]).unwrap() - 100f64.ln()).abs() < 1e-12, "no group in common");
        assert_eq!((divergence(&[3], &[0]), divergence(&[0], &[])), (None, None));
    }
}
