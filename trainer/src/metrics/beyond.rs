//! What a list is beyond its hits, by who had its items: novelty, diversity, popularity lift.

use crate::protocols::{Sequence, distinct};

/// Who had each item in training.
pub struct Beyond {
    users: usize,
    /// Users of each item, ascending.
    users_of: Vec<Vec<u32>>,
}

impl Beyond {
    /// From the events that a model may have seen.
    pub fn new(items: usize, fitted: &[Sequence]) -> Self {
        let mut users_of = vec![Vec::new(); items];
        for (user, sequence) in fitted.iter().enumerate() {
            distinct(&sequence.events).iter().for_each(|item| users_of[*item as usize].push(user as u32));
        }
        Beyond { users: fitted.len(), users_of }
    }

    /// How many users had each item: `[items]`.
    pub fn popularity(&self) -> Vec<f32> {
        self.users_of.iter().map(|users| users.len() as f32).collect()
    }

    /// Share of the users who had an item.
    fn share(&self, item: u32) -> f64 {
        self.users_of[item as usize].len() as f64 / self.users.max(1) as f64
    }

    /// Mean of −log2 P(a user had the item), in bits, one user added to either number (Zhou et al., 2010); 0 for an empty list. Higher: rarer
    /// items.
    pub fn novelty(&self, list: &[u32]) -> f64 {
        let bits = |item: &u32| -libm::log2((self.users_of[*item as usize].len() as f64 + 1.0) / (self.users as f64 + 1.0));
        mean(list.iter().map(bits))
    }

    /// Mean over the pairs of a list of 1 − the cosine of their users (Ziegler et al., 2005); 0 without pairs. Higher: items of unlike users.
    pub fn intra_list_diversity(&self, list: &[u32]) -> f64 {
        let pairs = list.iter().enumerate().flat_map(|(i, a)| list[..i].iter().map(move |b| (a, b)));
        mean(pairs.map(|(a, b)| {
            let (a, b) = (&self.users_of[*a as usize], &self.users_of[*b as usize]);
            let scale = ((a.len() * b.len()) as f64).sqrt();
            if scale > 0.0 { 1.0 - common(a, b) as f64 / scale } else { 1.0 }
        }))
    }

    /// How much more popular the list is than the history: mean share of users of the list over that of the history, less 1 (Abdollahpouri et
    /// al., 2020). 0: as popular; `None` where nobody had the history.
    pub fn popularity_lift(&self, list: &[u32], history: &[u32]) -> Option<f64> {
        let [list, history] = [list, history].map(|items| mean(items.iter().map(|item| self.share(*item))));
        (history > 0.0).then(|| list / history - 1.0)
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), x| (sum + x, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

/// Numbers in both of two ascending lists.
fn common(a: &[u32], b: &[u32]) -> usize {
    let (few, many) = if a.len() < b.len() { (a, b) } else { (b, a) };
    few.iter().filter(|x| many.binary_search(x).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factors::tests::sequences;

    #[test]
    fn known_values() {
        // Item 0 has three users, 1 has one of them, 2 has none.
        let beyond = Beyond::new(3, &sequences(&[&[0, 0, 1], &[0], &[0]]));
        assert_eq!(beyond.novelty(&[0, 1, 2]), (0.0 + 1.0 + 2.0) / 3.0);
        let cosine = 1.0 / 3f64.sqrt();
        assert!((beyond.intra_list_diversity(&[0, 1, 2]) - (3.0 - cosine) / 3.0).abs() < 1e-12);
        assert!((beyond.popularity_lift(&[0], &[1]).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(beyond.popularity_lift(&[0], &[]), None);
        assert_eq!((beyond.novelty(&[]), beyond.intra_list_diversity(&[0])), (0.0, 0.0));
    }
}
