//! P4: strong generalisation, the browser's case. The model never sees a test user in training.

use super::{Protocol, Query, ReportedMetric, Split, SplitBy, distinct, hash, histories, reported};
use crate::data::Dataset;
use crate::metrics::{AUC, AVERAGE_PRECISION, HIT_RATE, NDCG, PRECISION, RECALL, RECIPROCAL_RANK};

/// The metric by which settings are chosen.
pub(super) const GOAL: ReportedMetric = ReportedMetric::of(NDCG.at(100)).split_by(SplitBy::Tie);

/// The metrics that are reported.
pub(super) fn metrics() -> Vec<ReportedMetric> {
    let accuracy = [
        ReportedMetric::of(RECALL.at(20)),
        GOAL,
        reported::GRADED,
        ReportedMetric::of(PRECISION.at(20)),
        ReportedMetric::of(AVERAGE_PRECISION.at(100)),
        ReportedMetric::of(RECIPROCAL_RANK),
        ReportedMetric::of(AUC),
        ReportedMetric::of(HIT_RATE.at(10)).of_next_target().split_by(SplitBy::Tie),
        ReportedMetric::of(NDCG.at(10)).of_next_target(),
    ];
    accuracy.into_iter().chain(reported::of_lists()).collect()
}

/// Number of folds of users.
pub(super) const FOLDS: u32 = 10;

/// The fold of a user: `H("p4/0:{user}") mod 10`.
pub(super) fn fold_of(data: &Dataset, user: usize) -> u32 {
    (hash(&format!("p4/0:{}", data.users[user])) % u64::from(FOLDS)) as u32
}

/// How many of the `n` events of a history are the query: the first `max(1, ⌊8n/10⌋)`.
pub(super) fn query_len(n: usize) -> usize {
    (8 * n / 10).max(1)
}

/// The query of a user: the first events of the history ask for the items of the later ones, without those that the
/// query already has. `None` if there are no such items.
pub(crate) fn query(data: &Dataset, user: usize) -> Option<Query> {
    let history = data.history(user);
    let (known, ahead) = history.split_at(query_len(history.len()).min(history.len()));
    let removed = distinct(known);
    let mut targets: Vec<u32> = Vec::new();
    for event in ahead {
        if removed.binary_search(&event.item).is_err() && !targets.contains(&event.item) {
            targets.push(event.item);
        }
    }
    (!targets.is_empty()).then(|| Query::new(user as u32, data.first(user, known.len()), targets, removed))
}

pub(super) fn split(data: &Dataset, fold: u32) -> Split {
    let folds: Vec<u32> = (0..data.users.len()).map(|user| fold_of(data, user)).collect();
    let valid = (fold + 1) % FOLDS;
    let queries = |fold| (0..folds.len()).filter(|u| folds[*u] == fold).filter_map(|u| query(data, u)).collect();
    Split {
        protocol: Protocol::P4,
        fold: Some(fold),
        train: histories(data, |u| folds[u] != fold && folds[u] != valid),
        valid: queries(valid),
        refit: Some(histories(data, |u| folds[u] != fold)),
        test: queries(fold),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::dataset;
    use super::*;

    #[test]
    fn users_of_the_fold_are_tested_alone() {
        let histories: Vec<&[u32]> = vec![&[0, 1, 2, 3, 4]; 40];
        let data = dataset(&histories);
        let s = split(&data, 9);
        let (test, valid): (Vec<u32>, Vec<u32>) =
            (s.test.iter().map(|q| q.user).collect(), s.valid.iter().map(|q| q.user).collect());
        assert!(test.iter().all(|u| fold_of(&data, *u as usize) == 9) && valid.iter().all(|u| fold_of(&data, *u as usize) == 0));
        assert_eq!(s.train.len() + valid.len() + test.len(), 40);
        assert_eq!(s.refit.unwrap().len() + test.len(), 40);
    }

    #[test]
    fn targets_are_what_the_query_does_not_have() {
        let data = dataset(&[&[0, 1, 0, 2, 2, 3, 1, 4, 1, 5], &[7], &[0, 0]]);
        let q = query(&data, 0).unwrap();
        assert_eq!((q.history.len(), &q.targets[..], &q.removed[..]), (8, &[5][..], &[0, 1, 2, 3, 4][..]));
        assert_eq!((query(&data, 1), query(&data, 2)), (None, None));
    }
}
