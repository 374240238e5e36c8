//! Mean reciprocal rank.

/// 1 / rank: its mean over queries is the MRR. Higher is better.
pub fn mrr(rank: usize) -> f64 {
    1.0 / rank as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_value() {
        assert_eq!(super::mrr(4), 0.25);
    }
}
