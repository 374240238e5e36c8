//! Always the best candidate.

use rand_chacha::rand_core::Rng;

use super::{Candidates, Policy};

/// Takes the place with the highest score, ties by place. If scores are upper confidence bounds, this is LinUCB: Li,
/// Chu, Langford and Schapire, A contextual-bandit approach to personalized news article recommendation, 2010.
pub struct Greedy;

impl Policy for Greedy {
    fn draw(&mut self, candidates: &Candidates, _: &mut dyn Rng) -> usize {
        candidates.best()
    }

    fn probability(&mut self, candidates: &Candidates, place: usize) -> f64 {
        f64::from(u8::from(candidates.best() == place))
    }
}
