//! The binary user–item matrix X, in the forms that models need.

use anyhow::{Result, bail};

use crate::protocols::Query;

/// Most items of a dense item–item matrix: 20,000² f32 take 1.6 GB.
pub const MAX_DENSE: usize = 20_000;

/// XᵀX `[items, items]`, row-major: the number of histories that have both items. An item that occurs again in a
/// history counts once.
///
/// # Errors
/// More than 20,000 items.
pub fn co_occurrence(items: usize, histories: &[Vec<u32>]) -> Result<Vec<f32>> {
    if items > MAX_DENSE {
        bail!("item-knn, ease and ease-rec need a matrix of at most {MAX_DENSE} items, but the data has {items}: leave them out");
    }
    let mut gram = vec![0.0; items * items];
    let mut distinct = Vec::new();
    for history in histories {
        distinct.clone_from(history);
        distinct.sort_unstable();
        distinct.dedup();
        for a in &distinct {
            distinct.iter().for_each(|b| gram[*a as usize * items + *b as usize] += 1.0);
        }
    }
    Ok(gram)
}

/// Lists the users of each item, ascending, from the items of each user.
pub fn users_by_item(items: usize, items_by_user: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut users = vec![Vec::new(); items];
    for (user, items) in items_by_user.iter().enumerate() {
        items.iter().for_each(|item| users[*item as usize].push(user as u32));
    }
    users
}

/// Scores of all items `[items]`: the sum of the history's rows of `matrix` `[items, items]`, each times `weight(age)`.
///
/// The age counts events, 0 for the newest. An item that occurs again counts once, at its newest age.
pub fn weighted_rows(matrix: &[f32], items: usize, query: &Query, weight: impl Fn(usize) -> f32) -> Vec<f32> {
    let mut scores = vec![0.0; items];
    let mut seen = vec![false; items];
    for (age, event) in query.history.iter().rev().enumerate() {
        let item = event.item as usize;
        if !std::mem::replace(&mut seen[item], true) {
            let weight = weight(age);
            scores.iter_mut().zip(&matrix[item * items..][..items]).for_each(|(s, m)| *s += weight * m);
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::super::tests::query;
    use super::*;

    #[test]
    fn an_item_counts_once_at_its_newest_age() {
        let matrix = [1.0, 2.0, 10.0, 20.0];
        assert_eq!(weighted_rows(&matrix, 2, &query(&[0, 1, 0]), |age| 0.5f32.powi(age as i32)), [6.0, 12.0]);
    }
}
