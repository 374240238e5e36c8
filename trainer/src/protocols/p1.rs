//! P1: retrieval on a random split of the events, as in the TensorFlow Recommenders tutorials.

use super::{Protocol, Query, ReportedMetric, Sequence, Split, distinct, hash, reported};
use crate::data::{Dataset, DatasetEvent, Events};
use crate::metrics::HIT_RATE;

/// The metric by which settings are chosen.
pub(super) const GOAL: ReportedMetric = rm(10);

/// The metrics that are reported.
pub(super) fn metrics() -> Vec<ReportedMetric> {
    let of_lengths = [1, 5, 10, 50, 100].into_iter().flat_map(|k| [all(k), rm(k)]);
    of_lengths.chain([reported::GRADED]).chain(reported::of_lists()).collect()
}

/// Top-k accuracy of each test event, with every item as a candidate.
const fn all(k: usize) -> ReportedMetric {
    ReportedMetric::of(HIT_RATE.at(k)).of_each_target().keeping_history().named("all")
}

/// Top-k accuracy of each test event, with the items of the user's history removed.
const fn rm(k: usize) -> ReportedMetric {
    ReportedMetric::of(HIT_RATE.at(k)).of_each_target().named("rm")
}

/// The part that an event falls into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Train,
    Valid,
    Test,
}

/// The part of an event: `H("p1/{salt}:{user},{item}") mod 100` below 20 is test, below 28 validation.
pub(super) fn part(data: &Dataset, event: &DatasetEvent, salt: u32) -> Part {
    let text = format!("p1/{salt}:{},{}", data.users[event.user as usize], data.items[event.item as usize]);
    match hash(&text) % 100 {
        0..20 => Part::Test,
        20..28 => Part::Valid,
        _ => Part::Train,
    }
}

/// The split of [`Protocol::P1`], or of [`Protocol::P2`], whose queries ask only for the events that have a rating.
pub(super) fn split(data: &Dataset, protocol: Protocol, salt: u32) -> Split {
    let rates = protocol == Protocol::P2;
    let mut out = Split { protocol, fold: Some(salt), train: vec![], valid: vec![], refit: Some(vec![]), test: vec![] };
    for user in 0..data.users.len() {
        let of = |parts: &[Part]| -> Vec<DatasetEvent> {
            data.history(user).iter().filter(|e| parts.contains(&part(data, e, salt))).copied().collect()
        };
        let user = user as u32;
        let query = |history: Events, asked: Vec<DatasetEvent>| {
            let removed = distinct(&history);
            let asked: Vec<DatasetEvent> = asked.into_iter().filter(|e| !rates || e.rating.is_some()).collect();
            let query = Query::new(user, history, asked.iter().map(|e| e.item).collect(), removed);
            Query { ratings: asked.iter().filter_map(|e| e.rating.filter(|_| rates)).collect(), ..query }
        };
        let (train, both) = (Events::from(of(&[Part::Train])), Events::from(of(&[Part::Train, Part::Valid])));
        out.valid.push(query(train.clone(), of(&[Part::Valid])));
        out.test.push(query(both.clone(), of(&[Part::Test])));
        out.train.push(Sequence { user, events: train });
        out.refit.as_mut().expect("made above").push(Sequence { user, events: both });
    }
    out.valid.retain(|q| !q.targets.is_empty());
    out.test.retain(|q| !q.targets.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::dataset;
    use super::*;

    #[test]
    fn every_event_is_in_the_part_of_its_hash() {
        let items: Vec<u32> = (0..300).collect();
        let data = dataset(&[&items, &items[..200]]);
        let s = split(&data, Protocol::P1, 3);
        let rated = split(&data, Protocol::P2, 3);
        assert_eq!(rated.test[0].targets, s.test[0].targets);
        assert_eq!(rated.test[0].ratings, vec![4.0; s.test[0].targets.len()]);
        for user in 0..2 {
            let by_part =
                |part| data.history(user).iter().filter(|e| super::part(&data, e, 3) == part).map(|e| e.item).collect::<Vec<_>>();
            let [train, valid, test] = [Part::Train, Part::Valid, Part::Test].map(by_part);
            let learnt = |sequences: &[Sequence]| sequences[user].events.iter().map(|e| e.item).collect::<Vec<_>>();
            assert_eq!(learnt(&s.train), train);
            assert_eq!((&s.valid[user].targets, &s.valid[user].removed), (&valid, &train));
            assert_eq!((&s.test[user].targets, &s.test[user].removed), (&test, &learnt(s.refit.as_ref().unwrap())));
            assert_eq!(train.len() + valid.len(), learnt(s.refit.as_ref().unwrap()).len());
            assert!((0.1..0.3).contains(&(test.len() as f64 / data.history(user).len() as f64)));
        }
        assert_ne!(s.test, split(&data, Protocol::P1, 4).test);
    }
}
