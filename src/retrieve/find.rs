//! Items by a part of their title or id.

use super::TopK;
use crate::bundle::Catalog;

/// The `k` best rows whose label (title, or id without one) contains the text: first labels that begin with it, then
/// labels with a word that begins with it, then the others. Within each group a higher `bias` (popularity) comes first,
/// ties by row. An empty text finds the rows with the highest bias.
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

/// The best place of the text in a label: 0 is the beginning, 1 the beginning of a word, 2 elsewhere; `None` if it is
/// not there.
fn place(label: &str, text: &str) -> Option<usize> {
    let places = label.match_indices(text).map(|(at, _)| match label.get(..at).and_then(|before| before.chars().next_back()) {
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
