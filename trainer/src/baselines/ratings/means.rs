//! The mean rating of the item, or of the visitor.

use super::{RatingBaseline, mean_rating, ratings};
use crate::protocols::{Query, Sequence};

/// Predicts the mean rating of the item, or the mean of all ratings if the item has none.
pub(super) struct ItemMean {
    means: Vec<f64>,
}

impl ItemMean {
    pub fn fit(items: usize, fitted: &[Sequence]) -> Self {
        let all = mean_rating(fitted);
        let mut sums = vec![(0.0, 0.0); items];
        ratings(fitted).for_each(|(_, item, r)| {
            let (sum, n) = &mut sums[item as usize];
            (*sum, *n) = (*sum + r, *n + 1.0);
        });
        ItemMean { means: sums.iter().map(|(sum, n)| if *n > 0.0 { sum / n } else { all }).collect() }
    }
}

impl RatingBaseline for ItemMean {
    fn predict(&self, query: &Query) -> Vec<f64> {
        query.targets.iter().map(|item| self.means[*item as usize]).collect()
    }
}

/// Predicts the mean rating of the visitor, or the mean of all ratings if the visitor has none.
pub(super) struct UserMean {
    mean: f64,
}

impl UserMean {
    pub fn fit(fitted: &[Sequence]) -> Self {
        UserMean { mean: mean_rating(fitted) }
    }
}

impl RatingBaseline for UserMean {
    fn predict(&self, query: &Query) -> Vec<f64> {
        let own: Vec<f64> = query.history.iter().filter_map(|e| e.rating).collect();
        let mean = if own.is_empty() { self.mean } else { own.iter().sum::<f64>() / own.len() as f64 };
        vec![mean; query.targets.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{query, sequences};
    use super::*;

    #[test]
    fn known_values() {
        let fitted = sequences(&[&[(0, 1.0), (1, 4.0)], &[(0, 4.0)]]);
        let asked = query(0, &[(0, 1.0), (1, 5.0)], &[0, 2]);
        assert_eq!(ItemMean::fit(3, &fitted).predict(&asked), [2.5, 3.0]);
        assert_eq!(UserMean::fit(&fitted).predict(&asked), [3.0, 3.0]);
        assert_eq!(UserMean::fit(&fitted).predict(&query(9, &[], &[0])), [3.0]);
    }
}
