//! Search in titles and ids.

use crate::bundle::Catalog;

/// Rows whose title or id contains the text, best first: those that begin with it, then those with a word that does, then the
/// others; among these by `biases` (popularity), ties by row. An empty text finds the rows of the highest bias.
pub fn find(catalog: &Catalog, biases: &[f32], text: &str, k: usize) -> Vec<u32> {
    let text = text.trim().to_lowercase();
    let mut found: Vec<(u8, u32)> =
        (0..catalog.len() as u32).filter_map(|row| Some((place(&catalog.label(row).to_lowercase(), &text)?, row))).collect();
    let bias = |row: u32| biases[row as usize];
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| super::precedes((bias(a.1), a.1), (bias(b.1), b.1))));
    found.truncate(k);
    found.into_iter().map(|(_, row)| row).collect()
}

/// 0 at the beginning, 1 at the beginning of a word, 2 elsewhere.
fn place(label: &str, text: &str) -> Option<u8> {
    let places = label.match_indices(text).map(|(at, _)| match label[..at].chars().next_back() {
        None => 0,
        Some(before) if !before.is_alphanumeric() => 1,
        Some(_) => 2,
    });
    places.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_come_first() {
        let titles = ["The Art of War", "Star Wars", "Warrior", "Backward", "Peace"];
        let catalog = Catalog::of_titles(&titles);
        let find = |text: &str, k| find(&catalog, &[0.0, 0.5, 0.1, 9.0, 1.0], text, k);
        assert_eq!(find("war", 9), [2, 1, 0, 3]);
        assert_eq!(find(" WAR", 2), [2, 1]);
        assert_eq!(find("", 2), [3, 4]);
        assert!(find("nothing", 9).is_empty());
    }
}
