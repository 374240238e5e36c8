//! P3: leave one out, full ranking (SASRec, BERT4Rec, HSTU). Never fitted again on validation.

use super::{Protocol, Query, Sequence, Split, distinct};
use crate::data::Dataset;

/// Shortest history with a target.
pub(super) const LEAST: usize = 3;

pub(super) fn split(data: &Dataset) -> Split {
    let mut out = Split { protocol: Protocol::P3, fold: None, train: vec![], valid: vec![], refit: None, test: vec![] };
    for user in 0..data.users.len() {
        let history = data.history(user);
        // A target that the user had before stays a candidate.
        let query = |known: usize| {
            let target = history[known].item;
            let removed = distinct(&history[..known]).into_iter().filter(|item| *item != target).collect();
            Query::new(user as u32, data.first(user, known), vec![target], removed)
        };
        let train = if history.len() < LEAST { history.len() } else { history.len() - 2 };
        out.train.push(Sequence { user: user as u32, events: data.first(user, train) });
        if history.len() >= LEAST {
            out.valid.push(query(train));
            out.test.push(query(train + 1));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::dataset;
    use super::*;

    #[test]
    fn last_is_test_and_the_one_before_validation() {
        let s = split(&dataset(&[&[0, 1, 2, 0], &[1, 2]]));
        assert_eq!(s.train.iter().map(|s| s.events.len()).collect::<Vec<_>>(), [2, 2]);
        assert_eq!((s.valid.len(), s.valid[0].targets[0], &s.valid[0].removed[..]), (1, 2, &[0, 1][..]));
        assert_eq!((s.test[0].history.len(), s.test[0].targets[0], &s.test[0].removed[..]), (3, 0, &[1, 2][..]));
    }
}
