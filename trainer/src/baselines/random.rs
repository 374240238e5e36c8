//! Random scores, a hash of user and item: any other model should be better.

use crate::protocols::{Model, Query};
use crate::random::mix;

pub(super) struct Random {
    pub items: usize,
}

impl Model for Random {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let seed = mix(17, u64::from(query.user));
        (0..self.items as u64).map(|item| (mix(seed, item) >> 40) as f32).collect()
    }
}
