//! Trains a ranker on requests: AdamW over batches that are cut into fixed lanes, so any number of threads gives the
//! same numbers.

use anyhow::{Result, ensure};
use foretaste::features::Bag;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::loss::{RankerLoss, of_labels, of_values};
use super::network::{Candidates, Ranker};
use crate::ops::dropout::Dropout;
use crate::optimizer::{Moments, clip};
use crate::random::mix;

/// Lanes of a batch: see `training/step.rs`.
const LANES: usize = 8;
/// Bound of the gradient's norm.
const CLIP: f64 = 5.0;

/// What an output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// The logit of a probability; labels are 0 to 1.
    Probability,
    /// A value in standard deviations, learnt by squared error.
    Value,
}

/// A request: what could have been shown, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The visitor's vector: `[d]`.
    pub user: Vec<f32>,
    /// The catalog row of each candidate.
    pub rows: Vec<u32>,
    /// The encoded features of each candidate.
    pub bags: Vec<Bag>,
    /// Labels by head: `[heads][candidates]`, NaN where nothing is known.
    pub labels: Vec<Vec<f32>>,
    /// For how many candidates of the request each stands, itself among them: those that are compared are a sample.
    pub counts: Vec<f32>,
}

/// How a ranker is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How the candidates of a request are compared.
    pub loss: RankerLoss,
    /// Most epochs, 1 or more.
    pub epochs: usize,
    /// Epochs without a better figure before training ends.
    pub patience: usize,
    /// Requests of a step, 1 or more.
    pub batch: usize,
    /// Step size of AdamW.
    pub learning_rate: f64,
    /// Decoupled decay of all numbers towards those of the start, 0 or more.
    pub weight_decay: f64,
    /// Share of x₀ and of the hidden numbers that a step drops, 0 to below 1.
    pub dropout: f64,
    /// Decay of the running average of the numbers, which is the model.
    pub average: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            loss: RankerLoss::Listwise,
            epochs: 12,
            patience: 3,
            batch: 32,
            learning_rate: 1e-3,
            weight_decay: 0.01,
            dropout: 0.2,
            average: 0.98,
        }
    }
}

/// What a ranker learns from.
pub struct Material<'a> {
    /// The requests.
    pub groups: &'a [Group],
    /// The items' vectors by catalog row: `[n, d]`.
    pub vectors: &'a [f32],
    /// What each head means.
    pub heads: &'a [HeadKind],
    /// How it learns.
    pub settings: Settings,
}

impl Material<'_> {
    /// The mean loss of some requests, and its gradient. `seed` fixes the dropout.
    pub fn gradient(&self, ranker: &Ranker, groups: &[&Group], seed: u64) -> (f64, Vec<f32>) {
        let scale = 1.0 / groups.len().max(1) as f32;
        let lane = |place: usize| {
            let own: Vec<&Group> = groups.iter().skip(place).step_by(LANES).copied().collect();
            self.lane(ranker, &own, scale, mix(seed, place as u64))
        };
        let lanes: Vec<(f64, Vec<f32>)> = (0..LANES.min(groups.len())).into_par_iter().map(lane).collect();
        let plus = |(loss, mut sum): (f64, Vec<f32>), (other, gradient): (f64, Vec<f32>)| {
            sum.iter_mut().zip(&gradient).for_each(|(a, b)| *a += *b);
            (loss + other, sum)
        };
        lanes.into_iter().reduce(plus).unwrap_or_else(|| (0.0, vec![0.0; ranker.numbers.len()]))
    }

    fn lane(&self, ranker: &Ranker, groups: &[&Group], scale: f32, seed: u64) -> (f64, Vec<f32>) {
        let dropout = Dropout { rate: self.settings.dropout, seed };
        let d = ranker.shape.dim;
        let users: Vec<f32> = groups.iter().flat_map(|g| g.rows.iter().flat_map(|_| &g.user)).copied().collect();
        let items: Vec<f32> =
            groups.iter().flat_map(|g| &g.rows).flat_map(|row| &self.vectors[*row as usize * d..][..d]).copied().collect();
        let bags: Vec<&Bag> = groups.iter().flat_map(|g| &g.bags).collect();
        let candidates = Candidates { users: &users, items: &items, bags: &bags };
        let a = ranker.forward(candidates, dropout);
        let (heads, mut dheads) = (self.heads.len(), vec![0.0; a.heads.len()]);
        let (mut total, mut at) = (0.0, 0);
        for group in groups {
            let n = group.rows.len();
            for (head, kind) in self.heads.iter().enumerate() {
                let outputs: Vec<f32> = (0..n).map(|i| a.heads[(at + i) * heads + head]).collect();
                let mut slopes = vec![0.0; n];
                let labels = (&group.labels[head][..], &group.counts[..]);
                let loss = match kind {
                    HeadKind::Probability => of_labels(self.settings.loss, &outputs, labels, scale, &mut slopes),
                    HeadKind::Value => of_values(&outputs, labels.0, scale, &mut slopes),
                };
                total += f64::from(loss);
                slopes.iter().enumerate().for_each(|(i, slope)| dheads[(at + i) * heads + head] = *slope);
            }
            at += n;
        }
        let mut gradient = vec![0.0; ranker.numbers.len()];
        ranker.backward(candidates, &a, &dheads, dropout, &mut gradient);
        (total, gradient)
    }

    /// Trains from `start` until `judge`, whose figure is better if higher, finds no better numbers, and returns the
    /// best ranker with its figure. `start` itself is judged too.
    ///
    /// # Errors
    /// A loss that is not finite, or an error of `judge`.
    pub fn fit(&self, start: Ranker, seed: u64, mut judge: impl FnMut(&Ranker) -> Result<f64>) -> Result<(Ranker, f64)> {
        let settings = self.settings;
        let (mut best, mut best_epoch) = ((start.clone(), judge(&start)?), 0);
        let (mut ranker, mut moments, mut t) = (start.clone(), Moments::start(&start.numbers), 0);
        for epoch in 1..=settings.epochs {
            let own = mix(seed, epoch as u64);
            let mut order: Vec<usize> = (0..self.groups.len()).collect();
            order.sort_by_key(|i| (mix(own, *i as u64), *i));
            for (step, batch) in order.chunks(settings.batch).enumerate() {
                let groups: Vec<&Group> = batch.iter().map(|i| &self.groups[*i]).collect();
                let (loss, mut gradient) = self.gradient(&ranker, &groups, mix(mix(own, u64::MAX), step as u64));
                ensure!(loss.is_finite(), "the loss of the ranker is not finite in epoch {epoch}");
                clip(&mut [&mut gradient], CLIP);
                t += 1;
                let keep = (1.0 - settings.learning_rate * settings.weight_decay) as f32;
                ranker.numbers.iter_mut().zip(&start.numbers).for_each(|(x, origin)| *x = origin + keep * (*x - origin));
                moments.step(&mut ranker.numbers, &gradient, t, settings.learning_rate, settings.average);
            }
            let averaged = Ranker { numbers: moments.average.clone(), ..ranker.clone() };
            let quality = judge(&averaged)?;
            if quality > best.1 {
                (best, best_epoch) = ((averaged, quality), epoch);
            } else if epoch - best_epoch >= settings.patience {
                break;
            }
        }
        Ok(best)
    }
}

impl Ranker {
    /// The outputs for the candidates of a request: `[candidates, heads]`. `vectors` are the items' by catalog row.
    pub fn outputs(&self, user: &[f32], rows: &[u32], bags: &[Bag], vectors: &[f32]) -> Vec<f32> {
        let d = self.shape.dim;
        let users: Vec<f32> = rows.iter().flat_map(|_| user).copied().collect();
        let items: Vec<f32> = rows.iter().flat_map(|row| &vectors[*row as usize * d..][..d]).copied().collect();
        let bags: Vec<&Bag> = bags.iter().collect();
        self.forward(Candidates { users: &users, items: &items, bags: &bags }, Dropout::NONE).heads
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::unit;
    use crate::ranker::network::{Network, RankerShape};

    const ITEMS: u64 = 40;
    const D: usize = 4;

    fn vectors() -> Vec<f32> {
        (0..ITEMS * D as u64).map(|i| unit(mix(1, i)) as f32 - 0.5).collect()
    }

    /// Requests whose wanted candidate is the one with the feature that its visitor likes: a cross that neither score
    /// nor single features tell. Slot 0 is retrieval's score, 1 to 4 are features.
    fn requests(n: u64, seed: u64) -> Vec<Group> {
        let request = |r: u64| {
            let draw = |i: u64| mix(mix(seed, r), i);
            let likes = draw(0) % 2;
            let mut group =
                Group { user: vec![0.1; D], rows: vec![], bags: vec![], labels: vec![vec![], vec![]], counts: vec![1.0; 6] };
            let wanted = draw(1) % 6;
            for i in 0..6 {
                let feature = if i == wanted { likes } else { 1 - likes };
                group.rows.push((draw(2 + i) % ITEMS) as u32);
                group.bags.push(vec![(0, unit(draw(20 + i)) as f32), (1 + likes as u32, 1.0), (3 + feature as u32, 1.0)]);
                group.labels[0].push(f32::from(u8::from(i == wanted)));
                group.labels[1].push(if i == wanted { likes as f32 } else { f32::NAN });
            }
            group
        };
        (0..n).map(request).collect()
    }

    fn first(ranker: &Ranker, groups: &[Group], vectors: &[f32]) -> f64 {
        let hit = |group: &&Group| {
            let heads = ranker.outputs(&group.user, &group.rows, &group.bags, vectors);
            let best = (0..group.rows.len()).max_by(|a, b| heads[2 * a].total_cmp(&heads[2 * b])).unwrap();
            group.labels[0][best] == 1.0
        };
        groups.iter().filter(hit).count() as f64 / groups.len() as f64
    }

    fn fit(network: Network, loss: RankerLoss, threads: usize) -> (Ranker, f64) {
        let (groups, held_out, vectors) = (requests(400, 1), requests(200, 2), vectors());
        let settings = Settings { loss, learning_rate: 0.01, dropout: 0.0, epochs: 8, ..Settings::default() };
        let heads = [HeadKind::Probability, HeadKind::Value];
        let material = Material { groups: &groups, vectors: &vectors, heads: &heads, settings };
        let start = Ranker::start(RankerShape { network, dim: D, slots: 5, heads: 2 }, Some((0, 1.0)), 3);
        assert!(first(&start, &held_out, &vectors) < 0.35, "the score tells nothing");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| material.fit(start, 4, |ranker| Ok(first(ranker, &held_out, &vectors))).unwrap())
    }

    #[test]
    fn every_loss_and_network_finds_a_planted_cross() {
        for network in [Network::Dcn, Network::WideDeep] {
            for loss in [RankerLoss::Pointwise, RankerLoss::Pairwise, RankerLoss::Listwise] {
                let quality = fit(network, loss, 2).1;
                assert!(quality > 0.95, "{network:?} {loss:?}: {quality}");
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_numbers() {
        let (one, two) = (fit(Network::Dcn, RankerLoss::Listwise, 1), fit(Network::Dcn, RankerLoss::Listwise, 3));
        assert!(one.0.numbers.iter().zip(&two.0.numbers).all(|(a, b)| a.to_bits() == b.to_bits()) && one.1 == two.1);
    }

    #[test]
    fn nothing_to_learn_from_gives_the_start() {
        let material = Material { groups: &[], vectors: &[], heads: &[HeadKind::Probability], settings: Settings::default() };
        let start = Ranker::start(RankerShape { network: Network::Dcn, dim: D, slots: 1, heads: 1 }, None, 1);
        assert_eq!(material.fit(start.clone(), 1, |_| Ok(0.5)).unwrap(), (start, 0.5));
    }
}
