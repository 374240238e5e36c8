//! Evaluation protocols, one a file: how the events are split, what each query asks for, and which metrics are
//! reported.

mod all;
mod cold;
mod hash;
mod p1;
mod p2;
mod p3;
mod p4;
mod p5;
mod reported;
mod write;

pub use hash::hash;
pub(crate) use p4::query;
pub use reported::{LIST_LEN, ReportedMetric, SplitBy, Targets};
pub use write::write_split;

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use crate::data::{Dataset, DatasetEvent, Events};
use crate::metrics::Metric;

/// A fixed way to split the events, to ask for the held-out ones, and to measure the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
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

    /// The metrics that are reported, in no particular order.
    pub fn metrics(self) -> Vec<ReportedMetric> {
        match self {
            Protocol::P1 => p1::metrics(),
            Protocol::P2 => p2::metrics(),
            Protocol::P3 => p3::metrics(),
            Protocol::P4 | Protocol::All => p4::metrics(),
            Protocol::P5 => p5::metrics(),
            Protocol::Cold => cold::metrics(),
        }
    }

    /// The metric by which settings are chosen on the validation part.
    pub fn goal(self) -> ReportedMetric {
        match self {
            Protocol::P1 => p1::GOAL,
            Protocol::P2 => p2::GOAL,
            Protocol::P3 => p3::GOAL,
            Protocol::P4 | Protocol::All => p4::GOAL,
            Protocol::P5 => p5::GOAL,
            Protocol::Cold => cold::GOAL,
        }
    }

    /// The metric that reports of this protocol call `name`; `None` if there is none.
    pub fn metric(self, name: &str) -> Option<Metric> {
        self.metrics().iter().find(|reported| reported.is_called(name)).map(|reported| reported.metric)
    }

    /// Whether a target that is no candidate is a miss (P5). The other protocols rank every target, even an item that
    /// the user had before (P1).
    pub fn misses_non_candidates(self) -> bool {
        self == Protocol::P5
    }
}

/// The events of one user that a model is fitted on.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// Index into [`Dataset::users`].
    pub user: u32,
    /// The events, oldest first.
    pub events: Events,
}

impl Sequence {
    /// The place in `data.events` of each event. The history of the user has all of them, in this order.
    pub fn places(&self, data: &Dataset) -> Vec<usize> {
        let mut at = data.offsets[self.user as usize];
        let place = |event: &DatasetEvent| {
            while (data.events[at].item, data.events[at].time) != (event.item, event.time) {
                at += 1;
            }
            at += 1;
            at - 1
        };
        self.events.iter().map(place).collect()
    }
}

/// One task: from the known history of a user, find the targets (or predict their ratings).
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Index into [`Dataset::users`].
    pub user: u32,
    /// The known events, oldest first.
    pub history: Events,
    /// Items to find, in order of time.
    pub targets: Vec<u32>,
    /// Ratings of the targets (P2); empty in the other protocols.
    pub ratings: Vec<f64>,
    /// Items that are not candidates, ascending.
    pub removed: Vec<u32>,
    /// Whether each item is a candidate, unless it is removed: `[items]`; `None`: all items that occur in the events.
    pub candidates: Option<Arc<Vec<bool>>>,
    /// Whether the trainer knows no event of the user; told only by P5.
    pub is_new: bool,
}

impl Query {
    /// A query whose candidates are all items of the events but the `removed` ones (ascending).
    pub fn new(user: u32, history: impl Into<Events>, targets: Vec<u32>, removed: Vec<u32>) -> Query {
        Query { user, history: history.into(), targets, ratings: vec![], removed, candidates: None, is_new: false }
    }

    /// Whether each item is a candidate, unless it is removed: `[items]`.
    pub fn universe<'a>(&'a self, in_events: &'a [bool]) -> &'a [bool] {
        self.candidates.as_ref().map_or(in_events, |candidates| candidates)
    }

    /// Whether an item can be in the list.
    pub fn is_candidate(&self, item: u32, in_events: &[bool]) -> bool {
        self.universe(in_events)[item as usize] && self.removed.binary_search(&item).is_err()
    }
}

/// A fitted recommender of any kind that ranks.
pub trait Model {
    /// Scores of all items for a query: `[items]`, higher is better.
    fn scores(&self, query: &Query) -> Vec<f32>;
}

/// A data set split by a protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The protocol.
    pub protocol: Protocol,
    /// Fold of P4, salt of P1 and P2.
    pub fold: Option<u32>,
    /// The events to fit on while settings and numbers of epochs are chosen.
    pub train: Vec<Sequence>,
    /// The queries by which they are chosen.
    pub valid: Vec<Query>,
    /// Train and validation together, for the final fit; `None` if the protocol does not fit again (P3).
    pub refit: Option<Vec<Sequence>>,
    /// The queries whose figures are reported; empty for [`Protocol::All`].
    pub test: Vec<Query>,
}

impl Split {
    /// Splits a data set. `fold` is the fold of P4 and of the cold items (0 to 9) or the salt of P1 and P2; absent: 0.
    ///
    /// # Errors
    /// A fold that the protocol does not have; P2 without ratings; P5 without times.
    pub fn of(data: &Dataset, protocol: Protocol, fold: Option<u32>) -> Result<Split> {
        match (protocol, fold) {
            (Protocol::P1, salt) => Ok(p1::split(data, protocol, salt.unwrap_or(0))),
            (Protocol::P2, salt) => p2::split(data, salt.unwrap_or(0)),
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

    /// The queries whose figures are reported.
    ///
    /// # Errors
    /// There are none.
    pub fn asked(&self) -> Result<&[Query]> {
        let fold = self.fold.map(|fold| format!(" fold {fold}")).unwrap_or_default();
        let why = match self.protocol {
            Protocol::All => "it learns from every event; p1 to p5 and cold hold some back",
            _ => "no user has enough events to hold some back",
        };
        ensure!(!self.test.is_empty(), "{}{fold} asks nobody: {why}", self.protocol.name());
        Ok(&self.test)
    }

    /// The events that the reported model is fitted on.
    pub fn fitted(&self) -> &[Sequence] {
        self.refit.as_ref().unwrap_or(&self.train)
    }
}

/// The distinct items of some events, ascending.
pub(crate) fn distinct(events: &[DatasetEvent]) -> Vec<u32> {
    let mut items: Vec<u32> = events.iter().map(|e| e.item).collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// Whole histories of the users that `pick` accepts; users without events are left out.
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

    /// A data set with users `0`, `1`, …, whose events have the given items at times 0, 1, … and rating 4.
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
            views: vec![],
            inputs: vec![],
            ttl: Default::default(),
            utility: None,
            types: vec![],
            events: vec![].into(),
            offsets: vec![0],
        };
        let mut events = Vec::new();
        for (user, history) in histories.iter().enumerate() {
            let event = |(t, item): (usize, &u32)| DatasetEvent {
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
    fn a_protocol_that_asks_nobody_says_so() {
        let asked = |histories: &[&[u32]], protocol| {
            let split = Split::of(&dataset(histories), protocol, None).unwrap();
            split.asked().map(<[Query]>::len).map_err(|error| error.to_string())
        };
        assert_eq!(asked(&[&[0, 1, 2, 3]], Protocol::P3), Ok(1));
        assert!(asked(&[&[0], &[1]], Protocol::P3).unwrap_err().contains("p3 asks nobody"));
        assert!(asked(&[&[0, 1, 2, 3]], Protocol::All).unwrap_err().contains("every event"));
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
