//! Shares of targets that a list holds.

/// Targets of rank ≤ k over min(k, targets); 0 without targets. Higher is better.
pub fn recall(ranks: &[usize], k: usize) -> f64 {
    let hits = ranks.iter().filter(|r| **r <= k).count();
    if ranks.is_empty() { 0.0 } else { hits as f64 / ranks.len().min(k) as f64 }
}

/// 1 where the rank is ≤ k, else 0: its mean over queries of one target is the hit rate. Higher is better.
pub fn hit_rate(rank: usize, k: usize) -> f64 {
    if rank <= k { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(recall(&[1, 20, 21], 20), 2.0 / 3.0);
        assert_eq!(recall(&[1, 2, 3], 2), 1.0);
        assert_eq!(recall(&[], 2), 0.0);
        assert_eq!((hit_rate(10, 10), hit_rate(11, 10)), (1.0, 0.0));
    }
}
