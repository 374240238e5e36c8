//! Popularity: the number of events of each item, the same list for everyone.

use crate::protocols::{Model, Query, Sequence};

pub(super) struct Popularity {
    counts: Vec<f32>,
}

impl Popularity {
    pub fn fit(items: usize, fitted: &[Sequence]) -> Self {
        let mut counts = vec![0.0; items];
        fitted.iter().flat_map(|s| &s.events).for_each(|e| counts[e.item as usize] += 1.0);
        Popularity { counts }
    }
}

impl Model for Popularity {
    fn scores(&self, _: &Query) -> Vec<f32> {
        self.counts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factors::tests::{query, sequences};

    #[test]
    fn counts_events() {
        let model = Popularity::fit(3, &sequences(&[&[0, 2], &[2]]));
        assert_eq!(model.scores(&query(&[])), [1.0, 0.0, 2.0]);
    }
}
