//! Splits of the events: who is asked what, and what was known.

use anyhow::{Result, bail};

use crate::data::{Dataset, Event};

/// A fixed way to split the events and to ask. See the functions of [`Split`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Every event; a part of the users is held back for early stopping. What one ships.
    All,
}

/// The events of one user that may be learnt from, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// Index into [`Dataset::users`].
    pub user: u32,
    /// Oldest first.
    pub events: Vec<Event>,
}

/// One ranking task: what is known of a visitor, and what is to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Index into [`Dataset::users`].
    pub user: u32,
    /// What is known, oldest first.
    pub history: Vec<Event>,
    /// Items to find, in order of time.
    pub targets: Vec<u32>,
    /// Items that are no candidates.
    pub removed: Vec<u32>,
}

/// A data set split by a protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The protocol.
    pub protocol: Protocol,
    /// Fold of P4, salt of P1.
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
    /// Splits a data set. `fold` is the fold of P4 or the salt of P1, 0 where absent.
    pub fn of(_data: &Dataset, _protocol: Protocol, _fold: Option<u32>) -> Result<Split> {
        bail!("not yet")
    }
}
