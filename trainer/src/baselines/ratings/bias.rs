//! Bias model: r = μ + b_i + b_u. Each bias is the mean of what the other terms leave, damped by λ (Koren, 2010).

use super::{RatingBaseline, mean_rating, ratings};
use crate::protocols::{Query, Sequence};

/// Pairs of λ, for items and for visitors, tried on the validation part. 0 leaves a bias as it is; large values pull it
/// to 0.
pub(super) const DAMPINGS: [[f64; 2]; 6] = [[1.0, 1.0], [1.0, 3.0], [3.0, 3.0], [3.0, 6.0], [6.0, 6.0], [10.0, 15.0]];
/// Rounds; each computes the visitors' biases, then the items'.
const ROUNDS: usize = 10;

pub(super) struct Bias {
    damping: [f64; 2],
    pub(super) mean: f64,
    pub(super) items: Vec<f64>,
}

impl Bias {
    pub fn fit(items: usize, fitted: &[Sequence], damping: [f64; 2]) -> Self {
        let mut model = Bias { damping, mean: mean_rating(fitted), items: vec![0.0; items] };
        for _ in 0..ROUNDS {
            let users: Vec<f64> =
                fitted.iter().map(|s| model.user(s.events.iter().filter_map(|e| Some((e.item, e.rating?))))).collect();
            let mut sums = vec![(0.0, 0.0); items];
            ratings(fitted).for_each(|(s, item, r)| {
                let (sum, n) = &mut sums[item as usize];
                (*sum, *n) = (*sum + r - model.mean - users[s], *n + 1.0);
            });
            model.items = sums.iter().map(|(sum, n)| sum / (n + damping[0])).collect();
        }
        model
    }

    /// Bias of a visitor with the given (item, rating) pairs.
    pub fn user(&self, ratings: impl Iterator<Item = (u32, f64)>) -> f64 {
        let (sum, n) = ratings.fold((0.0, 0.0), |(sum, n), (item, r)| (sum + r - self.mean - self.items[item as usize], n + 1.0));
        sum / (n + self.damping[1])
    }
}

impl RatingBaseline for Bias {
    fn predict(&self, query: &Query) -> Vec<f64> {
        let user = self.user(query.history.iter().filter_map(|e| Some((e.item, e.rating?))));
        query.targets.iter().map(|item| self.mean + self.items[*item as usize] + user).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{query, sequences};
    use super::*;

    #[test]
    fn finds_planted_biases() {
        let rating = |user: f64, item: f64| 3.0 + user + item;
        let (users, items) = ([-1.0, 0.0, 1.0], [-0.5, 0.0, 0.5]);
        let rows: Vec<Vec<(u32, f64)>> =
            users.iter().map(|u| items.iter().enumerate().map(|(i, b)| (i as u32, rating(*u, *b))).collect()).collect();
        let fitted = sequences(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let model = Bias::fit(3, &fitted, [0.0, 0.0]);
        let got = model.predict(&query(0, &[(0, rating(2.0, -0.5))], &[1, 2]));
        assert!(got.iter().zip([5.0, 5.5]).all(|(a, b)| (a - b).abs() < 1e-9), "{got:?}");
        assert!(Bias::fit(3, &fitted, [1e9, 1e9]).predict(&query(0, &[(0, 1.0)], &[2])).iter().all(|r| (r - 3.0).abs() < 1e-6));
    }
}
