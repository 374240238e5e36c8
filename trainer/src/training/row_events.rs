//! Events of a data set as the encoder reads them. Items of a data set are numbered as the rows of its bundle are, so no id is looked up.

use foretaste::features::{History, RowEvent};

use crate::data::{Dataset, Event};

/// The place of each type of the data set in the encoding: an encoding of an earlier training may declare other types.
pub struct RowEvents {
    types: Vec<Option<u16>>,
}

impl RowEvents {
    /// Looks the types up by name, once.
    pub fn new(data: &Dataset, history: &History) -> Self {
        RowEvents { types: data.types.iter().map(|t| history.type_place(&t.name)).collect() }
    }

    /// Events in the same order.
    pub fn of(&self, events: &[Event]) -> Vec<RowEvent> {
        let event = |e: &Event| RowEvent {
            row: Some(e.item),
            kind: self.types[e.kind as usize],
            value: e.rating,
            time: e.time.map(|t| t.saturating_mul(1000)),
        };
        events.iter().map(event).collect()
    }
}
