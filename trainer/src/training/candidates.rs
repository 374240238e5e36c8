//! The items that the softmax of a step runs over: all items with training events, or a sample of them with a
//! correction of the logits.

use std::collections::BTreeSet;

use crate::random::mix;

/// The candidate items of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidates {
    /// Catalog rows, ascending.
    pub rows: Vec<u32>,
    /// Position of each catalog row in `rows`; `u32::MAX` if it is not a candidate.
    pub place: Vec<u32>,
    /// Correction that is added to the logit of each candidate: −ln P(the item is a candidate). 0 without sampling.
    pub shift: Vec<f32>,
}

/// Chooses the candidates of a step.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Running sum of the training events of the items, by catalog row.
    cumulated: Vec<u64>,
    /// Items to draw for a step; `None` takes all items with events.
    samples: Option<usize>,
}

impl Sampler {
    /// `counts` are the training events of each item. Catalogs of more than `full_softmax_items` items draw `samples`
    /// items for each step; smaller ones take every item with events.
    pub fn new(counts: &[u32], full_softmax_items: usize, samples: usize) -> Self {
        let cumulated = counts.iter().scan(0, |sum, n| {
            *sum += u64::from(*n);
            Some(*sum)
        });
        Sampler { cumulated: cumulated.collect(), samples: (counts.len() > full_softmax_items).then_some(samples) }
    }

    /// Whether a step sees only a sample of the items.
    pub fn is_sampling(&self) -> bool {
        self.samples.is_some()
    }

    fn count(&self, row: u32) -> u64 {
        self.cumulated[row as usize] - if row > 0 { self.cumulated[row as usize - 1] } else { 0 }
    }

    /// Returns the candidates of a step. With sampling these are the items of the step's windows (`named`, with
    /// repetitions) and a sample that is drawn in proportion to the training events.
    ///
    /// An item with the share q of all events is a candidate with probability 1 − (1 − q)^draws. The windows' own
    /// events count as draws.
    pub fn draw(&self, named: impl Iterator<Item = u32>, seed: u64) -> Candidates {
        let n = self.cumulated.len();
        let all = self.cumulated.last().copied().unwrap_or(0);
        let (rows, shift): (Vec<u32>, Vec<f32>) = match self.samples {
            None => (0..n as u32).filter(|row| self.count(*row) > 0).map(|row| (row, 0.0)).unzip(),
            Some(samples) => {
                let named: Vec<u32> = named.collect();
                let drawn = (0..samples as u64).map(|i| mix(seed, i) % all);
                let draws = (named.len() + samples) as f64;
                let drawn = drawn.map(|at| self.cumulated.partition_point(|sum| *sum <= at) as u32);
                let rows: BTreeSet<u32> = drawn.chain(named.iter().copied()).collect();
                let absent = |row: u32| libm::exp(draws * libm::log1p(-(self.count(row) as f64 / all as f64)));
                rows.into_iter().map(|row| (row, -libm::log(1.0 - absent(row)) as f32)).unzip()
            }
        };
        let mut place = vec![u32::MAX; n];
        rows.iter().enumerate().for_each(|(i, row)| place[*row as usize] = i as u32);
        Candidates { rows, place, shift }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::softmax::{self, Target};

    #[test]
    fn without_sampling_every_item_with_events_is_a_candidate() {
        let c = Sampler::new(&[2, 0, 1], 3, 1).draw([].into_iter(), 0);
        assert_eq!((c.rows, c.place, c.shift), (vec![0, 2], vec![0, u32::MAX, 1], vec![0.0, 0.0]));
    }

    /// Softmax over the batch's items and a sample learns the distribution of all items. With the wrong sign of the
    /// correction it would learn another distribution.
    #[test]
    fn the_correction_recovers_a_known_distribution() {
        let counts = [400, 300, 150, 100, 50];
        let share = |i: usize| f64::from(counts[i]) / 1000.0;
        let learnt = |sign: f32| {
            let sampler = Sampler::new(&counts, 1, 3);
            let mut bias = [0.0f32; 5];
            let mut mean = [0.0; 5];
            let steps = 60_000;
            for step in 0..steps {
                let event = mix(7, step) % 1000;
                let item = counts
                    .iter()
                    .scan(0, |sum, n| {
                        *sum += *n;
                        Some(*sum)
                    })
                    .position(|sum| u64::from(sum) > event)
                    .unwrap();
                let c = sampler.draw([item as u32].into_iter(), mix(8, step));
                let shift: Vec<f32> = c.shift.iter().map(|s| s * sign).collect();
                let own: Vec<f32> = c.rows.iter().map(|row| bias[*row as usize]).collect();
                let target = Target { wanted: vec![(c.place[item], 1.0)], masked: vec![] };
                let zeros = vec![0.0; c.rows.len()];
                let (mut du, mut dv, mut dbias) = ([0.0], zeros.clone(), zeros.clone());
                softmax::loss(1, (&[0.0], &mut du), (&zeros, &mut dv), (&own, &mut dbias), &shift, &[target], 1.0);
                c.rows.iter().zip(dbias).for_each(|(row, d)| bias[*row as usize] -= 0.02 * d);
                if step >= steps / 2 {
                    mean.iter_mut().zip(bias).for_each(|(m, b)| *m += f64::from(b) / (steps / 2) as f64);
                }
            }
            let sum: f64 = mean.iter().map(|b| b.exp()).sum();
            mean.map(|b| b.exp() / sum)
        };
        let worst = |p: [f64; 5]| (0..5).map(|i| (p[i] / share(i)).ln().abs()).fold(0.0, f64::max);
        let (right, wrong) = (learnt(1.0), learnt(-1.0));
        assert!(worst(right) < 0.12, "{right:?}");
        assert!(worst(wrong) > 0.5, "{wrong:?}");
    }

    #[test]
    fn a_sample_has_the_named_items_and_correct_probabilities() {
        let counts = [500, 300, 100, 0, 50, 50];
        let sampler = Sampler::new(&counts, 5, 2);
        let mut present = [0.0; 6];
        let rounds = 20_000;
        for seed in 0..rounds {
            let c = sampler.draw([].into_iter(), mix(9, seed));
            c.rows.iter().for_each(|row| present[*row as usize] += 1.0 / rounds as f64);
            for (row, shift) in c.rows.iter().zip(&c.shift) {
                let q = f64::from(counts[*row as usize]) / 1000.0;
                assert!((f64::from(*shift) + (1.0 - (1.0 - q) * (1.0 - q)).ln()).abs() < 1e-5);
            }
        }
        for (count, share) in counts.iter().zip(present) {
            let q = f64::from(*count) / 1000.0;
            assert!((share - (1.0 - (1.0 - q) * (1.0 - q))).abs() < 0.015, "{share}");
        }
        assert!(sampler.draw([4].into_iter(), 1).rows.contains(&4));
    }
}
