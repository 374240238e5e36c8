//! P5: the frozen bundle. The trainer knows every event before a moment; every event from then on is a target, asked
//! for with all that the device has recorded until then.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::{Protocol, Query, ReportedMetric, Sequence, Split, SplitBy, distinct, reported};
use crate::data::{Dataset, DatasetEvent};
use crate::metrics::{HIT_RATE, NDCG, UNKNOWN_TARGETS};

/// Most validation queries; of more, every n-th is taken.
const MOST_VALID: usize = 5_000;

/// The metric by which settings are chosen.
pub(super) const GOAL: ReportedMetric = ReportedMetric::of(NDCG.at(10)).split_by(SplitBy::NewUser);

/// The metrics that are reported.
pub(super) fn metrics() -> Vec<ReportedMetric> {
    let accuracy = [ReportedMetric::of(HIT_RATE.at(10)).split_by(SplitBy::NewUser), GOAL, ReportedMetric::of(UNKNOWN_TARGETS)];
    accuracy.into_iter().chain(reported::of_lists()).collect()
}

/// Splits the events at the moment T of the protocol.
///
/// # Errors
/// Events without times.
pub(super) fn split(data: &Dataset) -> Result<Split> {
    let mut times: Vec<i64> = data.events.iter().filter_map(|e| e.time).collect();
    ensure!(times.len() == data.events.len() && !times.is_empty(), "p5 cuts at a moment: it needs events with times");
    times.sort_unstable();
    let test = cut(&times);
    let known = times.partition_point(|time| *time < test);
    // If all events have the same time, none is before it.
    let valid = if known > 0 { cut(&times[..known]) } else { test };
    let mut asked = asked(data, valid, test);
    // A target that no list can hold says nothing about a setting.
    asked.retain(|query| query.is_candidate(query.targets[0], &data.in_events));
    let step = asked.len() / MOST_VALID + 1;
    Ok(Split {
        protocol: Protocol::P5,
        fold: None,
        train: before(data, valid),
        valid: asked.into_iter().step_by(step).collect(),
        refit: Some(before(data, test)),
        test: self::asked(data, test, i64::MAX),
    })
}

/// The time of event number ⌊0.9 N⌋; `times` are ascending.
fn cut(times: &[i64]) -> i64 {
    times[9 * times.len() / 10]
}

/// How many events of a history are before a moment.
fn count(history: &[DatasetEvent], moment: i64) -> usize {
    history.partition_point(|e| e.time.is_some_and(|time| time < moment))
}

/// The events of each user before a moment.
fn before(data: &Dataset, moment: i64) -> Vec<Sequence> {
    let of = |user: usize| Sequence { user: user as u32, events: data.first(user, count(data.history(user), moment)) };
    (0..data.users.len()).map(of).filter(|s| !s.events.is_empty()).collect()
}

/// One query for each event from `from` up to, but not including, `to`; the candidates are the items with an event
/// before `from`.
fn asked(data: &Dataset, from: i64, to: i64) -> Vec<Query> {
    let mut candidates = vec![false; data.items.len()];
    data.events.iter().filter(|e| e.time.is_some_and(|time| time < from)).for_each(|e| candidates[e.item as usize] = true);
    let candidates = Arc::new(candidates);
    let mut queries = Vec::new();
    for user in 0..data.users.len() {
        let history = data.history(user);
        let (known, end) = (count(history, from), count(history, to));
        for place in known..end {
            queries.push(Query {
                ratings: vec![],
                user: user as u32,
                history: data.first(user, place),
                targets: vec![history[place].item],
                removed: distinct(&history[..place]),
                candidates: Some(candidates.clone()),
                is_new: known == 0,
            });
        }
    }
    queries
}

#[cfg(test)]
mod tests {
    use super::super::tests::dataset;
    use super::*;

    /// Three users; the last one has no event before the moment.
    fn data() -> Dataset {
        let mut data = dataset(&[&[0, 1, 2, 3, 0, 1, 2, 3, 4], &[0, 1, 2, 3, 0, 1, 2, 3, 4], &[5, 1]]);
        let times = [0, 1, 2, 3, 4, 5, 6, 7, 18, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19];
        data.events.change(|events| events.iter_mut().zip(times).for_each(|(event, time)| event.time = Some(time)));
        data
    }

    #[test]
    fn every_event_from_the_moment_on_is_asked_for() {
        let data = data();
        let split = split(&data).unwrap();
        // Times in order: 0 to 16, 18, 18, 19: number 18 is 18, and both events of that second are test. Of the 17
        // before them number 15 is 15.
        let asked = |queries: &[Query]| -> Vec<(u32, usize, u32, bool)> {
            queries.iter().map(|q| (q.user, q.history.len(), q.targets[0], q.is_new)).collect()
        };
        assert_eq!(asked(&split.test), [(0, 8, 4, false), (2, 0, 5, true), (2, 1, 1, true)]);
        assert_eq!(split.refit.as_ref().unwrap().iter().map(|s| (s.user, s.events.len())).collect::<Vec<_>>(), [(0, 8), (1, 9)]);
        assert_eq!(split.train.iter().map(|s| (s.user, s.events.len())).collect::<Vec<_>>(), [(0, 8), (1, 7)]);
        // No list can hold the items of events 15 and 16: user 1 already had the first, and nobody had the second
        // before.
        assert_eq!(asked(&split.valid), []);
        assert_eq!(split.test[2].history[0].item, 5, "the device goes on while the bundle is frozen");
        let can = |query: usize, item| split.test[query].is_candidate(item, &data.in_events);
        assert!(can(0, 4) && can(2, 1), "an event before the moment");
        assert!(!can(1, 5), "none before the moment");
        assert!(!can(0, 1) && !can(2, 5), "in the query");
    }

    #[test]
    fn events_without_times_are_refused() {
        let mut data = data();
        data.events.change(|events| events[3].time = None);
        assert!(split(&data).is_err());
        let one = split(&dataset(&[&[0], &[1]])).unwrap();
        assert_eq!((one.test.len(), one.train.len()), (2, 0), "one moment alone");
    }
}
