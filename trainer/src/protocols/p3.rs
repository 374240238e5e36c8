//! P3: leave one out and rank all items (the papers of SASRec, BERT4Rec and HSTU). The model is not fitted again on
//! validation.

use super::{Protocol, Query, ReportedMetric, Sequence, Split, SplitBy, distinct, reported};
use crate::data::Dataset;
use crate::metrics::{HIT_RATE, NDCG, RECIPROCAL_RANK};

/// The metric by which settings are chosen.
pub(super) const GOAL: ReportedMetric = ReportedMetric::of(NDCG.at(10)).split_by(SplitBy::Tie);

/// The metrics that are reported.
pub(super) fn metrics() -> Vec<ReportedMetric> {
    let accuracy = [
        ReportedMetric::of(HIT_RATE.at(10)).split_by(SplitBy::Tie),
        ReportedMetric::of(HIT_RATE.at(20)),
        ReportedMetric::of(HIT_RATE.at(50)),
        GOAL,
        ReportedMetric::of(NDCG.at(20)),
        ReportedMetric::of(NDCG.at(50)),
        ReportedMetric::of(RECIPROCAL_RANK),
    ];
    accuracy.into_iter().chain(reported::of_lists()).collect()
}

/// The shortest history that is evaluated.
pub(super) const LEAST: usize = 3;

pub(super) fn split(data: &Dataset) -> Split {
    let mut out = Split { protocol: Protocol::P3, fold: None, train: vec![], valid: vec![], refit: None, test: vec![] };
    for user in 0..data.users.len() {
        let history = data.history(user);
        // If the user had the target before, it stays a candidate.
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
