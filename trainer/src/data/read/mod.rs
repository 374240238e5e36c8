//! Reads a data folder into a [`Dataset`]: events and tables, each in a file of its own, and the order of the events.

mod events;
mod good_rows;
mod names;
mod order;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use foretaste::features::{EventType, MAX_NAMES};

use self::events::{EventsFile, Line, read_events};
use self::order::{Ordered, ordered};
use self::table::{RawTable, finish_columns, finish_table, read_table};
use super::declared::Declared;
use super::ids::{Names, is_missing_marker};
use super::{Dataset, Met, Notes, Table, digest, features, plain, rows, shown};

/// Types of event that a page may record even if the data has none of them.
const PAGE_TYPES: [&str; 2] = ["hide", "like"];

/// How a folder is read.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Largest share of bad rows that a file may have, 0 to 1. At 0 one bad row is an error; at 1 no number of them is.
    pub max_bad: f64,
    /// Print no notes, such as the kinds that were chosen for columns. Bad rows and warnings are still printed.
    pub quiet: bool,
    /// Most bytes of events that are held in memory; beyond that they lie in a temporary file.
    pub in_memory: usize,
    /// Fewest events that the folder may have. Nothing can be learnt from one event, and a file of one row is usually
    /// cut off.
    pub least_events: usize,
    /// Most bytes that a Parquet file may decode to for each of its own bytes, counted from 256 KiB on. A few bytes can
    /// repeat a value for ever; a table in which anything changes from row to row stays far below the default of 4,096.
    pub expansion: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { max_bad: 0.01, quiet: false, in_memory: 1 << 28, least_events: 1, expansion: 4096 }
    }
}

/// Reads and checks a data folder, or a folder that `prepare` wrote.
///
/// Bad rows, repeated rows, the kinds chosen for undeclared columns, columns that are not read, and how the tables meet
/// are printed on standard error.
///
/// # Errors
/// Fewer events than `least_events`, a declared column that the file lacks, an unknown key of `data.toml`, a file that
/// cannot be read to its end, a larger share of bad rows than `max_bad`, a table with none of the ids of the events.
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
    let mut notes = Notes { quiet: options.quiet, ..Notes::default() };
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
            bail!("data.toml: [{part}.{}]: there is no {part} table", plain(column));
        }
    }
    // Items of the table get the numbers after those of the events.
    let in_events = read.items.names.len();
    warn_of_markers(&read, &mut notes);
    meet_types(&declared, &read.types, &mut notes);
    if let Some(items) = &items {
        let met = meet(&read.items, items, "items");
        notes.unlisted_items = met.of - met.known;
        notes.meet(met, "mend the ids, or take the table out of the folder")?;
        items.ids.names.iter().for_each(|id| _ = read.items.intern(id));
    }
    if let Some(users) = &users {
        notes.meet(meet(&read.users, users, "users"), "mend the ids, or take the table out of the folder")?;
        notes.idle_users = users.ids.names.iter().filter(|id| read.users.get(id).is_none()).count();
        if notes.idle_users > 0 {
            notes.detail(format!("users of {} without events, left out: {}", users.file, notes.idle_users));
        }
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
    if events.len() < options.least_events {
        let (count, told) = (if events.len() == 1 { "one event" } else { "too few events" }, notes.tables[0].told.join("; "));
        let told = if told.is_empty() { told } else { format!(" ({told})") };
        bail!("{}: {count}, {} or more expected: nothing can be learnt from it{told}", path.display(), options.least_events);
    }

    let (titles, item_table) = match items {
        Some(items) => finish_table(items, &item_ids, "items", &mut notes),
        None => (vec![None; item_ids.len()], Table::default()),
    };
    let user_table = match users {
        Some(users) => finish_table(users, &user_ids, "users", &mut notes).1,
        None => Table::default(),
    };
    let context_table = finish_columns(read.context, &rows, "context", &mut notes);
    let fallback = || folder.canonicalize().ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
    let ((views, inputs), utility, ttl) = (declared.features()?, declared.formula()?, declared.ttl()?);
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
        views,
        ttl,
        inputs,
        utility,
        events: events.into(),
        offsets,
    };
    features::check(&data)?;
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

/// How many of the ids of the events a table has; `what` is `items` or `users`.
fn meet(ids: &Names, table: &RawTable, what: &str) -> Met {
    let what = format!("{what} of the events in {}", table.file);
    Met::of(what, ids.iter(), |id| table.ids.get(id).is_some(), || table.ids.iter())
}

/// Says which types of `data.toml` no event has.
fn meet_types(declared: &Declared, found: &Names, notes: &mut Notes) {
    let names = declared.types.keys().map(String::as_str).filter(|name| !PAGE_TYPES.contains(name));
    let met = Met::of("types of data.toml in the events", names, |name| found.get(name).is_some(), || found.iter());
    if met.known < met.of {
        met.say(notes.quiet);
        notes.met.push(met);
    }
}

/// Warns of ids that programs write for a missing value.
fn warn_of_markers(read: &EventsFile, notes: &mut Notes) {
    warn_of_markers_among(&read.users, "user", read, |line| line.event.user, notes);
    warn_of_markers_among(&read.items, "item", read, |line| line.event.item, notes);
}

fn warn_of_markers_among(ids: &Names, what: &str, read: &EventsFile, id_of: fn(&Line) -> u32, notes: &mut Notes) {
    for (number, marker) in ids.iter().enumerate().filter(|(_, id)| is_missing_marker(id)) {
        let count = read.lines.iter().filter(|line| id_of(line) as usize == number).count();
        let (file, of) = (&notes.tables[0].file, read.lines.len());
        notes.warn(format!(
            "{file}: {count} of {of} events have the {what} {}: if it stands for a missing value, leave these rows out",
            shown(marker)
        ));
    }
}
