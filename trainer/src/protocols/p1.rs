//! P1 and P2: retrieval and the prediction of ratings on a random split of the events, as in the TensorFlow Recommenders tutorials.

use anyhow::{Result, ensure};

use super::{Protocol, Query, Sequence, Split, distinct, hash};
use crate::data::{Dataset, Event, Events};

/// Part of the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Train,
    Valid,
    Test,
}

/// The part of an event: `H("p1/{salt}:{user},{item}") mod 100` below 20 is test, below 28 validation.
pub(super) fn part(data: &Dataset, event: &Event, salt: u32) -> Part {
    let text = format!("p1/{salt}:{},{}", data.users[event.user as usize], data.items[event.item as usize]);
    match hash(&text) % 100 {
        0..20 => Part::Test,
        20..28 => Part::Valid,
        _ => Part::Train,
    }
}

/// Splits for [`Protocol::P1`] or [`Protocol::P2`], which asks for the events that have a rating.
pub(super) fn split(data: &Dataset, protocol: Protocol, salt: u32) -> Result<Split> {
    let rates = protocol == Protocol::P2;
    ensure!(!rates || data.events.iter().any(|e| e.rating.is_some()), "{}: p2 predicts ratings, and no event has one", data.name);
    let mut out = Split { protocol, fold: Some(salt), train: vec![], valid: vec![], refit: Some(vec![]), test: vec![] };
    for user in 0..data.users.len() {
        let of = |parts: &[Part]| -> Vec<Event> {
            data.history(user).iter().filter(|e| parts.contains(&part(data, e, salt))).copied().collect()
        };
        let user = user as u32;
        let query = |history: Events, asked: Vec<Event>| {
            let removed = distinct(&history);
            let asked: Vec<Event> = asked.into_iter().filter(|e| !rates || e.rating.is_some()).collect();
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
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::dataset;
    use super::*;

    #[test]
    fn every_event_is_in_the_part_of_its_hash() {
        let items: Vec<u32> = (0..300).collect();
        let data = dataset(&[&items, &items[..200]]);
        let s = split(&data, Protocol::P1, 3).unwrap();
        let rated = split(&data, Protocol::P2, 3).unwrap();
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
        assert_ne!(s.test, split(&data, Protocol::P1, 4).unwrap().test);
    }
}
