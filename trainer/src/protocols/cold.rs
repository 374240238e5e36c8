//! Cold items: the events of a tenth of the items are taken out of training, and the model has to find these items for
//! P4's users by their features alone.

use std::sync::Arc;

use super::{Protocol, Query, ReportedMetric, Sequence, Split, hash, p4, reported};
use crate::data::Dataset;
use crate::metrics::{NDCG, RECALL};

/// The metric by which settings are chosen.
pub(super) const GOAL: ReportedMetric = ReportedMetric::of(RECALL.at(20));

/// The metrics that are reported.
pub(super) fn metrics() -> Vec<ReportedMetric> {
    [GOAL, ReportedMetric::of(NDCG.at(100))].into_iter().chain(reported::of_lists()).collect()
}

/// Whether each item is cold: `H("cold/0:{item}") mod 10 = 0`.
fn cold(data: &Dataset) -> Vec<bool> {
    let is_cold = |(id, in_events): (&String, &bool)| *in_events && hash(&format!("cold/0:{id}")).is_multiple_of(10);
    data.items.iter().zip(&data.in_events).map(is_cold).collect()
}

pub(super) fn split(data: &Dataset, fold: u32) -> Split {
    let (cold, p4) = (Arc::new(cold(data)), p4::split(data, fold));
    let warm = |sequence: Sequence| {
        let events: Vec<_> = sequence.events.iter().filter(|e| !cold[e.item as usize]).copied().collect();
        (!events.is_empty()).then(|| Sequence { events: events.into(), ..sequence })
    };
    let warm_ones = |sequences: Vec<Sequence>| sequences.into_iter().filter_map(warm).collect();
    // The test asks for cold items (`is_test`); validation neither asks for them nor has them in its histories.
    let query = |query: Query, is_test: bool| {
        let history: Vec<_> = query.history.iter().filter(|e| !cold[e.item as usize]).copied().collect();
        let targets: Vec<u32> = query.targets.iter().copied().filter(|t| cold[*t as usize] == is_test).collect();
        let removed = if is_test { vec![] } else { query.removed.into_iter().filter(|i| !cold[*i as usize]).collect() };
        let candidates =
            if is_test { cold.clone() } else { Arc::new(data.in_events.iter().zip(&*cold).map(|(e, c)| *e && !*c).collect()) };
        let whole = Query { candidates: Some(candidates), ..Query::new(query.user, history, targets, removed) };
        (!whole.targets.is_empty()).then_some(whole)
    };
    Split {
        protocol: Protocol::Cold,
        fold: p4.fold,
        train: warm_ones(p4.train),
        valid: p4.valid.into_iter().filter_map(|q| query(q, false)).collect(),
        refit: p4.refit.map(warm_ones),
        test: p4.test.into_iter().filter_map(|q| query(q, true)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::dataset;
    use super::*;

    #[test]
    fn cold_items_are_asked_for_and_never_known() {
        let items: Vec<u32> = (0..60).collect();
        let histories: Vec<&[u32]> = vec![&items; 40];
        let data = dataset(&histories);
        let cold = cold(&data);
        let count = cold.iter().filter(|c| **c).count();
        assert!((1..15).contains(&count), "{count}");
        let s = split(&data, 3);
        let is_warm = |s: &Sequence| s.events.iter().all(|e| !cold[e.item as usize]) && s.events.len() == 60 - count;
        assert!(s.train.iter().chain(s.refit.as_ref().unwrap()).all(is_warm));
        for (queries, is_test) in [(&s.test, true), (&s.valid, false)] {
            assert!(!queries.is_empty());
            for q in queries {
                assert!(q.history.iter().all(|e| !cold[e.item as usize]));
                assert!(q.targets.iter().all(|t| cold[*t as usize] == is_test && q.is_candidate(*t, &data.in_events)));
                let candidates = (0..60).filter(|i| q.is_candidate(*i, &data.in_events)).count();
                assert_eq!(candidates, if is_test { count } else { 60 - count - q.history.len() });
            }
        }
    }
}
