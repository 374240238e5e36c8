//! Ids as numbers, and their order.

use std::collections::HashMap;

use foretaste::bundle::{by_number, is_whole};

/// What programs write for a missing value. As an id it is likely to be a mistake.
const MISSING: [&str; 18] = [
    "nan",
    "NaN",
    "NAN",
    "-nan",
    "null",
    "Null",
    "NULL",
    "(null)",
    "<null>",
    "None",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "<NA>",
    "NaT",
    "\\N",
    "undefined",
];

/// Whether a text is what programs write for a missing value: `nan`, `NULL`, `None` and the like.
pub(super) fn is_missing_marker(text: &str) -> bool {
    MISSING.contains(&text)
}

/// Texts numbered in the order in which they first appear.
#[derive(Default)]
pub(super) struct Names {
    pub names: Vec<String>,
    index: HashMap<String, u32>,
}

impl Names {
    /// The number of a text; a new text gets the next number.
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(&i) = self.index.get(name) {
            return i;
        }
        let i = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.index.insert(name.to_owned(), i);
        i
    }

    /// The number of a text; `None` for a text that has not appeared.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The names, in the order in which they first appeared.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The names in ascending order (as numbers if all are whole numbers, else by bytes), and the new number of each
    /// old number.
    pub fn ordered(self) -> (Vec<String>, Vec<u32>) {
        let whole = self.names.iter().all(|name| is_whole(name));
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        let name = |i: &u32| self.names[*i as usize].as_str();
        order.sort_unstable_by(|a, b| if whole { by_number(name(a), name(b)) } else { name(a).cmp(name(b)) });
        let mut rank = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, old)| rank[*old as usize] = new as u32);
        let mut names = self.names;
        (order.iter().map(|old| std::mem::take(&mut names[*old as usize])).collect(), rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_order_as_numbers_and_others_by_bytes() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&["10", "9", "100000000000000000000000", "1"], &["1", "9", "10", "100000000000000000000000"]),
            (&["7", "007", "08", "6", "0"], &["0", "6", "007", "7", "08"]),
            (&["10", "9", "a"], &["10", "9", "a"]),
            (&["10", "9", "-1"], &["-1", "10", "9"]),
            (&["é", "z", "Z", " z"], &[" z", "Z", "z", "é"]),
        ];
        for (given, expected) in cases {
            let mut names = Names::default();
            given.iter().for_each(|name| _ = names.intern(name));
            let (sorted, rank) = names.ordered();
            assert_eq!(sorted, expected);
            for (name, rank) in given.iter().zip(rank) {
                assert_eq!(sorted[rank as usize], *name);
            }
        }
    }
}
