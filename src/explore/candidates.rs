//! The rows that one slot may show.

use crate::retrieve::{Bitmap, top_k};

/// The allowed rows less those of the slots before, with the stage scores.
pub struct Candidates<'a> {
    scores: &'a [f32],
    allowed: Bitmap,
    /// The best rows at the start, as many as there are slots: one of them is always left.
    ranked: Vec<u32>,
    /// Entries of `ranked` before this one are taken.
    next: usize,
}

impl<'a> Candidates<'a> {
    /// All allowed rows, ranked deep enough for `slots` draws.
    pub fn new(scores: &'a [f32], allowed: Bitmap, slots: usize) -> Self {
        let ranked = top_k(scores, &allowed, slots);
        Candidates { scores, allowed, ranked, next: 0 }
    }

    /// Number of rows left.
    pub fn len(&self) -> usize {
        self.allowed.len()
    }

    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty()
    }

    /// The row of the highest score, ties by row.
    ///
    /// # Panics
    /// If no row is left, or more are taken than there were slots.
    pub fn best(&self) -> u32 {
        self.ranked[self.next]
    }

    /// Row number `n` of those left, in ascending order.
    pub fn nth(&self, n: usize) -> Option<u32> {
        self.allowed.nth(n)
    }

    /// Score of a row, in logits.
    pub fn score(&self, row: u32) -> f32 {
        self.scores[row as usize]
    }

    /// Takes a row out.
    pub fn take(&mut self, row: u32) {
        self.allowed.remove(row);
        while self.ranked.get(self.next).is_some_and(|r| !self.allowed.contains(*r)) {
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_is_the_best_left() {
        let scores = [1.0, 3.0, 3.0, 2.0, 9.0];
        let mut allowed = Bitmap::full(5);
        allowed.remove(4);
        let mut c = Candidates::new(&scores, allowed, 3);
        assert_eq!((c.len(), c.best(), c.nth(3), c.nth(4)), (4, 1, Some(3), None));
        c.take(2);
        assert_eq!(c.best(), 1);
        c.take(1);
        assert_eq!((c.best(), c.len()), (3, 2));
    }
}
