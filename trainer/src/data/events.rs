//! Events in a row, shared and never copied: all of them, a history, or its beginning.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::{Event, LongVec};

/// Some of the events that lie one after another.
#[derive(Clone)]
pub struct Events {
    all: Arc<LongVec<Event>>,
    range: Range<usize>,
}

impl Events {
    /// A part of them.
    ///
    /// # Panics
    /// A part that reaches beyond.
    pub fn part(&self, range: Range<usize>) -> Events {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} of {} events", self.len());
        Events { all: self.all.clone(), range: self.range.start + range.start..self.range.start + range.end }
    }

    /// Changes a copy of them and takes its place.
    #[cfg(test)]
    pub fn change(&mut self, change: impl FnOnce(&mut [Event])) {
        let mut events = self.to_vec();
        change(&mut events);
        *self = events.into();
    }

    /// Bytes that a row which is made of them may hold in memory.
    pub fn most(&self) -> usize {
        self.all.most()
    }
}

impl From<LongVec<Event>> for Events {
    fn from(all: LongVec<Event>) -> Self {
        Events { range: 0..all.len(), all: all.into() }
    }
}

impl From<Vec<Event>> for Events {
    fn from(events: Vec<Event>) -> Self {
        LongVec::from(events).into()
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        Vec::from_iter(events).into()
    }
}

impl Deref for Events {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        &self.all[self.range.clone()]
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Events {
    fn eq(&self, other: &Events) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        (**self).fmt(f)
    }
}
