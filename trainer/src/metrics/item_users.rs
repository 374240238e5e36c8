//! Who had each item, in the events that a model was fitted on: popularity, and how alike the audiences of items are.

/// The users of each item.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemUsers {
    users: usize,
    /// By item: numbers of its users, ascending.
    of_item: Vec<Vec<u32>>,
}

impl ItemUsers {
    /// Of `items` items; `histories` gives the items of each user, each item once.
    pub fn new(items: usize, histories: impl IntoIterator<Item = Vec<u32>>) -> Self {
        let mut out = ItemUsers { users: 0, of_item: vec![Vec::new(); items] };
        for history in histories {
            history.iter().for_each(|item| out.of_item[*item as usize].push(out.users as u32));
            out.users += 1;
        }
        out
    }

    /// How many users there are.
    pub fn users(&self) -> usize {
        self.users
    }

    /// How many users had an item.
    pub fn count(&self, item: u32) -> usize {
        self.of_item[item as usize].len()
    }

    /// How many users had each item: `[items]`.
    pub fn popularity(&self) -> Vec<f32> {
        self.of_item.iter().map(|users| users.len() as f32).collect()
    }

    /// Cosine of the sets of users of two items, 0 to 1; 0 if nobody had one of them.
    pub fn cosine(&self, a: u32, b: u32) -> f64 {
        let (a, b) = (&self.of_item[a as usize], &self.of_item[b as usize]);
        let scale = ((a.len() * b.len()) as f64).sqrt();
        if scale > 0.0 { common(a, b) as f64 / scale } else { 0.0 }
    }
}

/// How many numbers two ascending lists have in common.
fn common(a: &[u32], b: &[u32]) -> usize {
    let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
    few.iter().filter(|x| many.binary_search(x).is_ok()).count()
}

/// Mean of some values; 0 for none.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Item 0 has three users, 1 has one of them, 2 has none.
    pub(in super::super) fn three_items() -> ItemUsers {
        ItemUsers::new(3, [vec![0, 1], vec![0], vec![0]])
    }

    #[test]
    fn known_values() {
        let users = three_items();
        assert_eq!((users.users(), users.count(0), users.popularity()), (3, 3, vec![3.0, 1.0, 0.0]));
        assert_eq!((users.cosine(0, 1), users.cosine(0, 2)), (1.0 / 3f64.sqrt(), 0.0));
    }
}
