//! Precision of the head of a list.

/// Share of the first k places that hold a target: hits / k. Higher is better.
pub fn precision(ranks: &[usize], k: usize) -> f64 {
    ranks.iter().filter(|r| **r <= k).count() as f64 / k as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_values() {
        assert_eq!(super::precision(&[1, 20, 21], 20), 0.1);
        assert_eq!(super::precision(&[], 20), 0.0);
    }
}
