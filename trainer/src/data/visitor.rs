//! Users and events of a data set as the page knows them.

use foretaste::features::{Encoding, Fields, Value};
use foretaste::profile;

use super::{Dataset, Event};

/// An event as a page would have recorded it: UTC, no offset.
pub fn event_of(data: &Dataset, event: &Event) -> profile::Event {
    profile::Event {
        item: data.items[event.item as usize].clone(),
        kind: data.types[event.kind as usize].name.clone(),
        value: event.rating,
        time: event.time.map(|t| t.saturating_mul(1000)),
        ..profile::Event::default()
    }
}

/// The columns of a user that the encoding reads as context.
pub fn context_of(data: &Dataset, user: usize, encoding: &Encoding) -> Fields {
    let columns = data.user_table.columns.iter().filter(|c| encoding.context.iter().any(|e| e.name == c.name));
    columns.map(|c| (c.name.clone(), c.values[user].clone())).filter(|(_, v)| *v != Value::Missing).collect()
}
