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

/// The `k` best of the allowed rows, best first, ties by row; fewer where fewer are allowed.
pub fn top_k(scores: &[f32], allowed: &Bitmap, k: usize) -> Vec<u32> {
    if k >= allowed.len() {
        let mut rows: Vec<u32> = allowed.iter().collect();
        rows.sort_unstable_by(|a, b| precedes((scores[*a as usize], *a), (scores[*b as usize], *b)));
        return rows;
    }
    let mut heap = BinaryHeap::with_capacity(k + 1);
    for row in allowed.iter() {
        let entry = Entry(scores[row as usize], row);
        if heap.len() < k {
            heap.push(entry);
        } else if heap.peek().is_some_and(|worst| entry < *worst) {
            heap.pop();
            heap.push(entry);
        }
    }
    heap.into_sorted_vec().into_iter().map(|e| e.1).collect()
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
                assert_eq!(top_k(&scores, &allowed, k), expected[..k.min(expected.len())], "n {n} k {k}");
            }
        }
    }
}
