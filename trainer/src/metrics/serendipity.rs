//! Hits that popularity would not have shown. Ge et al., Beyond accuracy: evaluating recommender systems by coverage and serendipity, 2010.

/// Share of the list that is wanted and not in `usual`, the list of a plain recommender: 0 to 1, higher is better; 0 for an empty list.
pub fn serendipity(list: &[u32], targets: &[u32], usual: &[u32]) -> f64 {
    let hits = list.iter().filter(|item| targets.contains(item) && !usual.contains(item)).count();
    hits as f64 / list.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(serendipity(&[1, 2, 3, 4], &[2, 3, 9], &[3, 7]), 0.25);
        assert_eq!(serendipity(&[], &[1], &[]), 0.0);
    }
}
