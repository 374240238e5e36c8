//! Diversity: items of a slate are unlike each other.

use super::Constraint;
use crate::bundle::Rows;
use crate::explore::Candidates;
use crate::kernels::Kernels;

/// Maximal marginal relevance: a score loses `weight` times the highest cosine with an item in the slots before.
/// Carbonell and Goldstein, The use of MMR, diversity-based reranking, 1998.
///
/// Their λ · similarity and (1 − λ) · relevance are both divided by 1 − λ here, so that relevance stays in logits,
/// which policies need.
pub struct Diversity<'a> {
    rows: &'a Rows,
    weight: f32,
}

impl<'a> Diversity<'a> {
    /// `diversity` is λ, 0 to 1: at 0 only scores count, towards 1 only dissimilarity. `range` is the difference
    /// between the best and the worst score of the pool in logits; it makes scores comparable with similarities, which
    /// are 0 to 1.
    pub fn new(rows: &'a Rows, diversity: f64, range: f32) -> Self {
        // Above this, f32 would lose the order of the scores.
        let share = diversity.min(0.9999);
        Diversity { rows, weight: (share / (1.0 - share)) as f32 * range }
    }
}

impl Constraint for Diversity<'_> {
    fn apply(&self, before: &[u32], candidates: &mut Candidates) {
        let Some(last) = before.last() else { return };
        let inverse = self.rows.inverse_lengths();
        let query: Vec<i16> = self.rows.vector(*last).iter().map(|q| i16::from(*q)).collect();
        for place in candidates.places().collect::<Vec<usize>>() {
            let row = candidates.row(place);
            let mut dot = [0];
            Kernels::best().dots(self.rows.vector(row), &query, &mut dot);
            let cosine = dot[0] as f32 * inverse[row as usize] * inverse[*last as usize];
            candidates.penalize(place, self.weight * cosine);
        }
    }
}
