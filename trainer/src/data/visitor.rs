//! Converts users and events of a data set to what a page would have.

use foretaste::features::{Encoding, Fields, Value};
use foretaste::profile;

use super::{Dataset, DatasetEvent};

/// The event as a page would have recorded it, with its time in UTC and no offset.
pub fn event_of(data: &Dataset, event: &DatasetEvent) -> profile::Event {
    profile::Event {
        item: data.items[event.item as usize].clone(),
        kind: data.types[event.kind as usize].name.clone(),
        value: event.rating,
        time: event.time.map(|t| t.saturating_mul(1000)),
        ..profile::Event::default()
    }
}

/// The values of a user for the columns that the encoding reads as context; missing ones are left out.
pub fn context_of(data: &Dataset, user: usize, encoding: &Encoding) -> Fields {
    let columns = data.user_table.columns.iter().filter(|c| encoding.context.iter().any(|e| e.name == c.name));
    columns.map(|c| (c.name.clone(), c.values[user].clone())).filter(|(_, v)| *v != Value::Missing).collect()
}

/// The values that an event had for the columns that the encoding reads as context, as a page passes them with a
/// request; missing ones are left out. The event is `data.events[place]`.
pub fn context_at(data: &Dataset, place: usize, encoding: &Encoding) -> Fields {
    let columns = data.context_table.columns.iter().filter(|c| encoding.context.iter().any(|e| e.name == c.name));
    columns.map(|c| (c.name.clone(), c.values[place].clone())).filter(|(_, v)| *v != Value::Missing).collect()
}
