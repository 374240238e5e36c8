//! The rows that one slot may show.

use crate::retrieve::Bitmap;

/// The allowed rows less those of the slots before.
#[derive(Debug, Clone)]
pub struct Candidates {
    allowed: Bitmap,
    /// The best rows at the start with their scores, as many as there are slots: one of them is always left.
    ranked: Vec<(f32, u32)>,
    /// Entries of `ranked` before this one are taken.
    next: usize,
}

impl Candidates {
    /// All allowed rows; `ranked` are the best of them with their scores, best first, as many as there will be draws.
    pub fn new(ranked: Vec<(f32, u32)>, allowed: Bitmap) -> Self {
        Candidates { allowed, ranked, next: 0 }
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
        self.ranked[self.next].1
    }

    /// Row number `n` of those left, in ascending order.
    pub fn nth(&self, n: usize) -> Option<u32> {
        self.allowed.nth(n)
    }

    /// Takes a row out.
    pub fn take(&mut self, row: u32) {
        self.allowed.remove(row);
        while self.ranked.get(self.next).is_some_and(|(_, row)| !self.allowed.contains(*row)) {
            self.next += 1;
        }
    }
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
        let mut c = Candidates::new(top_k(&scores, &allowed, 3), allowed);
        assert_eq!((c.len(), c.best(), c.nth(3), c.nth(4)), (4, 1, Some(3), None));
        c.take(2);
        assert_eq!(c.best(), 1);
        c.take(1);
        assert_eq!((c.best(), c.len()), (3, 2));
    }
}
