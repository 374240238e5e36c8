//! A shared range of events: all of a data set, a history, or its beginning. Cloning it copies no events.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::{DatasetEvent, LongVec};

/// A range of consecutive events.
#[derive(Clone)]
pub struct Events {
    all: Arc<LongVec<DatasetEvent>>,
    range: Range<usize>,
}

impl Events {
    /// A part of the range.
    ///
    /// # Panics
    /// If the part reaches beyond the range.
    pub fn part(&self, range: Range<usize>) -> Events {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} of {} events", self.len());
        Events { all: self.all.clone(), range: self.range.start + range.start..self.range.start + range.end }
    }

    /// Replaces the events by a changed copy.
    #[cfg(test)]
    pub fn change(&mut self, change: impl FnOnce(&mut [DatasetEvent])) {
        let mut events = self.to_vec();
        change(&mut events);
        *self = events.into();
    }

    /// Most bytes that a [`LongVec`] made from these events should hold in memory.
    pub fn most(&self) -> usize {
        self.all.most()
    }
}

impl From<LongVec<DatasetEvent>> for Events {
    fn from(all: LongVec<DatasetEvent>) -> Self {
        Events { range: 0..all.len(), all: all.into() }
    }
}

impl From<Vec<DatasetEvent>> for Events {
    fn from(events: Vec<DatasetEvent>) -> Self {
        LongVec::from(events).into()
    }
}

impl FromIterator<DatasetEvent> for Events {
    fn from_iter<I: IntoIterator<Item = DatasetEvent>>(events: I) -> Self {
        Vec::from_iter(events).into()
    }
}

impl Deref for Events {
    type Target = [DatasetEvent];

    fn deref(&self) -> &[DatasetEvent] {
        &self.all[self.range.clone()]
    }
}

impl<'a> IntoIterator for &'a Events {
    type Item = &'a DatasetEvent;
    type IntoIter = std::slice::Iter<'a, DatasetEvent>;

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
