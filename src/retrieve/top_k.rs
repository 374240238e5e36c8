//! The k best rows, exactly.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::Bitmap;

/// The order of a slate: higher scores first, equal ones by row. NaN counts as the lowest score.
pub fn precedes(a: (f32, u32), b: (f32, u32)) -> Ordering {
    let key = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score };
    key(b.0).partial_cmp(&key(a.0)).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
}

/// A heap entry: the greatest is the one that leaves first, the worst.
struct Entry(f32, u32);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        precedes((self.0, self.1), (other.0, other.1))
    }
}

/// Keeps the k best of the rows that it is offered.
pub struct TopK {
    k: usize,
    /// At most `k`, the worst on top.
    heap: BinaryHeap<Entry>,
}

impl TopK {
    /// An empty list of at most `k`.
    pub fn new(k: usize) -> Self {
        TopK { k, heap: BinaryHeap::new() }
    }

    /// Takes a row that is better than the worst of k.
    pub fn offer(&mut self, score: f32, row: u32) {
        let entry = Entry(score, row);
        if self.heap.len() < self.k {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
    }

    /// The rows with their scores, best first, ties by row.
    pub fn into_ranked(self) -> Vec<(f32, u32)> {
        self.heap.into_sorted_vec().into_iter().map(|e| (e.0, e.1)).collect()
    }
}

/// The `k` best of the allowed rows with their scores, best first, ties by row; fewer where fewer are allowed.
pub fn top_k(scores: &[f32], allowed: &Bitmap, k: usize) -> Vec<(f32, u32)> {
    let mut best = TopK::new(k);
    allowed.iter().for_each(|row| best.offer(scores[row as usize], row));
    best.into_ranked()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_a_full_sort() {
        let mut state = 1u64;
        for n in [1usize, 2, 5, 100, 1000] {
            // Few distinct values, so that ties are many; some NaN.
            let scores: Vec<f32> = (0..n)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    if state >> 59 == 0 { f32::NAN } else { (state >> 60) as f32 }
                })
                .collect();
            let mut allowed = Bitmap::full(n);
            (0..n as u32).step_by(7).for_each(|row| allowed.remove(row));
            let mut expected: Vec<u32> = allowed.iter().collect();
            expected.sort_by(|a, b| precedes((scores[*a as usize], *a), (scores[*b as usize], *b)));
            for k in [0, 1, 3, n / 2, n, n + 5] {
                let rows: Vec<u32> = top_k(&scores, &allowed, k).into_iter().map(|e| e.1).collect();
                assert_eq!(rows, expected[..k.min(expected.len())], "n {n} k {k}");
            }
        }
    }
}
