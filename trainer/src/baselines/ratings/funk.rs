//! Biased matrix factorisation by stochastic gradient descent: r = μ + b_u + b_i + p_u · q_i (Funk, 2006; Koren, Bell
//! and Volinsky, 2009).

use super::{RatingBaseline, moments, ratings};
use crate::data::Dataset;
use crate::protocols::{Query, Sequence};
use crate::random::{mix, unit};

/// (factors, L2 regularisation, epochs) tried on the validation part.
pub(super) const SETTINGS: [(usize, f64, usize); 4] = [(50, 0.05, 30), (50, 0.08, 40), (100, 0.1, 40), (100, 0.12, 50)];
/// Step size.
const RATE: f64 = 0.007;
/// The standard deviation of the ratings for which the settings were chosen (MovieLens 100K). Others are brought to it,
/// so that ratings of any size are learnt alike.
const DEVIATION: f64 = 1.125;
/// Factors start at uniform draws from −`START` to `START`.
const START: f64 = 0.1;

pub(super) struct Funk {
    mean: f64,
    /// Size of the unit in which ratings are learnt.
    unit: f64,
    factors: usize,
    /// Bias and factors of each user, `[users, 1 + factors]`.
    users: Vec<f64>,
    /// Bias and factors of each item, `[items, 1 + factors]`.
    items: Vec<f64>,
}

impl Funk {
    pub fn fit(data: &Dataset, fitted: &[Sequence], (factors, decay, epochs): (usize, f64, usize)) -> Self {
        let width = 1 + factors;
        let start = |n: usize, seed: u64| -> Vec<f64> {
            let unit = |i: usize| 2.0 * unit(mix(seed, i as u64)) - 1.0;
            (0..n * width).map(|i| if i % width == 0 { 0.0 } else { START * unit(i) }).collect()
        };
        let (users, items) = (start(data.users.len(), 1), start(data.items.len(), 2));
        let [mean, deviation] = moments(fitted);
        let unit = if deviation > 0.0 { deviation / DEVIATION } else { 1.0 };
        let mut model = Funk { mean, unit, factors, users, items };
        let scaled = |(s, item, r): (usize, u32, f64)| (fitted[s].user, item, (r - mean) / unit);
        let all: Vec<(u32, u32, f64)> = ratings(fitted).map(scaled).collect();
        let mut order: Vec<usize> = (0..all.len()).collect();
        for epoch in 0..epochs as u64 {
            order.sort_by_key(|i| (mix(epoch, *i as u64), *i));
            for (user, item, rating) in order.iter().map(|i| all[*i]) {
                let error = rating - model.scaled(user, item);
                let (u, i) =
                    (model.users[user as usize * width..][..width].iter_mut(), model.items[item as usize * width..].iter_mut());
                for (k, (u, i)) in u.zip(i).enumerate() {
                    // Column 0 is the bias, whose gradient is the error itself.
                    let (du, di) = if k == 0 { (error, error) } else { (error * *i, error * *u) };
                    *u += RATE * (du - decay * *u);
                    *i += RATE * (di - decay * *i);
                }
            }
        }
        model
    }

    /// What is predicted above the mean, in units.
    fn scaled(&self, user: u32, item: u32) -> f64 {
        let width = 1 + self.factors;
        let (u, i) = (&self.users[user as usize * width..][..width], &self.items[item as usize * width..][..width]);
        u[0] + i[0] + u[1..].iter().zip(&i[1..]).map(|(u, i)| u * i).sum::<f64>()
    }
}

impl RatingBaseline for Funk {
    fn predict(&self, query: &Query) -> Vec<f64> {
        query.targets.iter().map(|item| self.mean + self.unit * self.scaled(query.user, *item)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{query, sequences};
    use super::*;
    use crate::protocols::tests::dataset;

    /// Users 0 to 9 love even items and hate odd ones; users 10 to 19 the reverse. The first rating is missing: the
    /// prediction for it, where ratings are `low` and `high`.
    fn predicted(low: f64, high: f64) -> f64 {
        let rows: Vec<Vec<(u32, f64)>> = (0..20u32)
            .map(|user| {
                (0..12)
                    .map(|i| (i, if (i % 2 == 0) == (user < 10) { high } else { low }))
                    .filter(|(i, _)| user > 0 || *i > 0)
                    .collect()
            })
            .collect();
        let fitted = sequences(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let data = dataset(&[&(0..12).collect::<Vec<u32>>(); 20].map(|h| h.as_slice()));
        Funk::fit(&data, &fitted, (4, 0.01, 300)).predict(&query(0, &[], &[0]))[0]
    }

    #[test]
    fn finds_a_taste_that_biases_cannot_express() {
        let found = predicted(1.0, 5.0);
        assert!(found > 4.0, "{found}");
    }

    #[test]
    fn ratings_of_any_size_are_learnt_alike() {
        let found = predicted(1.0, 5.0);
        for (by, plus) in [(1e3, 0.0), (1e-3, 0.0), (1e6, -3e6), (1.0, 1e6)] {
            let other = (predicted(by + plus, 5.0 * by + plus) - plus) / by;
            assert!((other - found).abs() < 1e-6, "{by} {plus}: {other} {found}");
        }
        assert!((predicted(7.0, 7.0) - 7.0).abs() < 0.05, "equal ratings");
    }
}
