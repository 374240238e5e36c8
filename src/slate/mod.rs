//! A slate, built slot by slot: the candidates given the slots before, then one draw of the policy.

use rand_chacha::rand_core::Rng;

use crate::explore::{Candidates, Draw, Policy};
use crate::retrieve::Bitmap;

/// Fills up to `slots` slots from the allowed rows; fewer where fewer are allowed.
///
/// `scores` is `[n]`, in logits. The propensity of each slot is given the slots before.
pub fn build(scores: &[f32], allowed: Bitmap, slots: usize, policy: &dyn Policy, rng: &mut dyn Rng) -> Vec<Draw> {
    let mut candidates = Candidates::new(scores, allowed, slots);
    let mut slate = Vec::with_capacity(slots.min(candidates.len()));
    while slate.len() < slots && !candidates.is_empty() {
        let draw = policy.draw(&candidates, rng);
        candidates.take(draw.row);
        slate.push(draw);
    }
    slate
}
