//! Splits of the events: who is asked what, and what was known. A protocol a file.

mod all;
mod cold;
mod hash;
mod p1;
mod p3;
mod p4;
mod p5;
mod write;

pub use hash::hash;
pub(crate) use p4::query;
pub use write::write_split;

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use crate::data::{Dataset, Event, Events};

/// A fixed way to split the events and to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// Retrieval on a random split.
    P1,
    /// Rating prediction on the split of P1.
    P2,
    /// Leave one out.
    P3,
    /// Strong generalisation: users never seen in training.
    P4,
    /// The frozen bundle.
    P5,
    /// Items that nobody had in training, asked for by visitors as in P4.
    Cold,
    /// Every event; a part of the users is held back for early stopping. What one ships.
    All,
}

impl Protocol {
    /// Name on the command line and in bundles.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::P1 => "p1",
            Protocol::P2 => "p2",
            Protocol::P3 => "p3",
            Protocol::P4 => "p4",
            Protocol::P5 => "p5",
            Protocol::Cold => "cold",
            Protocol::All => "all",
        }
    }
}

/// The events of one user that may be learnt from, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// Index into [`Dataset::users`].
    pub user: u32,
    /// Oldest first.
    pub events: Events,
}

/// One ranking task: what is known of a visitor, and what is to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Index into [`Dataset::users`].
    pub user: u32,
    /// What is known, oldest first.
    pub history: Events,
    /// Items to find, in order of time.
    pub targets: Vec<u32>,
    /// Ratings of the targets (P2), else none.
    pub ratings: Vec<f64>,
    /// Items that are no candidates.
    pub removed: Vec<u32>,
    /// Items that are candidates if they are not removed, `[items]`; absent: all that occur in the events.
    pub candidates: Option<Arc<Vec<bool>>>,
    /// Whether the trainer knows no event of the user (P5).
    pub is_new: bool,
}

impl Query {
    /// A query whose candidates are all items of the events.
    pub fn new(user: u32, history: impl Into<Events>, targets: Vec<u32>, removed: Vec<u32>) -> Query {
        Query { user, history: history.into(), targets, ratings: vec![], removed, candidates: None, is_new: false }
    }

    /// Items that are candidates if they are not removed.
    pub fn universe<'a>(&'a self, in_events: &'a [bool]) -> &'a [bool] {
        self.candidates.as_ref().map_or(in_events, |candidates| candidates)
    }

    /// Whether an item can be in the list.
    pub fn is_candidate(&self, item: u32, in_events: &[bool]) -> bool {
        self.universe(in_events)[item as usize] && self.removed.binary_search(&item).is_err()
    }
}

/// A fitted recommender of whatever kind, as far as a protocol asks it.
pub trait Model {
    /// Scores of all items for a query: `[items]`, more is better.
    fn scores(&self, query: &Query) -> Vec<f32>;
}

/// A data set split by a protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The protocol.
    pub protocol: Protocol,
    /// Fold of P4, salt of P1 and P2.
    pub fold: Option<u32>,
    /// What is learnt from while settings and numbers of epochs are chosen.
    pub train: Vec<Sequence>,
    /// What they are chosen by.
    pub valid: Vec<Query>,
    /// Train and validation, for the final fit; absent where the protocol never fits again (P3).
    pub refit: Option<Vec<Sequence>>,
    /// What is reported; empty for [`Protocol::All`].
    pub test: Vec<Query>,
}

impl Split {
    /// Splits a data set. `fold` is the fold of P4 and of the cold items (0 to 9) or the salt of P1 and P2; absent: 0.
    ///
    /// # Errors
    /// A fold that the protocol does not have, events without ratings for P2 or without times for P5.
    pub fn of(data: &Dataset, protocol: Protocol, fold: Option<u32>) -> Result<Split> {
        match (protocol, fold) {
            (Protocol::P1 | Protocol::P2, salt) => p1::split(data, protocol, salt.unwrap_or(0)),
            (Protocol::P4 | Protocol::Cold, fold) => {
                let (fold, name) = (fold.unwrap_or(0), protocol.name());
                ensure!(fold < p4::FOLDS, "{name} has the folds 0 to {}, got {fold}", p4::FOLDS - 1);
                Ok(if protocol == Protocol::P4 { p4::split(data, fold) } else { cold::split(data, fold) })
            }
            (_, Some(fold)) => bail!("the protocol {} has no folds, got {fold}", protocol.name()),
            (Protocol::P3, None) => Ok(p3::split(data)),
            (Protocol::P5, None) => p5::split(data),
            (Protocol::All, None) => Ok(all::split(data)),
        }
    }

    /// The events that the model to be reported may have seen.
    pub fn fitted(&self) -> &[Sequence] {
        self.refit.as_ref().unwrap_or(&self.train)
    }
}

/// The items of some events, each once, ascending.
pub(crate) fn distinct(events: &[Event]) -> Vec<u32> {
    let mut items: Vec<u32> = events.iter().map(|e| e.item).collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// Whole histories of the users that `pick` names.
pub(crate) fn histories(data: &Dataset, pick: impl Fn(usize) -> bool) -> Vec<Sequence> {
    let users = (0..data.users.len()).filter(|user| pick(*user));
    users
        .map(|user| Sequence { user: user as u32, events: data.first(user, data.history(user).len()) })
        .filter(|s| !s.events.is_empty())
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Users `0`, `1`, … with the given items at times 0, 1, ….
    pub(crate) fn dataset(histories: &[&[u32]]) -> Dataset {
        let items = histories.iter().flat_map(|h| h.iter()).max().map_or(0, |i| *i as usize + 1);
        let mut data = Dataset {
            name: "test".into(),
            licence: None,
            sha256: String::new(),
            users: (0..histories.len()).map(|u| u.to_string()).collect(),
            items: (0..items).map(|i| i.to_string()).collect(),
            in_events: vec![true; items],
            titles: vec![None; items],
            item_table: Default::default(),
            user_table: Default::default(),
            context_table: Default::default(),
            types: vec![],
            events: vec![].into(),
            offsets: vec![0],
        };
        let mut events = Vec::new();
        for (user, history) in histories.iter().enumerate() {
            let event = |(t, item): (usize, &u32)| Event {
                user: user as u32,
                item: *item,
                kind: 0,
                rating: Some(4.0),
                time: Some(t as i64),
                weight: 1.0,
            };
            events.extend(history.iter().enumerate().map(event));
            data.offsets.push(events.len());
        }
        data.events = events.into();
        data
    }

    #[test]
    fn folds_and_protocols_that_are_not_there_are_refused() {
        let data = dataset(&[&[0, 1, 2]]);
        for (protocol, fold) in
            [(Protocol::P4, Some(10)), (Protocol::P3, Some(0)), (Protocol::P5, Some(0)), (Protocol::All, Some(1))]
        {
            assert!(Split::of(&data, protocol, fold).is_err());
        }
    }
}
