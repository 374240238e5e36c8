//! Search in titles and ids.

use super::TopK;
use crate::bundle::Catalog;

/// Rows whose title or id contains the text, best first: those that begin with it, then those with a word that does, then the
/// others; among these by `bias` (popularity), ties by row. An empty text finds the rows of the highest bias.
pub fn find(catalog: &Catalog, bias: impl Fn(u32) -> f32, text: &str, k: usize) -> Vec<u32> {
    let text = text.trim().to_lowercase();
    let mut found = [0, 1, 2].map(|_| TopK::new(k));
    for row in 0..catalog.len() as u32 {
        if let Some(place) = place(&catalog.label(row).to_lowercase(), &text) {
            found[place].offer(bias(row), row);
        }
    }
    found.into_iter().flat_map(TopK::into_ranked).map(|(_, row)| row).take(k).collect()
}

/// 0 at the beginning, 1 at the beginning of a word, 2 elsewhere.
fn place(label: &str, text: &str) -> Option<usize> {
    let places = label.match_indices(text).map(|(at, _)| match label[..at].chars().next_back() {
        None => 0,
        Some(before) if !before.is_alphanumeric() => 1,
        Some(_) => 2,
    });
    places.min()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn beginnings_come_first() {
        let titles = ["The Art of War", "Star Wars", "Warrior", "Backward", "Peace"];
        let catalog = Catalog::of_titles(&titles);
        let find = |text: &str, k| find(&catalog, |row| [0.0, 0.5, 0.1, 9.0, 1.0][row as usize], text, k);
        assert_eq!(find("war", 9), [2, 1, 0, 3]);
        assert_eq!(find(" WAR", 2), [2, 1]);
        assert_eq!(find("", 2), [3, 4]);
        assert!(find("nothing", 9).is_empty());
    }
}
