//! Popularity with decay: Σ 0.5^((T − t) / half-life) over an item's events, with T the time of the last event of all.
//! An event without a time counts 1.

use crate::data::Dataset;
use crate::factors::{Quality, chosen};
use crate::protocols::{Model, Query, Sequence, Split};

/// Half-lives tried on the validation part, in days: from ten years to a week.
const HALF_LIVES: [f64; 7] = [3650.0, 1000.0, 365.0, 180.0, 90.0, 30.0, 7.0];

pub(super) struct DecayedPopularity {
    counts: Vec<f32>,
}

impl DecayedPopularity {
    /// Fits with the half-life that is best on the split's validation part.
    pub fn fit(data: &Dataset, split: &Split, quality: Quality) -> Self {
        chosen(split, &HALF_LIVES, quality, |fitted, days| Self::with(data.items.len(), fitted, days))
    }

    fn with(items: usize, fitted: &[Sequence], days: f64) -> Self {
        let events = || fitted.iter().flat_map(|s| &s.events);
        let last = events().filter_map(|e| e.time).max();
        let mut counts = vec![0.0f64; items];
        for event in events() {
            let age = last.zip(event.time).map_or(0.0, |(last, time)| (last - time) as f64 / 86_400.0);
            counts[event.item as usize] += (0.5f64).powf(age / days);
        }
        DecayedPopularity { counts: counts.into_iter().map(|x| x as f32).collect() }
    }
}

impl Model for DecayedPopularity {
    fn scores(&self, _: &Query) -> Vec<f32> {
        self.counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factors::tests::{query, sequences};

    #[test]
    fn an_event_counts_half_after_a_half_life() {
        let mut fitted = sequences(&[&[0, 1, 2]]);
        fitted[0].events.change(|events| {
            for (event, day) in events.iter_mut().zip([0, 3, 6]) {
                event.time = Some(day * 86_400);
            }
        });
        assert_eq!(DecayedPopularity::with(3, &fitted, 3.0).scores(&query(&[])), [0.25, 0.5, 1.0]);
        assert_eq!(DecayedPopularity::with(3, &sequences(&[&[0, 1], &[1]]), 3.0).scores(&query(&[])), [1.0, 2.0, 0.0]);
    }
}
