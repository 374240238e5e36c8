//! The encoding of a bundle: every constant that turns raw input into numbers.

use serde::{Deserialize, Serialize};

use super::{Bag, ColumnEncoding, Fields, Value};
use crate::error::{ErrorKind, Result, range};

/// Most types of event, and most columns of a table.
const MAX_NAMES: usize = 1024;
/// Most events that a tower may read, and that a profile may keep.
const MAX_HISTORY: usize = 65_536;

/// The column that a catalog keeps apart.
pub const TITLE: &str = "title";

/// How events, items and context are encoded. Travels in the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoding {
    /// Events of the history.
    pub history: History,
    /// Columns of an item, in order of their slots.
    pub items: Vec<ColumnEncoding>,
    /// Columns of a request: derived ones, the users table's, and declared context, in order of their slots.
    pub context: Vec<ColumnEncoding>,
}

/// How the history is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// L: the last events that the tower reads.
    pub len: usize,
    /// Events that a profile keeps; features count no further.
    pub cap: usize,
    /// Types of event. One with `trained` has its own embedding; others share that of index 0, "unknown".
    pub types: Vec<EventType>,
    /// Ascending edges of the value buckets (ratings): bucket 1 + the count of edges ≤ value; 0 is missing.
    pub value_edges: Vec<f64>,
    /// Buckets of the gap to the event before: 0 is missing, else 1 + ⌊log2(1 + seconds)⌋, the last takes all longer ones.
    pub gap_buckets: usize,
    /// Places in a run of events of the same second: 0 to this − 1.
    pub run_buckets: usize,
}

/// A type of event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventType {
    /// Name, such as `rate`, `like`, `hide`.
    pub name: String,
    /// The item speaks for the visitor's taste: the event is part of the history that the tower reads.
    pub positive: bool,
    /// The item is not recommended again.
    pub seen: bool,
    /// The visitor does not want the item: never recommended, and earlier events of it leave the tower's history.
    pub hide: bool,
    /// Weight as a training target, 0 or more.
    pub weight: f32,
    /// The type occurs in the training data and has an embedding of its own.
    pub trained: bool,
}

impl History {
    /// The declared type of this name.
    pub fn type_of(&self, name: &str) -> Option<&EventType> {
        self.types.iter().find(|t| t.name == name)
    }

    /// Where the type of this name stands in [`History::types`].
    pub fn type_place(&self, name: &str) -> Option<u16> {
        self.types.iter().position(|t| t.name == name).map(|place| place as u16)
    }

    /// The declared type of an event.
    ///
    /// # Panics
    /// If the place is past the end.
    pub fn declared(&self, place: Option<u16>) -> Option<&EventType> {
        place.map(|place| &self.types[usize::from(place)])
    }

    /// Row of the type table for the type at a place of [`History::types`]: 1, 2, … for the trained types, 0 for any other.
    pub fn type_index(&self, place: Option<u16>) -> usize {
        match place.map(usize::from) {
            Some(place) if self.types[place].trained => self.types[..=place].iter().filter(|t| t.trained).count(),
            _ => 0,
        }
    }

    /// Rows of the type table, "unknown" included.
    pub fn type_rows(&self) -> usize {
        1 + self.types.iter().filter(|t| t.trained).count()
    }

    /// Rows of the value table, "missing" included.
    pub fn value_rows(&self) -> usize {
        self.value_edges.len() + 2
    }

    /// Bucket of a value; a missing one or one that is not finite has 0.
    pub fn value_bucket(&self, value: Option<f64>) -> usize {
        value.filter(|v| v.is_finite()).map_or(0, |v| 1 + self.value_edges.partition_point(|edge| *edge <= v))
    }

    /// Bucket of the gap between an event and the one before, in milliseconds UTC; time running backwards counts as no gap.
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
    /// Rows of the item feature table.
    pub fn item_width(&self) -> usize {
        self.items.iter().map(ColumnEncoding::width).sum()
    }

    /// Rows of the context table.
    pub fn context_width(&self) -> usize {
        self.context.iter().map(ColumnEncoding::width).sum()
    }

    /// Most slots that one item gives: the padded width of the item tower's input, at least 1.
    pub fn item_slots(&self) -> usize {
        self.items.iter().map(ColumnEncoding::max_slots).sum::<usize>().max(1)
    }

    /// Most slots that one request gives: the padded width of the user tower's context input, at least 1.
    pub fn context_slots(&self) -> usize {
        self.context.iter().map(ColumnEncoding::max_slots).sum::<usize>().max(1)
    }

    /// Bag of an item's columns. Unknown names are an error; missing ones give no slot.
    pub fn encode_item(&self, fields: &Fields) -> Result<Bag> {
        encode(&self.items, fields, "item")
    }

    /// Bag of a row: `value` gives its raw value of a column, nothing for a column that there is not; a column named `title` reads the title.
    pub fn encode_row<'a>(&self, title: Option<&str>, value: impl Fn(&str) -> Option<&'a Value>) -> Bag {
        let (mut slots, mut offset) = (Bag::new(), 0);
        for column in &self.items {
            match (value(&column.name), title) {
                (Some(value), _) => column.encode(value, offset, &mut slots),
                (None, Some(title)) if column.name == TITLE => column.encode(&Value::Text(title.into()), offset, &mut slots),
                _ => {}
            }
            offset += column.width() as u32;
        }
        slots
    }

    /// Bag of a request.
    ///
    /// `fields` are given values by column name; a given value of a derived column (`hour`) overrides the derived one.
    /// `utc_ms` is the request's time, `events` the number of events of the tower's history, before the cut to L.
    pub fn encode_context(&self, fields: &Fields, utc_ms: Option<i64>, tz_offset_min: i32, events: usize) -> Result<Bag> {
        let derived = self.context.iter().filter(|c| c.is_derived() && !fields.contains_key(&c.name));
        let mut all = fields.clone();
        for column in derived {
            all.insert(column.name.clone(), column.derive(utc_ms, tz_offset_min, events.min(self.history.cap)));
        }
        encode(&self.context, &all, "context")
    }

    /// Checks every constant.
    pub(crate) fn check(&self) -> Result<()> {
        self.history.check()?;
        for (part, columns) in [("encoding/items", &self.items), ("encoding/context", &self.context)] {
            if columns.len() > MAX_NAMES {
                return Err(range("at most 1024 columns", columns.len()).at(part));
            }
            for (i, column) in columns.iter().enumerate() {
                column.check().map_err(|e| e.within(part))?;
                if columns[..i].iter().any(|other| other.name == column.name) {
                    return Err(ErrorKind::Malformed(format!("column `{}` twice", column.name)).at(part));
                }
            }
        }
        if let Some(column) = self.items.iter().find(|c| c.is_derived()) {
            return Err(ErrorKind::Malformed(format!("`{}` is of a kind for context only", column.name)).at("encoding/items"));
        }
        Ok(())
    }
}

fn encode(columns: &[ColumnEncoding], fields: &Fields, part: &str) -> Result<Bag> {
    if let Some(name) = fields.keys().find(|name| !columns.iter().any(|c| c.name == **name)) {
        let known = columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(ErrorKind::UnknownKey(format!("no column `{name}`; there are: {known}")).at(part));
    }
    let mut slots = Bag::new();
    let mut offset = 0;
    for column in columns {
        column.encode(fields.get(&column.name).unwrap_or(&Value::Missing), offset, &mut slots);
        offset += column.width() as u32;
    }
    Ok(slots)
}
