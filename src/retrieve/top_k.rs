//! The k best of many scored rows, exactly.

use std::cmp::Ordering;

use super::Bitmap;

/// The order of a slate: higher scores first, equal ones by row. NaN counts as the lowest score.
pub fn precedes(a: (f32, u32), b: (f32, u32)) -> Ordering {
    let key = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score };
    key(b.0).partial_cmp(&key(a.0)).unwrap_or(Ordering::Equal).then(a.1.cmp(&b.1))
}

/// A score and its row in one integer; the better of two pairs has the greater key. The upper half orders as the scores
/// do, the lower as the rows.
fn key(score: f32, row: u32) -> u64 {
    // NaN counts as the lowest score. Adding 0 turns −0 into 0.
    let bits = if score.is_nan() { f32::NEG_INFINITY } else { score + 0.0 }.to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | u64::from(!row)
}

fn entry(key: u64) -> (f32, u32) {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
    (f32::from_bits(bits), !(key as u32))
}

/// Keeps the k best of the rows that it is offered. It collects rows above a threshold; whenever it has 2 k of them, it
/// drops the worse half and raises the threshold.
pub struct TopK {
    k: usize,
    /// The worst key kept when rows were last dropped, and its score. Nothing below can be among the best.
    threshold: u64,
    least: f32,
    keys: Vec<u64>,
}

impl TopK {
    /// An empty list of at most `k`.
    pub fn new(k: usize) -> Self {
        TopK { k, threshold: 0, least: f32::NEG_INFINITY, keys: Vec::new() }
    }

    /// Offers one row.
    #[inline]
    pub fn offer(&mut self, score: f32, row: u32) {
        let key = key(score, row);
        if key > self.threshold {
            self.keys.push(key);
            if self.keys.len() >= self.k.saturating_mul(2).max(64) {
                self.narrow();
            }
        }
    }

    /// Offers a run of rows from `first` on. Only those in `allowed` count.
    pub fn offer_run(&mut self, first: u32, scores: &[f32], allowed: &Bitmap) {
        for (score, row) in scores.iter().zip(first..) {
            // A quick test; `offer` makes the exact one.
            if (*score >= self.least || score.is_nan()) && allowed.contains(row) {
                self.offer(*score, row);
            }
        }
    }

    fn narrow(&mut self) {
        if self.k < self.keys.len() {
            let (_, worst, _) = self.keys.select_nth_unstable_by(self.k, |a, b| b.cmp(a));
            self.threshold = *worst;
            self.least = entry(*worst).0;
            self.keys.truncate(self.k);
        }
    }

    /// The rows with their scores, best first, ties by row.
    pub fn into_ranked(mut self) -> Vec<(f32, u32)> {
        self.narrow();
        descend(&mut self.keys);
        self.keys.into_iter().map(entry).collect()
    }

    /// The rows in ascending order.
    pub fn into_rows(mut self) -> Vec<u32> {
        self.narrow();
        self.keys.iter_mut().for_each(|key| *key = !u64::from(entry(*key).1));
        descend(&mut self.keys);
        self.keys.into_iter().map(|key| !key as u32).collect()
    }
}

/// The only sort of the core. Another one would add 3,000 bytes to the module.
fn descend(keys: &mut [u64]) {
    keys.sort_unstable_by(|a, b| b.cmp(a));
}

/// The `k` best of the allowed rows with their scores, best first, ties by row; fewer if fewer are allowed.
pub fn top_k(scores: &[f32], allowed: &Bitmap, k: usize) -> Vec<(f32, u32)> {
    let mut best = TopK::new(k);
    best.offer_run(0, scores, allowed);
    best.into_ranked()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn keys_order_as_scores_and_rows_do() {
        let scores = [f32::NEG_INFINITY, f32::MIN, -1.0, -f32::MIN_POSITIVE, -0.0, 0.0, 1e-45, 1.0, f32::MAX, f32::INFINITY];
        for (a, x) in scores.iter().enumerate() {
            for (b, y) in scores.iter().enumerate() {
                assert_eq!(key(*x, a as u32).cmp(&key(*y, b as u32)), precedes((*y, b as u32), (*x, a as u32)), "{x} {y}");
            }
            assert_eq!(entry(key(*x, 7)), (*x, 7));
        }
        assert_eq!(entry(key(f32::NAN, u32::MAX)), (f32::NEG_INFINITY, u32::MAX));
    }

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
