//! User-based nearest neighbours: recommends the items of those users whose items resemble the history most, by the
//! cosine (Herlocker et al., 1999).

use crate::factors::users_by_item;
use crate::protocols::{Model, Query, Sequence, distinct};

/// Nearest users whose items are counted.
const NEIGHBOURS: usize = 100;
/// Added to the denominator of the cosine; lowers the similarity of users with few common items.
const SHRINK: f32 = 10.0;

pub(super) struct UserKnn {
    items: usize,
    /// Items of each user.
    items_of: Vec<Vec<u32>>,
    /// Users of each item.
    users_of: Vec<Vec<u32>>,
}

impl UserKnn {
    pub fn fit(items: usize, fitted: &[Sequence]) -> Self {
        let items_of: Vec<Vec<u32>> = fitted.iter().map(|s| distinct(&s.events)).collect();
        let users_of = users_by_item(items, &items_of);
        UserKnn { items, items_of, users_of }
    }
}

impl Model for UserKnn {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let known = distinct(&query.history);
        let mut common = vec![0u32; self.items_of.len()];
        for item in &known {
            self.users_of[*item as usize].iter().for_each(|user| common[*user as usize] += 1);
        }
        let cosine = |(user, common): (usize, &u32)| {
            let product = (known.len() * self.items_of[user].len()) as f32;
            (*common > 0).then(|| (*common as f32 / (product.sqrt() + SHRINK), user))
        };
        let mut near: Vec<(f32, usize)> = common.iter().enumerate().filter_map(cosine).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut scores = vec![0.0; self.items];
        for (cosine, user) in near.into_iter().take(NEIGHBOURS) {
            self.items_of[user].iter().for_each(|item| scores[*item as usize] += cosine);
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factors::tests::{query, sequences};

    #[test]
    fn neighbours_count_by_their_cosine() {
        let model = UserKnn::fit(4, &sequences(&[&[0, 1, 1], &[0, 1, 2], &[3]]));
        let cosine = |common: f32, a: f32, b: f32| common / ((a * b).sqrt() + SHRINK);
        let (one, two) = (cosine(2.0, 2.0, 2.0), cosine(2.0, 2.0, 3.0));
        assert_eq!(model.scores(&query(&[0, 1])), [one + two, one + two, two, 0.0]);
        assert_eq!(model.scores(&query(&[])), [0.0; 4]);
    }
}
