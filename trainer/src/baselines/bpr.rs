//! BPR: matrix factorisation learnt from pairs of items. An item of the user should score above an item that the user
//! has no event with (Rendle et al., Bayesian personalized ranking, 2009).
//!
//! Maximises Σ ln σ(u·(v_i − v_j) + b_i − b_j) − λ/2 Σ |·|² by stochastic gradient ascent over drawn pairs. A visitor
//! who is not in the training data gets a vector the same way, with the item vectors fixed.

use std::collections::HashMap;

use crate::data::Dataset;
use crate::factors::{Quality, chosen};
use crate::protocols::{Model, Query, Sequence, Split, distinct};
use crate::random::mix;

/// Dimensions of a vector.
const DIM: usize = 64;
/// Step size of the gradient ascent.
const RATE: f32 = 0.05;
/// Draws per distinct (user, item) pair of the data, on average.
const EPOCHS: u64 = 60;
/// Passes over the history of a visitor who is not in the training data.
const ROUNDS: u64 = 20;
/// Values of λ tried on the validation part.
const SETTINGS: [f32; 3] = [0.03, 0.01, 0.003];

pub(super) struct Bpr {
    /// Row in `users` of each user of the training data.
    places: HashMap<u32, usize>,
    users: Vec<f32>,
    /// Vectors `[items, DIM + 1]`; the last number is the bias. The last number of a user's vector is 1.
    items: Vec<f32>,
    regularisation: f32,
}

const WIDTH: usize = DIM + 1;

impl Bpr {
    /// Fits with the λ that is best on the split's validation part.
    pub fn fit(data: &Dataset, split: &Split, quality: Quality) -> Self {
        chosen(split, &SETTINGS, quality, |fitted, setting| Self::with(data.items.len(), fitted, setting))
    }

    fn with(items: usize, fitted: &[Sequence], regularisation: f32) -> Self {
        let items_of: Vec<Vec<u32>> = fitted.iter().map(|s| distinct(&s.events)).collect();
        let pairs: Vec<(u32, u32)> =
            items_of.iter().zip(0..).flat_map(|(items, user)| items.iter().map(move |item| (user, *item))).collect();
        let start = |seed: u64, rows: usize, last: f32| -> Vec<f32> {
            let unit = |i: u64| (mix(seed, i) >> 40) as f32 / (1 << 24) as f32 - 0.5;
            (0..rows * WIDTH).map(|i| if i % WIDTH == DIM { last } else { 0.2 * unit(i as u64) }).collect()
        };
        let mut model = Bpr {
            places: fitted.iter().zip(0..).map(|(s, place)| (s.user, place)).collect(),
            users: start(31, fitted.len(), 1.0),
            items: start(37, items, 0.0),
            regularisation,
        };
        for draw in 0..EPOCHS * pairs.len() as u64 {
            let (user, item) = pairs[(mix(41, draw) % pairs.len() as u64) as usize];
            if let Some(other) = other(&items_of[user as usize], items, mix(43, draw)) {
                let [wanted, other] = pair(&mut model.items, item, other);
                let user = &mut model.users[user as usize * WIDTH..][..WIDTH];
                step(user, wanted, other, RATE, regularisation);
            }
        }
        model
    }

    /// The vector of a history, learnt with the item vectors fixed.
    fn folded_in(&self, history: &[u32]) -> Vec<f32> {
        let row = |item: u32| &self.items[item as usize * WIDTH..][..WIDTH];
        let mut user = vec![0.0; WIDTH];
        for item in history {
            user.iter_mut().zip(row(*item)).for_each(|(u, v)| *u += v / history.len() as f32);
        }
        user[DIM] = 1.0;
        for draw in 0..ROUNDS * history.len() as u64 {
            let item = history[(draw % history.len() as u64) as usize];
            if let Some(other) = other(history, self.items.len() / WIDTH, mix(47, draw)) {
                step(&mut user, &mut row(item).to_vec(), &mut row(other).to_vec(), RATE, self.regularisation);
            }
        }
        user
    }
}

/// The vectors of two different items, both mutable.
fn pair(items: &mut [f32], a: u32, b: u32) -> [&mut [f32]; 2] {
    let (low, high) = items.split_at_mut(a.max(b) as usize * WIDTH);
    let (low, high) = (&mut low[a.min(b) as usize * WIDTH..][..WIDTH], &mut high[..WIDTH]);
    if a < b { [low, high] } else { [high, low] }
}

/// Draws an item that is not in `items`, which ascend; `None` if 16 draws find none.
fn other(items: &[u32], count: usize, seed: u64) -> Option<u32> {
    (0..16).map(|draw| (mix(seed, draw) % count as u64) as u32).find(|item| items.binary_search(item).is_err())
}

/// One step up the gradient of ln σ(user · (wanted − other)) − λ/2 (|user|² + |wanted|² + |other|²); the user's last
/// number stays 1.
fn step(user: &mut [f32], wanted: &mut [f32], other: &mut [f32], rate: f32, regularisation: f32) {
    let margin: f32 = user.iter().zip(wanted.iter().zip(other.iter())).map(|(u, (i, j))| u * (i - j)).sum();
    let slope = 1.0 / (1.0 + margin.exp());
    for (k, ((u, i), j)) in user.iter_mut().zip(wanted).zip(other).enumerate() {
        let (at_u, at_i, at_j) = (*u, *i, *j);
        *i += rate * (slope * at_u - regularisation * at_i);
        *j += rate * (-slope * at_u - regularisation * at_j);
        if k < DIM {
            *u += rate * (slope * (at_i - at_j) - regularisation * at_u);
        }
    }
}

impl Model for Bpr {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let known = self.places.get(&query.user).map(|place| self.users[place * WIDTH..][..WIDTH].to_vec());
        let user = known.unwrap_or_else(|| self.folded_in(&distinct(&query.history)));
        self.items.chunks_exact(WIDTH).map(|row| row.iter().zip(&user).map(|(v, u)| v * u).sum()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factors::tests::{query, sequences};

    #[test]
    fn a_step_follows_the_gradient() {
        let vector = |seed: usize| -> Vec<f32> {
            (0..WIDTH).map(|k| if k == DIM && seed == 1 { 1.0 } else { ((k * 31 * seed + 7) % 17) as f32 / 17.0 - 0.5 }).collect()
        };
        let (user, wanted, other, regularisation) = (vector(1), vector(2), vector(3), 0.1);
        let value = |u: &[f32], i: &[f32], j: &[f32]| -> f64 {
            let margin: f64 = (0..WIDTH).map(|k| f64::from(u[k]) * f64::from(i[k] - j[k])).sum();
            let square = |x: &[f32]| x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            -(1.0 + (-margin).exp()).ln() - regularisation / 2.0 * (square(u) + square(i) + square(j))
        };
        let rate = 1e-2;
        let (mut u, mut i, mut j) = (user.clone(), wanted.clone(), other.clone());
        step(&mut u, &mut i, &mut j, rate, regularisation as f32);
        let moved = |x: &[f32], k: usize, by: f32| {
            let mut x = x.to_vec();
            x[k] += by;
            x
        };
        for k in [0, 5, DIM - 1, DIM] {
            let h = 1e-2;
            let slope = |at: &dyn Fn(f32) -> f64| (at(h) - at(-h)) / f64::from(2.0 * h);
            let expected = [
                slope(&|by| value(&moved(&user, k, by), &wanted, &other)),
                slope(&|by| value(&user, &moved(&wanted, k, by), &other)),
                slope(&|by| value(&user, &wanted, &moved(&other, k, by))),
            ];
            let got = [u[k] - user[k], i[k] - wanted[k], j[k] - other[k]].map(|x| f64::from(x / rate));
            for (which, (got, expected)) in got.into_iter().zip(expected).enumerate() {
                let expected = if which == 0 && k == DIM { 0.0 } else { expected };
                assert!((got - expected).abs() < 1e-3, "{k} {which}: {got} {expected}");
            }
        }
    }

    #[test]
    fn separates_groups_of_taste() {
        let histories: Vec<&[u32]> = [&[0u32, 1, 2][..], &[3, 4, 5], &[0, 1], &[3, 5], &[1, 2], &[4, 5]].repeat(4);
        let model = Bpr::with(6, &sequences(&histories), 0.01);
        // User 2 of the training data has items 0 and 1; user 99 is not in the training data.
        for user in [2, 99] {
            let scores = model.scores(&Query { user, ..query(&[0, 1]) });
            assert!((3..6).all(|other| scores[2] > scores[other] + 1.0), "{user}: {scores:?}");
        }
    }
}
