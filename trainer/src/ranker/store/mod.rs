//! The offline store: the values of views over time, as tables of Parquet that grow with the events.
//!
//! A table has the views of one entity (`user`, `user.COLUMN`, `item`, `item.COLUMN`), and a row for each moment at
//! which a value of an entity changes: an event is in, or one leaves a window. A row's `event_timestamp` is the first
//! millisecond at which the change counts, so a join that takes the last row at a moment or before it uses no event
//! of that moment or later. Between two rows the sums of `decay` fade and the times of `since` grow;
//! [`stored_values`] does that.
//!
//! The folder of a store has a folder for each specification, named by its hash. There `store.json` names the tables
//! and their parts, and is written last. New events add parts; the earlier ones are neither computed nor written again.

mod join;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use foretaste::bundle::sha256_hex;
use foretaste::features::{History, View};
use serde::{Deserialize, Serialize};

pub use join::stored_values;
pub use write::{StoreOutcome, write_store};

use super::values::CAP;
use super::views_of;
use crate::data::{Dataset, of_text, plain};
use crate::files;

/// Changes whenever equal specifications would give other rows.
const VERSION: u32 = 1;
/// The name of the file that says what is there, and its most bytes.
const CARD: &str = "store.json";
const MOST_BYTES: u64 = 1 << 26;
/// Digits of the hash in the name of a folder.
const DIGITS: usize = 16;
/// The column of the moment.
const MOMENT: &str = "event_timestamp";

/// What tables are made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Specification {
    version: u32,
    tables: Vec<TableSpec>,
}

/// A table: Feast's feature view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TableSpec {
    /// `user`, `user.COLUMN`, `item` or `item.COLUMN`.
    of: String,
    /// Milliseconds after which a row says nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<i64>,
    views: Vec<View>,
}

impl TableSpec {
    /// The first key of the entity, and the column whose value is the second one.
    fn keys(&self) -> (&str, Option<&str>) {
        self.of.split_once('.').map_or((self.of.as_str(), None), |(of, column)| (of, Some(column)))
    }
}

/// What a folder of tables holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Card {
    specification: Specification,
    /// The end of the last event's second, in milliseconds UTC: later moments are not known.
    through: i64,
    /// Events until then, and a hash of them.
    events: u64,
    events_hash: String,
    /// By the name of the table its folder and the files there, in the order of writing.
    tables: BTreeMap<String, Parts>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Parts {
    folder: String,
    rows: u64,
    files: Vec<String>,
}

impl Specification {
    /// # Errors
    /// Data without times; a name that tables need for another column.
    fn of(data: &Dataset) -> Result<Specification> {
        ensure!(data.has_times(), "the events have no times, so there is nothing to tell moments by");
        let mut tables: Vec<TableSpec> = Vec::new();
        for view in views_of(data) {
            let of = of_text(&view.of);
            match tables.iter_mut().find(|table| table.of == of) {
                Some(table) => table.views.push(view),
                None => tables.push(TableSpec { ttl_ms: data.ttl.get(&of).copied(), of, views: vec![view] }),
            }
        }
        for table in &tables {
            let (first, second) = table.keys();
            let taken = [first, MOMENT];
            let of = plain(&table.of);
            if let Some(name) = second {
                ensure!(!taken.contains(&name), "the table `{of}` would have two columns `{name}`: rename the one of the data");
            }
            for view in &table.views {
                let name = view.name.as_str();
                let is_free = !taken.contains(&name) && second != Some(name);
                ensure!(is_free, "the table `{of}` would have two columns `{}`: rename the feature", plain(name));
            }
        }
        if let Some(of) = data.ttl.keys().find(|of| tables.iter().all(|table| table.of != **of)) {
            anyhow::bail!("data.toml: [ttl] `{}`: no feature is counted of it", plain(of));
        }
        Ok(Specification { version: VERSION, tables })
    }

    fn hash(&self) -> Result<String> {
        Ok(sha256_hex(&serde_json::to_vec(self)?)[..DIGITS].to_owned())
    }
}

impl Card {
    /// What a folder says that it holds; `None` if nothing was written to it.
    ///
    /// # Errors
    /// A file that is not one of this kind, or of another specification.
    fn read(folder: &Path, specification: &Specification) -> Result<Option<Card>> {
        let path = folder.join(CARD);
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let card: Card = serde_json::from_slice(&files::read(&path, MOST_BYTES)?).with_context(|| path.display().to_string())?;
        ensure!(card.specification == *specification, "{}: it is of another specification than its folder", path.display());
        let is_plain = |name: &String| !name.contains(['/', '\\']) && !name.starts_with('.');
        let are_plain = card.tables.values().all(|parts| is_plain(&parts.folder) && parts.files.iter().all(is_plain));
        ensure!(are_plain, "{}: a file outside the folder", path.display());
        Ok(Some(card))
    }
}

/// The history of an encoding that keeps `cap` events of the types of the data.
fn history_of(data: &Dataset, cap: usize) -> History {
    History { len: 1, cap, types: data.types.clone(), value_edges: Vec::new(), gap_buckets: 2, run_buckets: 1 }
}
