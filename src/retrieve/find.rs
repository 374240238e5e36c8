//! Items by a part of their title or id.

use super::TopK;
use crate::bundle::Catalog;
use crate::features::lowercase;

/// The `k` best rows whose label (title, or id without one) contains the text: first labels that begin with it, then
/// labels with a word that begins with it, then the others. Within each group a higher `bias` (popularity) comes first,
/// ties by row. An empty text finds the rows with the highest bias.
pub fn find(catalog: &Catalog, bias: impl Fn(u32) -> f32, text: &str, k: usize) -> Vec<u32> {
    let text = lowercase(text.trim());
    let mut found = [0, 1, 2].map(|_| TopK::new(k));
    for row in 0..catalog.len() as u32 {
        if let Some(place) = place(&lowercase(catalog.label(row)), &text) {
            found[place].offer(bias(row), row);
        }
    }
    found.into_iter().flat_map(TopK::into_ranked).map(|(_, row)| row).take(k).collect()
}

/// The best place of the text in a label: 0 is the beginning, 1 the beginning of a word, 2 elsewhere; `None` if it is
/// not there.
fn place(label: &str, text: &str) -> Option<usize> {
    let mut before = None;
    let mut rest = label.chars();
    let mut best: Option<usize> = None;
    loop {
        if rest.as_str().starts_with(text) {
            let place = before.map_or(0, |c: char| if c.is_alphanumeric() { 2 } else { 1 });
            best = Some(best.map_or(place, |best| best.min(place)));
        }
        before = rest.next();
        if before.is_none() {
            return best;
        }
    }
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
