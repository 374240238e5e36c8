//! Scores by a hash of user and item: the floor.

use super::Baseline;
use crate::ops::dropout::mix;
use crate::protocols::Query;

pub(super) struct Random {
    pub items: usize,
}

impl Baseline for Random {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let seed = mix(17, u64::from(query.user));
        (0..self.items as u64).map(|item| (mix(seed, item) >> 40) as f32).collect()
    }
}
