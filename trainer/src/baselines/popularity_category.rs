//! Popularity of an item's categories: a guess for items that nobody has had yet, the same list for everyone.

use std::collections::BTreeMap;

use super::content::terms;
use crate::data::Dataset;
use crate::protocols::{Model, Query, Sequence};

pub(super) struct CategoryPopularity {
    scores: Vec<f32>,
}

impl CategoryPopularity {
    /// Scores each item by the mean popularity of its categories and set members.
    ///
    /// The popularity of a category is the mean number of events over those of its items that have any.
    pub fn fit(data: &Dataset, fitted: &[Sequence]) -> Self {
        let mut counts = vec![0.0f32; data.items.len()];
        fitted.iter().flat_map(|s| &s.events).for_each(|e| counts[e.item as usize] += 1.0);
        let terms: Vec<Vec<String>> = (0..data.items.len()).map(|item| terms(&data.item_table, item, false)).collect();
        let mut sums: BTreeMap<&str, (f32, f32)> = BTreeMap::new();
        for (terms, count) in terms.iter().zip(&counts).filter(|(_, count)| **count > 0.0) {
            for term in terms {
                let (sum, n) = sums.entry(term).or_default();
                (*sum, *n) = (*sum + count, *n + 1.0);
            }
        }
        let mean = |terms: &Vec<String>| {
            let known: Vec<f32> = terms.iter().filter_map(|t| sums.get(t.as_str())).map(|(sum, n)| sum / n).collect();
            known.iter().sum::<f32>() / known.len().max(1) as f32
        };
        CategoryPopularity { scores: terms.iter().map(mean).collect() }
    }
}

impl Model for CategoryPopularity {
    fn scores(&self, _: &Query) -> Vec<f32> {
        self.scores.clone()
    }
}

#[cfg(test)]
mod tests {
    use foretaste::features::Value;

    use super::*;
    use crate::data::Column;
    use crate::factors::tests::{query, sequences};
    use crate::protocols::tests::dataset;

    #[test]
    fn new_items_are_as_popular_as_their_categories() {
        let mut data = dataset(&[&[0, 1, 2, 3]]);
        let values = ["a", "a|b", "b", "c"].map(|v| Value::Text(v.into())).to_vec();
        data.item_table.columns = vec![Column { name: "genre".into(), kind: "set", values }];
        // Item 0 has four events, item 1 two, the others none: category a has a mean of three, b of two.
        let model = CategoryPopularity::fit(&data, &sequences(&[&[0, 0, 0, 0, 1, 1]]));
        assert_eq!(model.scores(&query(&[])), [3.0, 2.5, 2.0, 0.0]);
    }
}
