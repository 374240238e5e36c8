//! A slate, built slot by slot: the candidates given the slots before, then one draw of the policy.

use rand_chacha::rand_core::Rng;

use crate::explore::{Candidates, Draw, Policy};

/// Fills up to `slots` slots from the candidates; fewer where there are fewer.
///
/// The propensity of each slot is given the slots before.
pub fn build(mut candidates: Candidates, slots: usize, policy: &dyn Policy, rng: &mut dyn Rng) -> Vec<Draw> {
    let mut slate = Vec::with_capacity(slots.min(candidates.len()));
    while slate.len() < slots && !candidates.is_empty() {
        let draw = policy.draw(&candidates, rng);
        candidates.take(draw.row);
        slate.push(draw);
    }
    slate
}
