//! How far the mix of a list is from that of the history. Steck, Calibrated recommendations, 2018.

use std::collections::BTreeMap;

use foretaste::features::Value;

use crate::data::Column;

/// Share of the history's own mix in that of the list, so that what is missing costs no infinity.
const SMOOTHING: f64 = 0.01;

/// The groups of each item: members of one column, an equal share each.
pub struct Calibration {
    groups: usize,
    of_item: Vec<Vec<usize>>,
}

impl Calibration {
    /// Of a column of categories or sets.
    pub fn new(column: &Column) -> Calibration {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let mut of_item = Vec::new();
        for value in &column.values {
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
        Calibration { groups: names.len(), of_item }
    }

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

    /// Kullback–Leibler divergence of the list's mix from the history's, in nats: 0 where they are equal, lower is better; `None` where the history
    /// or the list has no group.
    pub fn divergence(&self, history: &[u32], list: &[u32]) -> Option<f64> {
        let (history, list) = (self.mix(history)?, self.mix(list)?);
        let term = |(p, q): (&f64, &f64)| if *p > 0.0 { p * libm::log(p / ((1.0 - SMOOTHING) * q + SMOOTHING * p)) } else { 0.0 };
        Some(history.iter().zip(&list).map(term).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let set = |members: &[&str]| Value::Set(members.iter().map(|m| (*m).to_owned()).collect());
        let values = vec![set(&["a"]), set(&["b"]), set(&["a", "b"]), Value::Missing];
        let c = Calibration::new(&Column { name: "genre".into(), kind: "set", values });
        assert_eq!(c.divergence(&[0, 1], &[2]), Some(0.0));
        let expected = (1.0f64 / 0.505).ln();
        assert!((c.divergence(&[0], &[2, 3]).unwrap() - expected).abs() < 1e-12);
        assert!((c.divergence(&[0], &[1]).unwrap() - 100f64.ln()).abs() < 1e-12, "what is missing altogether");
        assert_eq!((c.divergence(&[3], &[0]), c.divergence(&[0], &[])), (None, None));
    }
}
