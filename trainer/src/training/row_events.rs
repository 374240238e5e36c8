//! Converts events of a data set into the row events that the encoder reads. An item's number in the data set is its
//! row in the bundle, so no id is looked up.

use foretaste::features::{History, RowEvent};

use crate::data::{Dataset, DatasetEvent};

/// Converts events of one data set for one encoding.
pub struct RowEvents {
    /// Position in the encoding of each type of the data set. `None` if the encoding does not declare the type: the
    /// encoding of an earlier training may have other types.
    types: Vec<Option<u16>>,
}

impl RowEvents {
    /// Looks up the types of the data set by name, once.
    pub fn new(data: &Dataset, history: &History) -> Self {
        RowEvents { types: data.types.iter().map(|t| history.type_place(&t.name)).collect() }
    }

    /// Converts events and keeps their order. Times change from seconds to milliseconds.
    pub fn of(&self, events: &[DatasetEvent]) -> Vec<RowEvent> {
        let event = |e: &DatasetEvent| RowEvent {
            row: Some(e.item),
            kind: self.types[e.kind as usize],
            value: e.rating,
            time: e.time.map(|t| t.saturating_mul(1000)),
        };
        events.iter().map(event).collect()
    }
}
