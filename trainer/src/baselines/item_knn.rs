//! Item-based nearest neighbours: an item's score is the sum, over the history, of the cosine between the two items'
//! users (Sarwar et al., 2001).

use anyhow::Result;

use crate::factors::{co_occurrence, weighted_rows};
use crate::protocols::{Model, Query, Sequence, distinct};

/// Neighbours kept per item.
const NEIGHBOURS: usize = 100;
/// Added to the denominator of the cosine; lowers the similarity of items with few common users.
const SHRINK: f32 = 10.0;

pub(super) struct ItemKnn {
    items: usize,
    /// Similarities `[items, items]`: column i holds the nearest neighbours of item i, and 0 for all other items.
    similarity: Vec<f32>,
}

impl ItemKnn {
    pub fn fit(items: usize, fitted: &[Sequence]) -> Result<Self> {
        let histories: Vec<Vec<u32>> = fitted.iter().map(|sequence| distinct(&sequence.events)).collect();
        let mut similarity = co_occurrence(items, &histories)?;
        let norms: Vec<f32> = (0..items).map(|i| similarity[i * items + i].sqrt()).collect();
        for (i, row) in similarity.chunks_exact_mut(items).enumerate() {
            row.iter_mut().zip(&norms).for_each(|(x, n)| *x /= norms[i] * n + SHRINK);
            row[i] = 0.0;
        }
        // Row i of the symmetric matrix has the candidates for item i; the neighbours it keeps go to column i.
        let mut kept = vec![0.0; items * items];
        for (i, row) in similarity.chunks_exact(items).enumerate() {
            let mut order: Vec<usize> = (0..items).filter(|j| row[*j] > 0.0).collect();
            order.sort_by(|a, b| row[*b].total_cmp(&row[*a]).then(a.cmp(b)));
            order.iter().take(NEIGHBOURS).for_each(|j| kept[j * items + i] = row[*j]);
        }
        Ok(ItemKnn { items, similarity: kept })
    }
}

impl Model for ItemKnn {
    fn scores(&self, query: &Query) -> Vec<f32> {
        weighted_rows(&self.similarity, self.items, query, |_| 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factors::tests::{query, sequences};

    #[test]
    fn is_the_shrunk_cosine() {
        let model = ItemKnn::fit(3, &sequences(&[&[0, 1], &[0, 1], &[0, 2]])).unwrap();
        let cosine = |both: f32, a: f32, b: f32| both / (a.sqrt() * b.sqrt() + SHRINK);
        assert_eq!(model.scores(&query(&[0])), [0.0, cosine(2.0, 3.0, 2.0), cosine(1.0, 3.0, 1.0)]);
    }
}
