//! The value of a column of the context at each event of a data set: what views of items may be counted by.

use foretaste::features::{Bag, ColumnEncoding, Value};

use crate::data::{Dataset, DatasetEvent};

/// The slots of one column at events.
pub struct EventSlots<'a> {
    column: &'a ColumnEncoding,
    values: Values<'a>,
}

/// Where the value at an event comes from.
enum Values<'a> {
    /// A column of events.
    Event(&'a [Value]),
    /// A column of users.
    User(&'a [Value]),
    /// The time of the event.
    Time,
}

impl EventSlots<'_> {
    /// The slots of a column as its encoding says. A column of events goes before one of users with the same name.
    pub fn new<'a>(data: &'a Dataset, column: &'a ColumnEncoding) -> EventSlots<'a> {
        let find = |table: &'a crate::data::Table| table.columns.iter().find(|own| own.name == column.name);
        let values = match (find(&data.context_table), find(&data.user_table)) {
            (Some(own), _) => Values::Event(&own.values),
            (None, Some(own)) => Values::User(&own.values),
            (None, None) => Values::Time,
        };
        EventSlots { column, values }
    }

    /// The slot at an event, which is `data.events[place]`; `None` without a value. Times are read as UTC.
    pub fn slot(&self, event: &DatasetEvent, place: usize) -> Option<u32> {
        let mut bag = Bag::new();
        match self.values {
            Values::Event(values) => self.column.encode(&values[place], 0, &mut bag),
            Values::User(values) => self.column.encode(&values[event.user as usize], 0, &mut bag),
            Values::Time => {
                let time = event.time.map(|t| t.saturating_mul(1000));
                self.column.encode(&self.column.derive(time, 0, 0), 0, &mut bag);
            }
        }
        bag.first().map(|(slot, _)| *slot)
    }
}
