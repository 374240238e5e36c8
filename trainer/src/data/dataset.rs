//! A data set in memory: ids as row numbers, events in the order of histories.

use std::collections::BTreeMap;

use foretaste::features::{ColumnEncoding, EventType, Value, View};

use super::{Events, Formula};

/// One event of a data set, its ids as numbers. The event that a page records is `foretaste::profile::Event`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DatasetEvent {
    /// Index into [`Dataset::users`].
    pub user: u32,
    /// Index into [`Dataset::items`].
    pub item: u32,
    /// Index into [`Dataset::types`].
    pub kind: u16,
    /// Rating, a finite number; `None` if the event has none.
    pub rating: Option<f64>,
    /// Time in Unix seconds; `None` if the data has no times.
    pub time: Option<i64>,
    /// Weight as a training target, above 0: 1, or a correction for how likely the item was to be shown.
    pub weight: f32,
}

/// Raw values by column and row: `columns[c].values[row]`; the ids stand elsewhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The columns, sorted by name.
    pub columns: Vec<Column>,
}

/// One column of a [`Table`].
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// `category`, `set`, `number`, `text` or `vector`: declared, or inferred from the values.
    pub kind: &'static str,
    /// One value for each row, in the order of the ids.
    pub values: Vec<Value>,
}

/// A data folder, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The name given in `data.toml`, else that of the folder.
    pub name: String,
    /// The licence given in `data.toml`.
    pub licence: Option<String>,
    /// SHA-256 of the content, the same for every file format; lower-case hexadecimal.
    pub sha256: String,
    /// User ids, ascending: as numbers if all are whole numbers, else by bytes.
    pub users: Vec<String>,
    /// Item ids of the events and the items table, ascending in the same way.
    pub items: Vec<String>,
    /// Whether each item occurs in the events; these items are the candidates of the protocols.
    pub in_events: Vec<bool>,
    /// Title of each item, if the items table has it.
    pub titles: Vec<Option<String>>,
    /// Columns of the items table, including `title` (kind text).
    pub item_table: Table,
    /// Columns of the users table.
    pub user_table: Table,
    /// Columns of the events file that are declared as `[context.COLUMN]`: one value for each event, in the order of
    /// `events`.
    pub context_table: Table,
    /// Types of event and their meaning, sorted by name: those that occur, those that are declared, and `like` and
    /// `hide`, which a page may record.
    pub types: Vec<EventType>,
    /// Features that `data.toml` declares; empty: none, and default ones take their place.
    pub views: Vec<View>,
    /// How long rows of the tables of an offline store hold, in milliseconds, by whose events they are counted from.
    pub ttl: BTreeMap<String, i64>,
    /// Times on a circle and crosses that `data.toml` declares for a ranker.
    pub inputs: Vec<ColumnEncoding>,
    /// The utility that `data.toml` declares: see [`Formula`].
    pub utility: Option<Formula>,
    /// All events, by user, then time, then item; without times by user, then file order.
    pub events: Events,
    /// The history of user u is `events[offsets[u]..offsets[u + 1]]`.
    pub offsets: Vec<usize>,
}

impl Dataset {
    /// The history of a user, oldest first.
    pub fn history(&self, user: usize) -> &[DatasetEvent] {
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

    /// The places in `events` of a visitor's events with an item, without the first ones, which are in `known`.
    pub fn later(&self, user: u32, item: u32, known: &[DatasetEvent]) -> Vec<usize> {
        let user = user as usize;
        let own = self.offsets[user]..self.offsets[user + 1];
        let count = known.iter().filter(|event| event.item == item).count();
        own.filter(|place| self.events[*place].item == item).skip(count).collect()
    }

    /// What some events of a visitor with an item are worth by the declared utility, 0 or more; 0 if none is declared.
    /// `places` are those in `events`.
    pub fn worth(&self, places: &[usize]) -> f64 {
        self.utility.as_ref().and_then(|formula| formula.of_events(self, places)).unwrap_or(0.0).max(0.0)
    }
}
