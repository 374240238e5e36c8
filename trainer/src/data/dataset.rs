//! The data in memory: ids as row numbers, events in the order of histories.

use foretaste::features::{EventType, Value};

use super::Events;

/// One event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// Index into [`Dataset::users`].
    pub user: u32,
    /// Index into [`Dataset::items`].
    pub item: u32,
    /// Index into [`Dataset::types`].
    pub kind: u16,
    /// Rating, finite.
    pub rating: Option<f64>,
    /// Unix seconds.
    pub time: Option<i64>,
    /// What it counts for as a target in training, above 0: 1, or what corrects for how it came to be shown.
    pub weight: f32,
}

/// A table of raw values beside the ids: `columns[c].values[row]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Columns by name.
    pub columns: Vec<Column>,
}

/// One column of a [`Table`].
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// `category`, `set`, `number`, `text` or `vector`: declared, else chosen from the values.
    pub kind: &'static str,
    /// One value a row, in the order of the ids.
    pub values: Vec<Value>,
}

/// A data folder, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Name of `data.toml`, else the folder's.
    pub name: String,
    /// Licence of `data.toml`.
    pub licence: Option<String>,
    /// SHA-256 over the content, whatever the files' form: lower-case hexadecimal.
    pub sha256: String,
    /// User ids, ascending in the order of the protocols.
    pub users: Vec<String>,
    /// Item ids, ascending: those of the events and those of the items table.
    pub items: Vec<String>,
    /// Whether the item occurs in the events: the universe of the protocols.
    pub in_events: Vec<bool>,
    /// Titles by item, where the items table has them.
    pub titles: Vec<Option<String>>,
    /// Columns of the items table, `title` included (kind text).
    pub item_table: Table,
    /// Columns of the users table.
    pub user_table: Table,
    /// Columns of `events` declared as `[context.COLUMN]`: one value an event, in the order of `events`.
    pub context_table: Table,
    /// Types of event by name, and their meaning: those that occur, those declared, and `like` and `hide`, which a page may record.
    pub types: Vec<EventType>,
    /// All events, by user, then time, then item; without times by user, then file order.
    pub events: Events,
    /// `events[offsets[u]..offsets[u + 1]]` is the history of user u.
    pub offsets: Vec<usize>,
}

impl Dataset {
    /// The history of a user, oldest first.
    pub fn history(&self, user: usize) -> &[Event] {
        &self.events[self.offsets[user]..self.offsets[user + 1]]
    }

    /// The first `n` events of a user, oldest first.
    pub fn first(&self, user: usize, n: usize) -> Events {
        self.events.part(self.offsets[user]..self.offsets[user] + n)
    }

    /// Whether the events have times.
    pub fn has_times(&self) -> bool {
        self.events.first().is_some_and(|e| e.time.is_some())
    }

    /// Whether any event has a rating.
    pub fn has_ratings(&self) -> bool {
        self.events.iter().any(|e| e.rating.is_some())
    }
}
