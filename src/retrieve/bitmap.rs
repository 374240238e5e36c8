//! A set of rows, one bit each.

/// A set of rows between 0 and len − 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Bitmap {
    words: Vec<u64>,
    count: usize,
}

impl Bitmap {
    /// The set of all `len` rows.
    pub fn full(len: usize) -> Self {
        let mut words = vec![u64::MAX; len.div_ceil(64)];
        if let Some(last) = words.last_mut().filter(|_| !len.is_multiple_of(64)) {
            *last = (1 << (len % 64)) - 1;
        }
        Bitmap { words, count: len }
    }

    /// The set of all `len` rows without the given ones. Rows past the end are ignored.
    pub fn without(len: usize, removed: &[u32]) -> Self {
        let mut set = Bitmap::full(len);
        removed.iter().for_each(|row| set.remove(*row));
        set
    }

    /// Whether the row is in the set; a row past the end is not.
    pub fn contains(&self, row: u32) -> bool {
        self.words.get(row as usize / 64).is_some_and(|w| w >> (row % 64) & 1 == 1)
    }

    /// Sixteen bits: bit i says whether row `start` + i is in the set. Rows past the end are not.
    pub fn bits(&self, start: usize) -> u16 {
        let word = |i: usize| self.words.get(i).copied().unwrap_or(0);
        let (at, shift) = (start / 64, start % 64);
        let low = word(at) >> shift;
        if shift > 48 { (low | word(at + 1) << (64 - shift)) as u16 } else { low as u16 }
    }

    /// Removes a row, if it is in the set.
    pub fn remove(&mut self, row: u32) {
        if self.contains(row) {
            self.words[row as usize / 64] &= !(1 << (row % 64));
            self.count -= 1;
        }
    }

    /// Number of rows in the set.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no row is in the set.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The rows in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(i as u32 * 64 + bit)
            })
        })
    }

    /// The row that has `n` rows of the set before it; `None` if the set is too small.
    pub fn nth(&self, mut n: usize) -> Option<u32> {
        for (i, word) in self.words.iter().enumerate() {
            let ones = word.count_ones() as usize;
            if n < ones {
                let rest = (0..n).fold(*word, |w, _| w & (w - 1));
                return Some(i as u32 * 64 + rest.trailing_zeros());
            }
            n -= ones;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn equals_a_list_of_rows() {
        for len in [0, 1, 63, 64, 65, 200] {
            let mut set = Bitmap::full(len);
            for row in (0..250).step_by(3).chain([0, 3]) {
                set.remove(row);
            }
            let expected: Vec<u32> = (0..len as u32).filter(|r| r % 3 != 0).collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), expected);
            assert_eq!((set.len(), set.is_empty()), (expected.len(), expected.is_empty()));
            for start in 0..220 {
                let bits = (0..16).filter(|i| expected.contains(&(start + i))).fold(0, |bits, i| bits | 1 << i);
                assert_eq!(set.bits(start as usize), bits, "{len} {start}");
            }
            for n in 0..=expected.len() {
                assert_eq!(set.nth(n), expected.get(n).copied());
            }
        }
    }
}
