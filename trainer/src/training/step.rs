//! The gradient of one step: a batch of windows is cut into fixed lanes that run in parallel.

use std::ops::Range;

use foretaste::features::{Bag, Encoding};
use rayon::prelude::*;

use super::Config;
use super::candidates::{Candidates, Sampler};
use super::example::{Example, Visitors, Window};
use crate::losses::softmax::Target;
use crate::losses::{Negatives, squared_error};
use crate::ops::dropout::Dropout;
use crate::random::mix;
use crate::towers::{Activations, CatalogRows, ItemTower, UserTower};

/// Lanes of a batch. The number is fixed so that any number of threads adds in the same order and gives the same sums.
const LANES: usize = 8;

/// Inputs that all steps of a phase share.
pub struct Material<'a> {
    /// The encoding of histories and contexts.
    pub encoding: &'a Encoding,
    /// Settings of the training.
    pub config: &'a Config,
    /// The visitors whose histories are learned from.
    pub visitors: &'a Visitors,
    /// Column slots by catalog row.
    pub bags: &'a [Bag],
    /// Chooses the candidates.
    pub sampler: &'a Sampler,
}

/// The mean loss of a batch over its requests, and its gradients in the layout of the towers' numbers.
pub struct Gradient {
    /// Mean loss over the requests, in nats.
    pub loss: f64,
    /// Gradient of the item tower.
    pub items: Vec<f32>,
    /// Gradient of the user tower.
    pub user: Vec<f32>,
    /// The ranges of `items` that can be other than 0, if the step saw a sample of the items. `None`: all of it.
    pub touched: Option<Vec<Range<usize>>>,
}

/// Sums over one lane: the loss and its gradients.
struct Lane {
    loss: f64,
    user: Vec<f32>,
    vectors: Vec<f32>,
    biases: Vec<f32>,
    /// Gradient of the vectors that the user tower reads, if they differ from `vectors`.
    inputs: Option<Vec<f32>>,
}

impl Material<'_> {
    /// Returns the gradient of a batch. `seed` fixes the sampled candidates, dropout, and which inputs are made
    /// missing.
    pub fn gradient(&self, items: &ItemTower, user: &UserTower, batch: &[Window], seed: u64) -> Gradient {
        let named = batch.iter().flat_map(|w| self.visitors.get(w.visitor).rows(*w, self.config.horizon));
        let candidates = self.sampler.draw(named, mix(seed, 0));
        let hidden = Dropout { rate: self.config.id_dropout, seed: mix(seed, 1) };
        let ids: Vec<u32> = candidates.rows.iter().map(|row| if hidden.drops(u64::from(*row)) { 0 } else { row + 1 }).collect();
        let bags = candidates.rows.iter().map(|row| &self.bags[*row as usize]);
        let (vectors, biases) = items.forward(&ids, bags.clone());
        let rows = CatalogRows { vectors, biases, inputs: items.inputs(&ids, bags.clone()) };

        let requests: usize = batch.iter().map(|w| w.len - usize::from(w.start > 0)).sum();
        // With `held_out` the hidden events are the requests. The scale uses their expected number.
        let share = if self.config.held_out > 0.0 { self.config.held_out as f32 } else { 1.0 };
        let scale = 1.0 / (share * requests.max(1) as f32);
        let lanes: Vec<Lane> =
            lanes(batch).par_iter().map(|windows| self.lane(user, windows, &candidates, &rows, scale, mix(seed, 2))).collect();
        let sum = lanes.into_iter().reduce(Lane::plus).expect("there are lanes");
        let touched = self.sampler.is_sampling().then(|| items.touched(&ids));
        let mut gradient = Gradient { loss: sum.loss, items: vec![0.0; items.numbers.len()], user: sum.user, touched };
        items.backward(&ids, bags.clone(), &sum.vectors, &sum.biases, &mut gradient.items);
        items.backward_inputs(&ids, bags, &sum.inputs.unwrap_or_default(), &mut gradient.items);
        gradient
    }

    /// Runs the windows of one lane forward and backward. `scale` multiplies the loss.
    fn lane(
        &self,
        user: &UserTower,
        windows: &[Window],
        candidates: &Candidates,
        rows: &CatalogRows,
        scale: f32,
        seed: u64,
    ) -> Lane {
        let CatalogRows { vectors, biases, inputs } = rows;
        let mut lane = Lane {
            loss: 0.0,
            user: vec![0.0; user.numbers.len()],
            vectors: vec![0.0; vectors.len()],
            biases: vec![0.0; biases.len()],
            inputs: inputs.as_ref().map(|inputs| vec![0.0; inputs.len()]),
        };
        let d = user.shape.dim;
        let seed_of = |window: &Window| mix(seed, window.visitor as u64);
        let mut examples: Vec<Example> = windows
            .iter()
            .map(|w| self.visitors.get(w.visitor).example(*w, &candidates.place, self.encoding, self.config, mix(seed_of(w), 0)))
            .collect();
        let passes: Vec<Activations<f32>> = windows
            .iter()
            .zip(&examples)
            .map(|(w, example)| {
                user.forward(example.input(rows), Dropout { rate: self.config.dropout, seed: mix(seed_of(w), 1) })
            })
            .collect();

        // The loss runs over all requests of the lane at once, so the softmax reads each candidate once for many
        // requests.
        let u: Vec<f32> = passes.iter().flat_map(|a| &a.u).copied().collect();
        let mut du = vec![0.0; u.len()];
        let targets: Vec<Target> = examples.iter_mut().flat_map(|example| std::mem::take(&mut example.targets)).collect();
        let seed = windows.first().map_or(seed, seed_of);
        let negatives = Negatives { count: self.config.negatives, hardness: self.config.hardness, seed: mix(seed, 2) };
        let loss = self.config.loss.run(
            d,
            (&u, &mut du),
            (vectors, &mut lane.vectors),
            (biases, &mut lane.biases),
            &candidates.shift,
            &targets,
            scale,
            negatives,
        );
        lane.loss += f64::from(loss);
        let mut du = du.as_slice();
        for (example, a) in examples.iter().zip(&passes) {
            let (own, rest) = du.split_at(a.u.len());
            du = rest;
            let mut dratings = vec![0.0; a.ratings().len()];
            if user.shape.rates {
                let ratings = (a.ratings(), dratings.as_mut_slice());
                let scale = scale * self.config.rating_weight as f32;
                let loss = squared_error::loss(d, ratings, (vectors, &mut lane.vectors), &example.ratings, scale);
                lane.loss += f64::from(loss);
            }
            let read = lane.inputs.as_mut().unwrap_or(&mut lane.vectors);
            user.backward(example.input(rows), a, [own, &dratings], read, &mut lane.user);
        }
        lane
    }
}

impl Lane {
    fn plus(mut self, other: Lane) -> Lane {
        let add = |a: &mut [f32], b: &[f32]| a.iter_mut().zip(b).for_each(|(a, b)| *a += *b);
        add(&mut self.user, &other.user);
        add(&mut self.vectors, &other.vectors);
        add(&mut self.biases, &other.biases);
        if let (Some(a), Some(b)) = (&mut self.inputs, &other.inputs) {
            add(a, b);
        }
        Lane { loss: self.loss + other.loss, ..self }
    }
}

/// Cuts a batch into lanes of about equal work: the longest windows come first, and each goes to the lane with the
/// fewest events.
fn lanes(batch: &[Window]) -> Vec<Vec<Window>> {
    let mut sorted = batch.to_vec();
    sorted.sort_by_key(|w| (std::cmp::Reverse(w.len), w.visitor));
    let mut lanes = vec![(0, Vec::new()); LANES];
    for window in sorted {
        let lane = lanes.iter_mut().min_by_key(|lane| lane.0).expect("there are lanes");
        lane.0 += window.len;
        lane.1.push(window);
    }
    lanes.into_iter().map(|lane| lane.1).filter(|windows| !windows.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_have_about_equal_work() {
        let window = |visitor, len| Window { visitor, start: 0, len };
        let batch: Vec<Window> = (0..20).map(|i| window(i, if i == 7 { 100 } else { 10 })).collect();
        let lanes = lanes(&batch);
        assert_eq!(lanes.iter().map(Vec::len).sum::<usize>(), 20);
        assert_eq!(lanes[0], [window(7, 100)]);
        assert!(lanes[1..].iter().all(|lane| (2..=3).contains(&lane.len())));
    }
}
