//! Deep matrix factorisation (Xue, Dai, Zhang, Huang, Chen, Deep matrix factorization models for recommender systems,
//! IJCAI 2017).
//!
//! Two perceptrons map a user's row and an item's column of the user–item matrix Y to vectors. Each has a linear layer
//! and a rectified one: p = ReLU(W₂ᵀ W₁ᵀ y + b). The cosine ŷ of the two vectors should be near the entry of Y divided
//! by Y's greatest entry, and near 0 for pairs without an event. Training minimises the normalised cross-entropy −Σ (y
//! ln ŷ + (1 − y) ln(1 − ŷ)) over the entries of Y and some drawn pairs without an event. A user is represented by a
//! row alone, so a visitor who is not in the training data gets a vector like any other user.

use std::collections::{BTreeMap, BTreeSet};

use foretaste::features::Bag;

use crate::data::{Dataset, DatasetEvent};
use crate::factors::{Quality, chosen};
use crate::ops::{Real, bag, linear};
use crate::optimizer::{Moments, clip};
use crate::protocols::{Model, Query, Sequence, Split};
use crate::random::{mix, unit};

/// Widths of the two layers.
const HIDDEN: usize = 128;
const DIM: usize = 64;
/// Drawn pairs without an event per entry of Y.
const NEGATIVES: usize = 7;
/// Fewest users per step.
const BATCH: usize = 32;
/// Bounds of the number of steps per epoch, which is `ENTRIES` divided by the number of entries of Y. A step reads
/// nearly all columns, so an epoch reads about `ENTRIES` entries within these bounds.
const MAX_STEPS: usize = 40;
const MIN_STEPS: usize = 4;
const ENTRIES: usize = 4_000_000;
/// Step size of Adam, and the bound of the gradient's norm.
const RATE: f64 = 3e-3;
const CLIP: f64 = 5.0;
/// ŷ is kept at least this far from 0 and 1.
const MARGIN: f64 = 1e-6;

/// (epochs, whether entries are ratings) tried on the validation part. Without ratings all entries are 1.
const SETTINGS: [(u64, bool); 3] = [(10, false), (30, false), (30, true)];

pub(super) struct DeepMf {
    /// The perceptron over rows; it has one input per item.
    users: Perceptron<f32>,
    /// Output of the perceptron over columns for every item, normalised to length 1: `[items, DIM]`.
    items: Vec<f32>,
    /// Makes the row of a history.
    entries: Entries,
}

/// Turns events into entries of Y: the rating divided by the greatest one, 0 to 1. An entry is 1 if ratings are not
/// used (`most` is `None`) or the event has none.
#[derive(Clone, Copy)]
struct Entries {
    most: Option<f64>,
}

impl Entries {
    fn of(fitted: &[Sequence], rated: bool) -> Self {
        let ratings = fitted.iter().flat_map(|s| &s.events).filter_map(|e| e.rating);
        Entries { most: ratings.reduce(f64::max).filter(|most| rated && *most > 0.0) }
    }

    /// A row of Y by ascending item. If an item occurs again, its newest event counts.
    fn row(self, events: &[DatasetEvent]) -> Bag {
        let entry = |e: &DatasetEvent| self.most.zip(e.rating).map_or(1.0, |(most, rating)| (rating / most).max(0.0));
        let row: BTreeMap<u32, f32> = events.iter().map(|e| (e.item, entry(e) as f32)).collect();
        row.into_iter().collect()
    }
}

/// Parameters in one list: the first layer `[inputs, HIDDEN]`, the second `[HIDDEN, DIM]`, its bias `[DIM]`.
#[derive(Clone)]
struct Perceptron<T>(Vec<T>);

/// Values of a forward pass that the backward pass needs: the first layer's output `hidden` `[rows, HIDDEN]`, and
/// lengths `[rows]` and directions `[rows, DIM]` of the second layer's output.
struct Pass<T> {
    hidden: Vec<T>,
    lengths: Vec<T>,
    directions: Vec<T>,
}

impl<T: Real> Perceptron<T> {
    fn start(inputs: usize, seed: u64) -> Self {
        let unit = |i: usize| 2.0 * unit(mix(seed, i as u64)) - 1.0;
        let (first, second) = (inputs * HIDDEN, HIDDEN * DIM);
        // The second layer starts as in Glorot and Bengio, 2010. The first one has a fixed scale, because a row uses
        // few of its inputs.
        let scale = |i: usize| {
            if i < first {
                0.1
            } else if i < first + second {
                (6.0 / (HIDDEN + DIM) as f64).sqrt()
            } else {
                0.0
            }
        };
        Perceptron((0..first + second + DIM).map(|i| T::of(scale(i) * unit(i))).collect())
    }

    fn layers(&self) -> [&[T]; 3] {
        let (first, rest) = self.0.split_at(self.0.len() - HIDDEN * DIM - DIM);
        let (second, bias) = rest.split_at(HIDDEN * DIM);
        [first, second, bias]
    }

    fn forward(&self, rows: &[&Bag]) -> Pass<T> {
        let [first, second, bias] = self.layers();
        let mut hidden = vec![T::ZERO; rows.len() * HIDDEN];
        bag::forward(first, HIDDEN, rows.iter().copied(), &mut hidden);
        let mut directions = vec![T::ZERO; rows.len() * DIM];
        linear::forward(&hidden, second, bias, &mut directions);
        let mut lengths = Vec::with_capacity(rows.len());
        for row in directions.chunks_exact_mut(DIM) {
            // Unlike `max`, this keeps NaN.
            row.iter_mut().filter(|x| **x < T::ZERO).for_each(|x| *x = T::ZERO);
            let length = row.iter().map(|x| *x * *x).sum::<T>().sqrt().max(T::of(MARGIN));
            row.iter_mut().for_each(|x| *x /= length);
            lengths.push(length);
        }
        Pass { hidden, lengths, directions }
    }

    /// The gradient of a loss by the parameters, from its `slopes` `[rows, DIM]` by the directions.
    fn backward(&self, rows: &[&Bag], pass: &Pass<T>, mut slopes: Vec<T>) -> Vec<T> {
        let directions = pass.directions.chunks_exact(DIM).zip(&pass.lengths);
        for (slope, (direction, length)) in slopes.chunks_exact_mut(DIM).zip(directions) {
            let along = slope.iter().zip(direction).map(|(s, x)| *s * *x).sum::<T>();
            for (s, x) in slope.iter_mut().zip(direction) {
                *s = if *x > T::ZERO { (*s - along * *x) / *length } else { T::ZERO };
            }
        }
        let [first, second, _] = self.layers();
        let mut gradient = vec![T::ZERO; self.0.len()];
        let (dfirst, rest) = gradient.split_at_mut(first.len());
        let (dsecond, dbias) = rest.split_at_mut(second.len());
        let mut dhidden = vec![T::ZERO; pass.hidden.len()];
        linear::backward(&pass.hidden, second, &slopes, dsecond, dbias, &mut dhidden);
        bag::backward(HIDDEN, rows.iter().copied(), &dhidden, dfirst);
        gradient
    }
}

/// A row, a column, and the target y of their cosine.
type Pair = (usize, usize, f32);

/// Mean normalised cross-entropy of the pairs, and its gradients by the parameters of both perceptrons.
fn loss<T: Real>(nets: [&Perceptron<T>; 2], rows: [&[&Bag]; 2], pairs: &[Pair]) -> (T, [Vec<T>; 2]) {
    let [users, items] = [0, 1].map(|side| nets[side].forward(rows[side]));
    let [mut dusers, mut ditems] = [&users, &items].map(|pass| vec![T::ZERO; pass.directions.len()]);
    let share = T::ONE / T::of(pairs.len() as f64);
    let (low, high) = (T::of(MARGIN), T::of(1.0 - MARGIN));
    let mut total = T::ZERO;
    for (user, item, y) in pairs {
        let (user, item, y) = (user * DIM..(user + 1) * DIM, item * DIM..(item + 1) * DIM, T::of(f64::from(*y)));
        let (u, v) = (&users.directions[user.clone()], &items.directions[item.clone()]);
        let cosine = u.iter().zip(v).map(|(u, v)| *u * *v).sum::<T>();
        let within = low < cosine && cosine < high;
        let cosine = if within {
            cosine
        } else if cosine < high {
            low
        } else {
            high
        };
        total += -share * (y * cosine.ln() + (T::ONE - y) * (T::ONE - cosine).ln());
        if within {
            let slope = share * (cosine - y) / (cosine * (T::ONE - cosine));
            dusers[user].iter_mut().zip(v).for_each(|(d, v)| *d += slope * *v);
            ditems[item].iter_mut().zip(u).for_each(|(d, u)| *d += slope * *u);
        }
    }
    (total, [nets[0].backward(rows[0], &users, dusers), nets[1].backward(rows[1], &items, ditems)])
}

impl DeepMf {
    /// Fits with the setting that is best on the split's validation part.
    pub fn fit(data: &Dataset, split: &Split, quality: Quality) -> Self {
        chosen(split, &SETTINGS, quality, |fitted, setting| Self::with(data.items.len(), fitted, setting))
    }

    fn with(items: usize, fitted: &[Sequence], (epochs, rated): (u64, bool)) -> Self {
        let entries = Entries::of(fitted, rated);
        let rows: Vec<Bag> = fitted.iter().map(|s| entries.row(&s.events)).collect();
        let mut columns: Vec<Bag> = vec![Vec::new(); items];
        for (row, user) in rows.iter().zip(0..) {
            row.iter().for_each(|(item, y)| columns[*item as usize].push((user, *y)));
        }
        let mut nets = [Perceptron::<f32>::start(items, 61), Perceptron::start(rows.len(), 67)];
        let mut moments = nets.each_ref().map(|net| Moments::start(&net.0));
        let events: usize = rows.iter().map(Bag::len).sum();
        let steps = (ENTRIES / events.max(1)).clamp(MIN_STEPS, MAX_STEPS);
        let batch = BATCH.max(rows.len().div_ceil(steps));
        let mut t = 0;
        for epoch in 0..epochs {
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_cached_key(|user| mix(71 + epoch, *user as u64));
            for (users, step) in order.chunks(batch).zip(0..) {
                let pairs = drawn(users.iter().map(|user| &rows[*user]), items, mix(mix(73, epoch), step));
                if pairs.is_empty() {
                    continue;
                }
                // Items of the step, ascending; from here on pairs hold an item's place in this list.
                let used: Vec<usize> = pairs.iter().map(|(_, item, _)| *item).collect::<BTreeSet<_>>().into_iter().collect();
                let place = |item| used.binary_search(&item).unwrap_or_default();
                let pairs: Vec<Pair> = pairs.into_iter().map(|(user, item, y)| (user, place(item), y)).collect();
                let inputs: [Vec<&Bag>; 2] =
                    [users.iter().map(|user| &rows[*user]).collect(), used.iter().map(|item| &columns[*item]).collect()];
                let (_, [mut a, mut b]) = loss([&nets[0], &nets[1]], [&inputs[0], &inputs[1]], &pairs);
                clip(&mut [&mut a[..], &mut b[..]], CLIP);
                t += 1;
                for (side, gradient) in [a, b].iter().enumerate() {
                    moments[side].step(&mut nets[side].0, gradient, t, RATE, 0.0);
                }
            }
        }
        let [users, columns_net] = nets;
        let items = columns_net.forward(&columns.iter().collect::<Vec<_>>()).directions;
        DeepMf { users, items, entries }
    }
}

/// Pairs of a step: all entries of the rows, and [`NEGATIVES`] drawn items per entry with y = 0. Drawn items that the
/// row contains are left out.
fn drawn<'a>(rows: impl Iterator<Item = &'a Bag>, items: usize, seed: u64) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (place, row) in rows.enumerate() {
        pairs.extend(row.iter().map(|(item, y)| (place, *item as usize, *y)));
        let seed = mix(seed, place as u64);
        let draws = (0..(NEGATIVES * row.len()) as u64).map(|draw| (mix(seed, draw) % items as u64) as u32);
        let others = draws.filter(|item| row.binary_search_by_key(item, |(item, _)| *item).is_err());
        pairs.extend(others.map(|item| (place, item as usize, 0.0)));
    }
    pairs
}

impl Model for DeepMf {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let user = self.users.forward(&[&self.entries.row(&query.history)]).directions;
        self.items.chunks_exact(DIM).map(|row| row.iter().zip(&user).map(|(v, u)| v * u).sum()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factors::tests::{events, query, sequences};
    use crate::ops::check::assert_gradient;

    #[test]
    fn gradient_of_the_normalised_cross_entropy() {
        let nets = [Perceptron::<f64>::start(3, 1), Perceptron::start(2, 2)];
        let (rows, columns): ([Bag; 2], [Bag; 3]) =
            ([vec![(0, 1.0), (2, 0.4)], vec![(1, 0.6)]], [vec![(0, 1.0)], vec![(1, 0.6)], vec![(0, 0.4)]]);
        let (rows, columns): (Vec<&Bag>, Vec<&Bag>) = (rows.iter().collect(), columns.iter().collect());
        let pairs = [(0, 0, 1.0), (0, 2, 0.4), (1, 1, 0.6), (1, 0, 0.0)];
        let value = |users: &[f64], items: &[f64]| {
            loss([&Perceptron(users.to_vec()), &Perceptron(items.to_vec())], [&rows, &columns], &pairs)
        };
        let (total, [dusers, ditems]) = value(&nets[0].0, &nets[1].0);
        // The layers are wide, so only every 31st number is checked.
        let some = |all: &[f64]| -> Vec<f64> { all.iter().step_by(31).copied().collect() };
        let with = |net: &[f64], some: &[f64]| {
            let mut net = net.to_vec();
            net.iter_mut().step_by(31).zip(some).for_each(|(all, some)| *all = *some);
            net
        };
        let [users, items] = nets.each_ref().map(|net| &net.0[..]);
        assert_gradient("users", &some(users), &some(&dusers), |x| value(&with(users, x), items).0);
        assert_gradient("items", &some(items), &some(&ditems), |x| value(users, &with(items, x)).0);
        // The loss by its definition.
        let [u, v] = [nets[0].forward(&rows).directions, nets[1].forward(&columns).directions];
        let term = |(user, item, y): &Pair| {
            let cosine: f64 = (0..DIM).map(|k| u[user * DIM + k] * v[item * DIM + k]).sum();
            let y = f64::from(*y);
            -(y * cosine.ln() + (1.0 - y) * (1.0 - cosine).ln()) / 4.0
        };
        assert!((total - pairs.iter().map(term).sum::<f64>()).abs() < 1e-12);
    }

    #[test]
    fn entries_are_ratings_divided_by_the_greatest() {
        let mut history = events(&[4, 2, 4, 3]);
        (history[0].rating, history[1].rating, history[2].rating) = (Some(5.0), Some(-1.0), Some(2.0));
        let fitted = [Sequence { user: 0, events: history.clone().into() }];
        let row = |rated| Entries::of(&fitted, rated).row(&history);
        assert_eq!(row(true), [(2, 0.0), (3, 1.0), (4, 0.4)]);
        assert_eq!(row(false), [(2, 1.0), (3, 1.0), (4, 1.0)]);
    }

    #[test]
    fn drawn_pairs_have_no_event() {
        let rows: [Bag; 2] = [vec![(0, 1.0), (3, 0.5)], vec![]];
        let pairs = drawn(rows.iter(), 5, 9);
        assert_eq!(pairs[..2], [(0, 0, 1.0), (0, 3, 0.5)]);
        assert!(pairs.len() > 6 && pairs[2..].iter().all(|(row, item, y)| *row == 0 && [1, 2, 4].contains(item) && *y == 0.0));
    }

    /// The drawn pairs of a user's row include every other item, so the test asks for a row that no user has.
    #[test]
    fn separates_groups_of_taste() {
        let histories: Vec<&[u32]> = [&[0u32, 1, 2][..], &[3, 4, 5], &[0, 1], &[3, 5], &[1, 2], &[4, 5]].repeat(4);
        let fit = || DeepMf::with(6, &sequences(&histories), (60, false)).scores(&query(&[0, 2]));
        let scores = fit();
        assert!((3..6).all(|other| scores[1] > scores[other] + 0.3), "{scores:?}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(fit), scores);
    }
}
