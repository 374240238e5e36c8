//! Recommends items whose titles and columns resemble those of the history, by the cosine of TF-IDF vectors (Salton and
//! Buckley, 1988).

use std::collections::BTreeMap;

use foretaste::features::Value;

use crate::data::{Dataset, Table};
use crate::protocols::{Model, Query, distinct};

pub(super) struct Content {
    /// (term, weight) pairs of each item; each item's vector has length 1.
    terms_of: Vec<Vec<(u32, f32)>>,
    /// (item, weight) pairs of each term.
    items_of: Vec<Vec<(u32, f32)>>,
}

impl Content {
    pub fn fit(data: &Dataset) -> Self {
        let n = data.items.len();
        let mut names: BTreeMap<String, u32> = BTreeMap::new();
        let counted: Vec<BTreeMap<u32, f32>> = (0..n)
            .map(|item| {
                let mut counts = BTreeMap::new();
                for term in terms(&data.item_table, item, true) {
                    let next = names.len() as u32;
                    *counts.entry(*names.entry(term).or_insert(next)).or_insert(0.0) += 1.0;
                }
                counts
            })
            .collect();
        let mut items_with = vec![0u32; names.len()];
        counted.iter().flat_map(BTreeMap::keys).for_each(|term| items_with[*term as usize] += 1);
        let weighted = |counts: &BTreeMap<u32, f32>| -> Vec<(u32, f32)> {
            let weight = |(term, count): (&u32, &f32)| (*term, count * (n as f32 / items_with[*term as usize] as f32).ln());
            let weights: Vec<(u32, f32)> = counts.iter().map(weight).collect();
            let length = weights.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
            weights.into_iter().filter(|_| length > 0.0).map(|(term, w)| (term, w / length)).collect()
        };
        let terms_of: Vec<Vec<(u32, f32)>> = counted.iter().map(weighted).collect();
        let mut items_of = vec![Vec::new(); names.len()];
        for (item, terms) in terms_of.iter().enumerate() {
            terms.iter().for_each(|(term, weight)| items_of[*term as usize].push((item as u32, *weight)));
        }
        Content { terms_of, items_of }
    }
}

/// Terms of an item, each with its column's name: categories, members of sets and, if `texts` is set, words of texts.
pub(super) fn terms(table: &Table, item: usize, texts: bool) -> Vec<String> {
    let mut terms = Vec::new();
    for column in &table.columns {
        let mut add = |text: &str| terms.push(format!("{}\t{}", column.name, text.to_lowercase()));
        match (&column.values[item], column.kind) {
            (Value::Text(text), "text") if texts => {
                text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).for_each(add)
            }
            (value, "set") => value.set().iter().for_each(|member| add(member)),
            (value, "category") => value.text().iter().for_each(|text| add(text)),
            _ => {}
        }
    }
    terms
}

impl Model for Content {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let mut profile: BTreeMap<u32, f32> = BTreeMap::new();
        for item in distinct(&query.history) {
            self.terms_of[item as usize].iter().for_each(|(term, weight)| *profile.entry(*term).or_insert(0.0) += weight);
        }
        let mut scores = vec![0.0; self.terms_of.len()];
        for (term, weight) in profile {
            self.items_of[term as usize].iter().for_each(|(item, w)| scores[*item as usize] += weight * w);
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Column;
    use crate::factors::tests::query;
    use crate::protocols::tests::dataset;

    #[test]
    fn is_the_cosine_of_tf_idf() {
        let mut data = dataset(&[&[0, 1, 2]]);
        let column = |name: &str, kind, values: &[&str]| Column {
            name: name.into(),
            kind,
            values: values.iter().map(|v| Value::Text(v.to_string())).collect(),
        };
        data.item_table.columns =
            vec![column("title", "text", &["Red moon", "red Sun", "Sea"]), column("genre", "set", &["a|b", "b", "c"])];
        let model = Content::fit(&data);
        // Red and genre b are terms of two of the three items, every other term is in one.
        let (two, one) = ((3.0f32 / 2.0).ln(), 3.0f32.ln());
        let (zero, first) = ((2.0 * two * two + 2.0 * one * one).sqrt(), (2.0 * two * two + one * one).sqrt());
        let scores = model.scores(&query(&[0]));
        assert!((scores[0] - 1.0).abs() < 1e-6 && (scores[1] - 2.0 * two * two / (zero * first)).abs() < 1e-6, "{scores:?}");
        assert_eq!(scores[2], 0.0);
    }
}
