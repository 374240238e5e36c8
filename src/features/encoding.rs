//! The encoding: every constant that is needed to turn raw input into numbers.

use serde::{Deserialize, Serialize};

use super::{Bag, ColumnEncoding, Fields, Value};
use crate::error::{ErrorKind, Result, range};

/// The most event types, and the most columns of a table.
pub const MAX_NAMES: usize = 1024;
/// The most events that a tower may read and that a profile may keep.
pub(super) const MAX_HISTORY: usize = 65_536;
/// The largest sum of the widths of a table's columns: rows of its embedding table.
const MAX_WIDTH: usize = 1 << 24;
/// The most slots that one item or one context may give.
const MAX_SLOTS: usize = 65_536;

/// The column that a catalog stores apart from the others.
pub const TITLE: &str = "title";

/// How events, items and context are encoded. It is part of the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// Events of the history.
    pub history: History,
    /// Columns of an item. Each takes the next rows of the embedding table.
    pub items: Vec<ColumnEncoding>,
    /// Columns of a request: derived ones, those of the users table, and declared context. Each takes the next rows of
    /// the embedding table.
    pub context: Vec<ColumnEncoding>,
}

/// How the history is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// L: how many events the tower reads, the last ones.
    pub len: usize,
    /// How many events a profile keeps. No feature counts further.
    pub cap: usize,
    /// Declared event types. Those with `trained` have an embedding of their own; all others share the one at index 0,
    /// "unknown".
    pub types: Vec<EventType>,
    /// Ascending edges of the buckets of values (ratings). The bucket is 1 + the count of edges ≤ value; 0 is missing.
    pub value_edges: Vec<f64>,
    /// Buckets of the gap to the event before: 0 is missing, else 1 + ⌊log2(1 + seconds)⌋. All longer gaps share the
    /// last.
    pub gap_buckets: usize,
    /// How many places in a run of events of the same second are told apart: 0 to this − 1.
    pub run_buckets: usize,
}

/// A type of event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventType {
    /// Name, such as `rate`, `like`, `hide`.
    pub name: String,
    /// The visitor likes the item: the tower reads the event.
    pub positive: bool,
    /// The item is not recommended again.
    pub seen: bool,
    /// The visitor does not want the item. It is never recommended, and the tower does not read earlier events of it.
    pub hide: bool,
    /// Weight as a training target, 0 or more. At 0 the event is no target.
    pub weight: f32,
    /// The type occurs in the training data, so it has an embedding of its own.
    pub trained: bool,
}

impl History {
    /// The declared type of this name.
    pub fn type_of(&self, name: &str) -> Option<&EventType> {
        self.types.iter().find(|t| t.name == name)
    }

    /// Index of the type of this name in [`History::types`].
    pub fn type_place(&self, name: &str) -> Option<u16> {
        self.types.iter().position(|t| t.name == name).map(|place| place as u16)
    }

    /// The declared type at an index of [`History::types`]; `None` for `None`.
    ///
    /// # Panics
    /// If the index is past the end.
    pub fn declared(&self, place: Option<u16>) -> Option<&EventType> {
        place.map(|place| &self.types[usize::from(place)])
    }

    /// Row of the type table for the type at an index of [`History::types`]: 1, 2, … for the trained types, 0 for all
    /// others.
    ///
    /// # Panics
    /// If the index is past the end.
    pub fn type_index(&self, place: Option<u16>) -> usize {
        match place.map(usize::from) {
            Some(place) if self.types[place].trained => self.types[..=place].iter().filter(|t| t.trained).count(),
            _ => 0,
        }
    }

    /// Number of rows of the type table, with "unknown".
    pub fn type_rows(&self) -> usize {
        1 + self.types.iter().filter(|t| t.trained).count()
    }

    /// Number of rows of the value table, with "missing".
    pub fn value_rows(&self) -> usize {
        self.value_edges.len() + 2
    }

    /// Bucket of a value; 0 for a value that is missing or not finite.
    pub fn value_bucket(&self, value: Option<f64>) -> usize {
        value.filter(|v| v.is_finite()).map_or(0, |v| 1 + self.value_edges.partition_point(|edge| *edge <= v))
    }

    /// Bucket of the gap between an event and the one before it, both in milliseconds UTC. A negative gap counts as
    /// none.
    pub fn gap_bucket(&self, before_ms: Option<i64>, time_ms: Option<i64>) -> usize {
        match (before_ms, time_ms) {
            (Some(before), Some(time)) => {
                let seconds = time.saturating_sub(before).max(0) as u64 / 1000;
                (1 + (seconds + 1).ilog2() as usize).min(self.gap_buckets - 1)
            }
            _ => 0,
        }
    }

    fn check(&self) -> Result<()> {
        let part = |key: &str| format!("encoding/history/{key}");
        if self.len == 0 || self.len > MAX_HISTORY {
            return Err(range("1 to 65536 events", self.len).at(part("len")));
        }
        if self.cap < self.len || self.cap > MAX_HISTORY {
            return Err(range("len to 65536 events", self.cap).at(part("cap")));
        }
        if !(2..=64).contains(&self.gap_buckets) {
            return Err(range("2 to 64", self.gap_buckets).at(part("gap_buckets")));
        }
        if !(1..=64).contains(&self.run_buckets) {
            return Err(range("1 to 64", self.run_buckets).at(part("run_buckets")));
        }
        let ascending = self.value_edges.windows(2).all(|w| w[0] < w[1]) && self.value_edges.iter().all(|e| e.is_finite());
        if !ascending || self.value_edges.len() > 1000 {
            return Err(ErrorKind::Malformed("edges must be finite and ascend, at most 1000".into()).at(part("value_edges")));
        }
        if self.types.len() > MAX_NAMES {
            return Err(range("at most 1024 types", self.types.len()).at(part("types")));
        }
        for (i, t) in self.types.iter().enumerate() {
            let twice = self.types[..i].iter().any(|other| other.name == t.name);
            if !(!twice && t.weight.is_finite() && t.weight >= 0.0) {
                return Err(
                    ErrorKind::Malformed(format!("type `{}` twice, or its weight not 0 or more", t.name)).at(part("types"))
                );
            }
        }
        Ok(())
    }
}

impl Encoding {
    /// Number of rows of the embedding table of item columns.
    pub fn item_width(&self) -> usize {
        self.items.iter().map(ColumnEncoding::width).sum()
    }

    /// Number of rows of the embedding table of context columns.
    pub fn context_width(&self) -> usize {
        self.context.iter().map(ColumnEncoding::width).sum()
    }

    /// The most entries of the bag of an item, at least 1: the item tower reads bags that are padded to this length.
    pub fn item_slots(&self) -> usize {
        self.items.iter().map(ColumnEncoding::max_slots).sum::<usize>().max(1)
    }

    /// The most entries of the bag of a request, at least 1: the user tower reads bags that are padded to this length.
    pub fn context_slots(&self) -> usize {
        self.context.iter().map(ColumnEncoding::max_slots).sum::<usize>().max(1)
    }

    /// The bag of an item's columns. A column that is missing from `fields` gives nothing.
    ///
    /// # Errors
    /// `unknown-key` for a name that is not a column.
    pub fn encode_item(&self, fields: &Fields) -> Result<Bag> {
        encode(&self.items, fields, "item")
    }

    /// The bag of a catalog row. `value` gives its raw value in a column, `None` if the catalog has no such column; the
    /// column [`TITLE`] is then read from `title`.
    pub fn encode_row<'a>(&self, title: Option<&str>, value: impl Fn(&str) -> Option<&'a Value>) -> Bag {
        let (mut bag, mut offset) = (Bag::new(), 0);
        for column in &self.items {
            match (value(&column.name), title) {
                (Some(value), _) => column.encode(value, offset, &mut bag),
                (None, Some(title)) if column.name == TITLE => column.encode(&Value::Text(title.into()), offset, &mut bag),
                _ => {}
            }
            offset += column.width() as u32;
        }
        bag
    }

    /// The bag of a request.
    ///
    /// `fields` are values by column name; a value for a derived column such as `hour` takes the place of the derived
    /// one. `utc_ms` is the time of the request, `tz_offset_min` the minutes to local time, `events` the number of
    /// events that [`History::kept`] gives.
    ///
    /// # Errors
    /// `unknown-key` for a name that is not a column.
    pub fn encode_context(&self, fields: &Fields, utc_ms: Option<i64>, tz_offset_min: i32, events: usize) -> Result<Bag> {
        let derived = self.context.iter().filter(|c| c.is_derived() && !fields.contains_key(&c.name));
        let mut all = fields.clone();
        for column in derived {
            all.insert(column.name.clone(), column.derive(utc_ms, tz_offset_min, events.min(self.history.cap)));
        }
        encode(&self.context, &all, "context")
    }

    /// Checks every constant.
    ///
    /// # Errors
    /// `range` and `malformed`.
    pub fn check(&self) -> Result<()> {
        self.history.check()?;
        for (part, columns) in [("encoding/items", &self.items), ("encoding/context", &self.context)] {
            check_columns(columns, MAX_SLOTS).map_err(|e| e.within(part))?;
            if let Some(column) = columns.iter().find(|c| c.is_of_ranker()) {
                return Err(ErrorKind::Malformed(format!("`{}` is of a kind for the ranker only", column.name)).at(part));
            }
        }
        if let Some(column) = self.items.iter().find(|c| c.is_derived()) {
            return Err(ErrorKind::Malformed(format!("`{}` is of a kind for context only", column.name)).at("encoding/items"));
        }
        Ok(())
    }
}

/// Checks the columns that share an embedding table: one value of each may give `most_slots` slots together.
///
/// # Errors
/// `range`, `malformed`, and `limit` for too many slots or too wide a table.
pub(crate) fn check_columns(columns: &[ColumnEncoding], most_slots: usize) -> Result<()> {
    if columns.len() > MAX_NAMES {
        return Err(range("at most 1024 columns", columns.len()).at("columns"));
    }
    for (i, column) in columns.iter().enumerate() {
        column.check()?;
        if columns[..i].iter().any(|other| other.name == column.name) {
            return Err(ErrorKind::Malformed(format!("column `{}` twice", column.name)).at("columns"));
        }
    }
    for (of, most) in
        [(ColumnEncoding::width as fn(&ColumnEncoding) -> usize, MAX_WIDTH), (ColumnEncoding::max_slots, most_slots)]
    {
        let got = columns.iter().fold(0usize, |sum, column| sum.saturating_add(of(column)));
        if got > most {
            return Err(ErrorKind::Limit { limit: most as u64, got: got as u64 }.at("columns"));
        }
    }
    Ok(())
}

fn encode(columns: &[ColumnEncoding], fields: &Fields, part: &str) -> Result<Bag> {
    if let Some(name) = fields.keys().find(|name| !columns.iter().any(|c| c.name == **name)) {
        let known = columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(ErrorKind::UnknownKey(format!("no column `{name}`; there are: {known}")).at(part));
    }
    let mut bag = Bag::new();
    let mut offset = 0;
    for column in columns {
        column.encode(fields.get(&column.name).unwrap_or(&Value::Missing), offset, &mut bag);
        offset += column.width() as u32;
    }
    Ok(bag)
}
