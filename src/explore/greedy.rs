//! Always the best candidate.

use rand_chacha::rand_core::Rng;

use super::{Candidates, Draw, Policy};

/// Shows the highest score, ties by row; every propensity is 1.
pub struct Greedy;

impl Policy for Greedy {
    fn name(&self) -> &'static str {
        "greedy"
    }

    fn draw(&self, candidates: &Candidates, _: &mut dyn Rng) -> Draw {
        Draw { row: candidates.best(), propensity: 1.0 }
    }
}
