//! P1: retrieval on a random split of the events, as in the TensorFlow Recommenders tutorials.

use super::{Protocol, Query, Sequence, Split, hash, items};
use crate::data::{Dataset, Event};

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

pub(super) fn split(data: &Dataset, salt: u32) -> Split {
    let mut out =
        Split { protocol: Protocol::P1, fold: Some(salt), train: vec![], valid: vec![], refit: Some(vec![]), test: vec![] };
    for user in 0..data.users.len() {
        let of = |parts: &[Part]| -> Vec<Event> {
            data.history(user).iter().filter(|e| parts.contains(&part(data, e, salt))).copied().collect()
        };
        let user = user as u32;
        let query = |history: Vec<Event>, asked: Vec<Event>| Query {
            user,
            targets: asked.iter().map(|e| e.item).collect(),
            removed: items(&history),
            history,
        };
        let (train, both) = (of(&[Part::Train]), of(&[Part::Train, Part::Valid]));
        out.valid.push(query(train.clone(), of(&[Part::Valid])));
        out.test.push(query(both.clone(), of(&[Part::Test])));
        out.train.push(Sequence { user, events: train });
        out.refit.as_mut().expect("made above").push(Sequence { user, events: both });
    }
    out.valid.retain(|q| !q.targets.is_empty());
    out.test.retain(|q| !q.targets.is_empty());
    out
}
