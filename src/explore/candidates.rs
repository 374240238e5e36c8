//! The rows that one slot may show.

use crate::retrieve::Bitmap;

/// The allowed rows of the whole catalog, and the pool: the best of them, with the scores that a policy compares.
#[derive(Debug, Clone)]
pub struct Candidates {
    allowed: Bitmap,
    /// Best score first. Some rows may not be allowed any more.
    pool: Vec<(f32, u32)>,
    /// Penalty of each place of the pool, in logits; empty if there are none.
    penalties: Vec<f32>,
    /// No row of a place before this one is allowed any more.
    next: usize,
}

impl Candidates {
    /// Candidates from all allowed rows. `pool` has the best of them with their scores, best first, ties by row.
    pub fn new(pool: Vec<(f32, u32)>, allowed: Bitmap) -> Self {
        let mut candidates = Candidates { allowed, pool: Vec::new(), penalties: Vec::new(), next: 0 };
        candidates.refill(pool);
        candidates
    }

    /// Replaces the pool and drops all penalties.
    pub fn refill(&mut self, pool: Vec<(f32, u32)>) {
        (self.pool, self.next) = (pool, 0);
        self.penalties.clear();
        self.advance();
    }

    /// All rows still allowed, in the pool or not.
    pub fn allowed(&self) -> &Bitmap {
        &self.allowed
    }

    /// Whether no row of the pool is still allowed.
    pub fn is_exhausted(&self) -> bool {
        self.next == self.pool.len()
    }

    /// All rows of the pool, still allowed or not.
    pub fn pool(&self) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.pool.iter().map(|(_, row)| *row)
    }

    /// Row of a place of the pool.
    ///
    /// # Panics
    /// If the place is past the end.
    pub fn row(&self, place: usize) -> u32 {
        self.pool[place].1
    }

    /// Place of a row in the pool; `None` if it is not there or not allowed any more.
    pub fn place(&self, row: u32) -> Option<usize> {
        let there = self.pool[self.next..].iter().position(|(_, other)| *other == row);
        there.map(|place| self.next + place).filter(|_| self.allowed.contains(row))
    }

    /// Whether the pool has this place and its row is still allowed.
    pub fn is_left(&self, place: usize) -> bool {
        place >= self.next && self.pool.get(place).is_some_and(|(_, row)| self.allowed.contains(*row))
    }

    /// Score of a place minus its penalty, in logits.
    pub fn score(&self, place: usize) -> f32 {
        self.pool[place].0 - self.penalty(place)
    }

    /// Penalty of a place, in logits.
    pub fn penalty(&self, place: usize) -> f32 {
        self.penalties.get(place).copied().unwrap_or(0.0)
    }

    /// Whether any place has a penalty.
    pub fn has_penalties(&self) -> bool {
        !self.penalties.is_empty()
    }

    /// Places whose row is still allowed, in order.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        (self.next..self.pool.len()).filter(|place| self.allowed.contains(self.row(*place)))
    }

    /// The place with the highest score minus penalty, ties by place.
    ///
    /// # Panics
    /// If the pool is exhausted.
    pub fn best(&self) -> usize {
        assert!(!self.is_exhausted(), "no candidate is left");
        if self.penalties.is_empty() {
            return self.next;
        }
        best_of(self.places().map(|place| (place, self.score(place)))).unwrap_or(self.next)
    }

    /// Raises the penalty of a place to `penalty`, in logits. A higher one stays.
    pub fn penalize(&mut self, place: usize, penalty: f32) {
        self.penalties.resize(self.pool.len(), 0.0);
        self.penalties[place] = self.penalties[place].max(penalty);
    }

    /// Removes a row from the allowed ones.
    pub fn remove(&mut self, row: u32) {
        self.allowed.remove(row);
        self.advance();
    }

    fn advance(&mut self) {
        while self.pool.get(self.next).is_some_and(|(_, row)| !self.allowed.contains(*row)) {
            self.next += 1;
        }
    }
}

/// The place with the highest value, ties by place.
pub(super) fn best_of(values: impl Iterator<Item = (usize, f32)>) -> Option<usize> {
    values.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::retrieve::top_k;

    #[test]
    fn best_is_the_best_left() {
        let scores = [1.0, 3.0, 3.0, 2.0, 9.0];
        let mut allowed = Bitmap::full(5);
        allowed.remove(4);
        let mut c = Candidates::new(top_k(&scores, &allowed, 4), allowed);
        let best = |c: &Candidates| c.row(c.best());
        assert_eq!((best(&c), c.place(2), c.place(4)), (1, Some(1), None));
        c.remove(2);
        assert_eq!((best(&c), c.place(2)), (1, None));
        c.remove(1);
        assert_eq!((best(&c), c.allowed().len(), c.places().count()), (3, 2, 2));
        c.penalize(c.best(), 1.5);
        assert_eq!((best(&c), c.score(c.place(3).unwrap())), (0, 0.5));
        c.remove(0);
        c.remove(3);
        assert!(c.is_exhausted());
        c.refill(vec![(7.0, 0)]);
        assert!(c.is_exhausted());
    }
}
