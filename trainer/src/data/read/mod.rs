//! Reads a data folder into a [`Dataset`]: events and tables, each in a file of its own, and the order of the events.

mod events;
mod good_rows;
mod order;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use foretaste::features::{EventType, MAX_NAMES};

use self::events::{Line, read_events};
use self::order::{Ordered, ordered};
use self::table::{finish_columns, finish_table, read_table};
use super::declared::Declared;
use super::ids::Names;
use super::{Dataset, Notes, Table, digest, rows};

/// Types of event that a page may record even if the data has none of them.
const PAGE_TYPES: [&str; 2] = ["hide", "like"];

/// How a folder is read.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Largest share of bad rows that a file may have, 0 to 1. At 0 one bad row is an error; at 1 no number of them is.
    pub max_bad: f64,
    /// Do not print the kinds that were chosen for columns; bad rows are still named.
    pub quiet: bool,
    /// Most bytes of events that are held in memory; beyond that they lie in a temporary file.
    pub in_memory: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { max_bad: 0.01, quiet: false, in_memory: 1 << 28 }
    }
}

/// Reads and checks a data folder, or a folder that `prepare` wrote.
///
/// Bad rows, repeated rows, and the kinds chosen for undeclared columns are printed on standard error.
///
/// # Errors
/// No events, a declared column that the file lacks, an unknown key of `data.toml`, a file that cannot be read to its
/// end, a larger share of bad rows than `max_bad`.
pub fn read_folder(folder: &Path, options: &ReadOptions) -> Result<Dataset> {
    inspect_folder(folder, options).map(|(data, _)| data)
}

/// Like [`read_folder`], and also returns what was noticed while reading: bad rows, repeated rows, chosen kinds.
///
/// # Errors
/// Same errors as [`read_folder`].
pub fn inspect_folder(folder: &Path, options: &ReadOptions) -> Result<(Dataset, Notes)> {
    if !folder.is_dir() {
        bail!("{}: no such folder", folder.display());
    }
    let declared = Declared::read(folder)?;
    let mut notes = Notes::default();
    let Some(path) = rows::find(folder, "events")? else {
        bail!("{}: no events.csv, .tsv, .jsonl (or these with .gz) or events.parquet", folder.display());
    };
    let mut read = read_events(&path, &declared, options, &mut notes)?;
    let items = match rows::find(folder, "items")? {
        Some(path) => Some(read_table(&path, "item", &declared, &declared.items, options, &mut notes)?),
        None => None,
    };
    let users = match rows::find(folder, "users")? {
        Some(path) => Some(read_table(&path, "user", &declared, &declared.users, options, &mut notes)?),
        None => None,
    };
    for (part, table, columns) in [("items", &items, &declared.items), ("users", &users, &declared.users)] {
        if let (None, Some(column)) = (table, columns.keys().next()) {
            bail!("data.toml: [{part}.{column}]: there is no {part} table");
        }
    }
    // Items of the table get the numbers after those of the events.
    let in_events = read.items.names.len();
    if let Some(items) = &items {
        items.ids.names.iter().for_each(|id| _ = read.items.intern(id));
        notes.unlisted_items = read.items.names[..in_events].iter().filter(|id| items.ids.get(id).is_none()).count();
    }
    let (user_ids, user_rank) = read.users.ordered();
    let (item_ids, item_rank) = read.items.ordered();
    let mut universe = vec![false; item_ids.len()];
    item_rank[..in_events].iter().for_each(|i| universe[*i as usize] = true);

    let (types, type_rank) = event_types(&declared, read.types).with_context(|| path.display().to_string())?;
    for Line { event, .. } in read.lines.iter_mut() {
        event.user = user_rank[event.user as usize];
        event.item = item_rank[event.item as usize];
        event.kind = type_rank[usize::from(event.kind)];
    }
    let Ordered { events, offsets, rows, repeated } = ordered(read.lines, user_ids.len(), !read.context.is_empty())?;
    notes.tables[0].repeats(repeated);

    let (titles, item_table) = match items {
        Some(items) => finish_table(items, &item_ids, "items", &mut notes),
        None => (vec![None; item_ids.len()], Table::default()),
    };
    let user_table = match users {
        Some(users) => {
            let active = user_ids.iter().filter(|id| users.ids.get(id).is_some()).count();
            notes.idle_users = users.ids.names.len() - active;
            finish_table(users, &user_ids, "users", &mut notes).1
        }
        None => Table::default(),
    };
    let context_table = finish_columns(read.context, &rows, "context", &mut notes);
    if !options.quiet {
        notes.chosen.iter().for_each(|(column, kind)| eprintln!("{column}: {kind} (by its values)"));
        notes.empty.iter().for_each(|column| eprintln!("{column}: left out, it has no values"));
    }
    let fallback = || folder.canonicalize().ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
    let mut data = Dataset {
        name: declared.name.or_else(fallback).unwrap_or_else(|| "data".to_owned()),
        licence: declared.licence,
        sha256: String::new(),
        users: user_ids,
        items: item_ids,
        in_events: universe,
        titles,
        item_table,
        user_table,
        context_table,
        types,
        events: events.into(),
        offsets,
    };
    data.sha256 = digest::of(&data);
    Ok((data, notes))
}

/// All types of event sorted by name (those of the events, those that `data.toml` declares, and [`PAGE_TYPES`]), and
/// the index among them of each type that was `found` in the events.
///
/// # Errors
/// More types than a bundle may have.
fn event_types(declared: &Declared, found: Names) -> Result<(Vec<EventType>, Vec<u16>)> {
    let all: BTreeSet<&str> =
        (found.names.iter().map(String::as_str)).chain(declared.types.keys().map(String::as_str)).chain(PAGE_TYPES).collect();
    ensure!(
        all.len() <= MAX_NAMES,
        "{} types of event, with those of data.toml and of pages; at most {MAX_NAMES} expected: is `type` another thing?",
        all.len()
    );
    let types: Vec<_> = all.iter().map(|name| declared.event_type(name, found.get(name).is_some())).collect();
    let place = |name: &String| types.iter().position(|t| t.name == *name).unwrap_or_default() as u16;
    let rank = found.names.iter().map(place).collect();
    Ok((types, rank))
}
