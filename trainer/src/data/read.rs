//! A data folder into a [`Dataset`].

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::{Result, bail};
use foretaste::features::Value;
use sha2::{Digest, Sha256};

use super::cell::{Cell, Row};
use super::columns::{self, Collected};
use super::declared::{ColumnKind, Declared, DeclaredColumn, TimeUnit};
use super::ids::Names;
use super::rows;
use super::{Dataset, Event, LongVec, Notes, Table, TableNotes, digest};

/// Bounds of a time: the years 0 to 9999, Unix seconds.
const TIMES: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
/// Columns of the events that have a meaning.
const MEANINGS: [&str; 5] = ["user", "item", "timestamp", "rating", "type"];
/// Most types of event.
const MAX_TYPES: usize = 1000;
/// Most files that hold the lines of some users each.
const MOST_PARTS: usize = 64;
/// Types that a page may record whether or not the data has them.
const PAGE_TYPES: [&str; 2] = ["hide", "like"];

/// How a folder is read.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Largest share of bad rows of a file that is let pass.
    pub max_bad: f64,
    /// Do not print the choice of columns; bad rows are still named.
    pub quiet: bool,
    /// Bytes of events that are held in memory; more of them lie in a temporary file.
    pub in_memory: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { max_bad: 0.01, quiet: false, in_memory: 1 << 28 }
    }
}

/// Reads and checks a data folder, or what `prepare` made of one.
///
/// Bad and repeated rows, and kinds chosen for undeclared columns, are printed on standard error.
///
/// # Errors
/// No events, a column that is not there, an unknown key of `data.toml`, a file that cannot be read to its end, a larger
/// share of bad rows than `max_bad`.
pub fn read_folder(folder: &Path, options: &ReadOptions) -> Result<Dataset> {
    inspect_folder(folder, options).map(|(data, _)| data)
}

/// [`read_folder`], with what it found on the way.
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
    let in_events = read.items.names.len();
    if let Some(items) = &items {
        items.ids.names.iter().for_each(|id| _ = read.items.intern(id));
        notes.unlisted_items = read.items.names[..in_events].iter().filter(|id| items.ids.get(id).is_none()).count();
    }
    let (user_ids, user_rank) = read.users.ordered();
    let (item_ids, item_rank) = read.items.ordered();
    let mut universe = vec![false; item_ids.len()];
    item_rank[..in_events].iter().for_each(|i| universe[*i as usize] = true);

    let (types, type_rank) = event_types(&declared, read.types);
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

/// What the events file says; users, items and types by number of appearance.
struct EventsFile {
    users: Names,
    items: Names,
    types: Names,
    lines: LongVec<Line>,
    context: Vec<Collected>,
}

/// A good row of it.
#[derive(Clone, Copy)]
struct Line {
    event: Event,
    /// Its place among the good rows.
    row: u32,
    print: u64,
}

fn read_events(path: &Path, declared: &Declared, options: &ReadOptions, notes: &mut Notes) -> Result<EventsFile> {
    let source = rows::open(path)?;
    let find = |meaning: &str| declared.columns.find(meaning, &source.columns);
    let (Some(user), Some(item)) = (find("user"), find("item")) else {
        let missing = if find("user").is_none() { "user" } else { "item" };
        bail!(
            "{}: no column `{missing}` among {:?}; data.toml may say [columns] {missing} = \"…\"",
            path.display(),
            source.columns
        );
    };
    if let Some((meaning, name)) = declared.columns.lost(&MEANINGS, &source.columns) {
        bail!("data.toml: [columns] {meaning} = \"{name}\": no such column in {}", path.display());
    }
    if let Some(name) = MEANINGS.iter().find(|name| declared.context.contains_key(**name)) {
        bail!("data.toml: [context.{name}]: the column has a meaning of its own");
    }
    let (timestamp, rating, kind) = (find("timestamp"), find("rating"), find("type"));
    let mut lines = LongVec::new(options.in_memory);
    let mut row = 0;
    let mut out = EventsFile {
        users: Names::default(),
        items: Names::default(),
        types: Names::default(),
        lines: LongVec::new(0),
        context: declared_columns(
            &source.columns.iter().cloned().map(Some).collect::<Vec<_>>(),
            &declared.context,
            "context",
            path,
        )?,
    };
    let line = |cells: &mut [Cell]| {
        let print = fingerprint(cells);
        let id = |at: usize, what: &str| match &cells[at] {
            Cell::Missing => Err(format!("{what} is empty")),
            cell => Ok(columns::text(cell)),
        };
        let (user, item) = (id(user, "user")?, id(item, "item")?);
        let time = timestamp.map(|at| time(&cells[at], declared.time_unit)).transpose()?;
        let rating = match rating.map(|at| &cells[at]) {
            None | Some(Cell::Missing) => None,
            Some(cell) => Some(columns::number(cell).ok_or(format!("rating {} is not a finite number", columns::shown(cell)))?),
        };
        if let Some(fault) = out.context.iter().find_map(|c| c.fault(&cells[c.at])) {
            return Err(fault);
        }
        let default = if rating.is_some() { "rate" } else { "view" };
        let kind = match kind.map(|at| &cells[at]) {
            None | Some(Cell::Missing) => out.types.intern(default),
            Some(cell) => out.types.intern(&columns::text(cell)),
        };
        let (user, item) = (out.users.intern(&user), out.items.intern(&item));
        // More types than `MAX_TYPES` are refused below.
        let event = Event { user, item, kind: kind.min(u32::from(u16::MAX)) as u16, rating, time, weight: 1.0 };
        for column in &mut out.context {
            column.push(std::mem::replace(&mut cells[column.at], Cell::Missing));
        }
        row += 1;
        Ok(Line { event, row: row - 1, print })
    };
    notes.tables.push(each_row(path, source.rows, options, line, |line| lines.push(line))?);
    out.lines = lines;
    if out.types.names.len() > MAX_TYPES {
        bail!(
            "{}: {} types of event, at most {MAX_TYPES} expected: is `type` another thing?",
            path.display(),
            out.types.names.len()
        );
    }
    if out.lines.is_empty() {
        bail!("{}: no events", path.display());
    }
    Ok(out)
}

/// Events by user, then time, then item; without times by user, then file order.
struct Ordered {
    events: LongVec<Event>,
    offsets: Vec<usize>,
    /// The row of each event, where it is asked for.
    rows: Vec<Option<u32>>,
    /// Lines that repeat another one exactly, left out.
    repeated: u64,
}

/// Puts the lines of each user together, then in order. Where they are too many for the memory they go to a file for some users at a time first, so
/// that no file is read or written in leaps.
fn ordered(lines: LongVec<Line>, users: usize, with_rows: bool) -> Result<Ordered> {
    let most = lines.most();
    let mut counts = vec![0; users];
    lines.iter().for_each(|line| counts[line.event.user as usize] += 1);
    let in_part = (most / size_of::<Line>()).max(lines.len() / MOST_PARTS + 1);
    let (mut part_of, mut part, mut len) = (Vec::new(), 0, 0);
    for count in counts {
        if len > 0 && len + count > in_part {
            (part, len) = (part + 1, 0);
        }
        len += count;
        part_of.push(part);
    }
    let mut parts: Vec<LongVec<Line>> = (0..=part).map(|_| LongVec::new(if part == 0 { most } else { 0 })).collect();
    lines.iter().try_for_each(|line| parts[part_of[line.event.user as usize]].push(*line))?;
    drop(lines);
    let timed = parts[0][0].event.time.is_some();
    let mut out = Ordered { events: LongVec::new(most), offsets: vec![0], rows: Vec::new(), repeated: 0 };
    for mut part in parts {
        part.sort_by_key(|line| line.event.user);
        for lines in part.chunk_by(|a, b| a.event.user == b.event.user) {
            let mut seen = HashSet::new();
            let mut once: Vec<Line> = lines.iter().filter(|line| seen.insert(line.print)).copied().collect();
            out.repeated += (lines.len() - once.len()) as u64;
            once.sort_by_key(|line| (line.event.time, if timed { line.event.item } else { 0 }));
            once.iter().try_for_each(|line| out.events.push(line.event))?;
            out.rows.extend(once.iter().filter(|_| with_rows).map(|line| Some(line.row)));
            out.offsets.push(out.events.len());
        }
    }
    Ok(out)
}

/// A cell of `timestamp` in Unix seconds.
fn time(cell: &Cell, unit: TimeUnit) -> Result<i64, String> {
    let fault = |what: &str| Err(format!("timestamp {} is not {what}", columns::shown(cell)));
    let seconds = match cell {
        Cell::Moment(seconds) => *seconds,
        _ => {
            let whole = match cell {
                Cell::Text(text) => text.trim().parse().ok(),
                _ => None,
            };
            // Below 2^53 a whole number in another form, such as 881250949.0, is exact.
            let decimal = || columns::number(cell).filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i64);
            match (whole.or_else(decimal), unit) {
                (None, _) => return fault("a whole number"),
                (Some(t), TimeUnit::Seconds) => t,
                (Some(t), TimeUnit::Milliseconds) => t.div_euclid(1000),
            }
        }
    };
    if !TIMES.contains(&seconds) {
        let hint = if unit == TimeUnit::Seconds { "; data.toml may say time_unit = \"ms\"" } else { "" };
        return fault(&format!("in the years 0 to 9999{hint}"));
    }
    Ok(seconds)
}

/// An items or users table; `ids` and the cells have the same order.
struct Collection {
    ids: Names,
    columns: Vec<Collected>,
    /// Cells of the title where that is no column.
    title: Option<Collected>,
}

fn read_table(
    path: &Path,
    key: &str,
    declared: &Declared,
    kinds: &BTreeMap<String, DeclaredColumn>,
    options: &ReadOptions,
    notes: &mut Notes,
) -> Result<Collection> {
    let source = rows::open(path)?;
    let Some(at) = declared.columns.find(key, &source.columns) else {
        bail!("{}: no column `{key}` among {:?}", path.display(), source.columns);
    };
    let title = if key == "item" { declared.columns.find("title", &source.columns) } else { None };
    if key == "item"
        && let Some((_, name)) = declared.columns.lost(&["title"], &source.columns)
    {
        bail!("data.toml: [columns] title = \"{name}\": no such column in {}", path.display());
    }
    // A name with a meaning belongs to the column that has the meaning.
    let taken = |name: &str| name == key || (name == "title" && title.is_some());
    let name = |(i, name): (usize, &String)| match title {
        Some(title) if title == i => Some("title".to_owned()),
        _ => Some(name.clone()).filter(|name| i != at && !taken(name)),
    };
    let names: Vec<Option<String>> = source.columns.iter().enumerate().map(name).collect();
    let part = if key == "item" { "items" } else { "users" };
    declared_columns(&names, kinds, part, path)?;
    let mut columns = Vec::new();
    let mut hidden_title = None;
    for (i, name) in names.into_iter().enumerate() {
        let Some(name) = name else { continue };
        let kind = match kinds.get(&name) {
            Some(declared) => Some(declared.kind),
            None if Some(i) == title => Some(ColumnKind::Text),
            None => None,
        };
        if kind != Some(ColumnKind::Ignore) {
            columns.push(Collected::new(name, i, kind));
        } else if Some(i) == title {
            hidden_title = Some(Collected::new(name, i, Some(ColumnKind::Text)));
        }
    }
    let mut out = Collection { ids: Names::default(), columns, title: hidden_title };
    let (mut seen, mut repeated) = (HashSet::new(), 0);
    let take = |cells: &mut [Cell]| {
        let print = fingerprint(cells);
        if seen.contains(&print) {
            repeated += 1;
            return Ok(());
        }
        if cells[at] == Cell::Missing {
            return Err(format!("{key} is empty"));
        }
        let id = columns::text(&cells[at]);
        if out.ids.get(&id).is_some() {
            return Err(format!("a second row of {key} {}", columns::shown(&cells[at])));
        }
        if let Some(fault) = out.columns.iter().find_map(|c| c.fault(&cells[c.at])) {
            return Err(fault);
        }
        out.ids.intern(&id);
        for column in out.columns.iter_mut().chain(&mut out.title) {
            column.push(std::mem::replace(&mut cells[column.at], Cell::Missing));
        }
        seen.insert(print);
        Ok(())
    };
    let mut table = each_row(path, source.rows, options, take, Ok)?;
    table.repeats(repeated);
    notes.tables.push(table);
    Ok(out)
}

/// The columns that `data.toml` declares for a file, `ignore` left out.
fn declared_columns(
    names: &[Option<String>],
    kinds: &BTreeMap<String, DeclaredColumn>,
    part: &str,
    path: &Path,
) -> Result<Vec<Collected>> {
    let mut out = Vec::new();
    for (name, declared) in kinds {
        let Some(at) = names.iter().position(|n| n.as_ref() == Some(name)) else {
            bail!("data.toml: [{part}.{name}]: no such column in {}", path.display());
        };
        if declared.kind != ColumnKind::Ignore {
            out.push(Collected::new(name.clone(), at, Some(declared.kind)));
        }
    }
    Ok(out)
}

/// Keeps what `take` makes of every whole row; what it refuses is a bad row.
fn each_row<T>(
    path: &Path,
    rows: impl Iterator<Item = Result<Row>>,
    options: &ReadOptions,
    mut take: impl FnMut(&mut [Cell]) -> Result<T, String>,
    mut keep: impl FnMut(T) -> Result<()>,
) -> Result<TableNotes> {
    let mut notes = TableNotes::new(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let ended = rows.into_iter().try_for_each(|row| {
        let row = row?;
        notes.rows += 1;
        match row.cells.and_then(|mut cells| take(&mut cells)) {
            Ok(taken) => keep(taken)?,
            Err(reason) => notes.bad_row(row.line, &reason),
        }
        anyhow::Ok(())
    });
    notes.print();
    ended?;
    if notes.bad_share() > options.max_bad {
        bail!(
            "{}: {} of {} rows are bad, {:.1} %: at most {} % are let pass (--max-bad)",
            path.display(),
            notes.bad,
            notes.rows,
            100.0 * notes.bad_share(),
            100.0 * options.max_bad
        );
    }
    Ok(notes)
}

/// The start of a SHA-256 of a row: equal rows have equal ones, others of one user never in practice.
fn fingerprint(cells: &[Cell]) -> u64 {
    let mut hash = Sha256::new();
    for cell in cells {
        let text = columns::text(cell);
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    let mut out = [0; 8];
    out.copy_from_slice(&hash.finalize()[..8]);
    u64::from_le_bytes(out)
}

/// Titles, and the columns of a table in the order of ids.
fn finish_table(table: Collection, ids: &[String], part: &str, notes: &mut Notes) -> (Vec<Option<String>>, Table) {
    let rows: Vec<Option<u32>> = ids.iter().map(|id| table.ids.get(id)).collect();
    let hidden = table.title.and_then(|title| title.finish(&rows));
    let finished = finish_columns(table.columns, &rows, part, notes);
    let title = hidden.as_ref().or_else(|| finished.columns.iter().find(|c| c.name == "title"));
    let titles = match title {
        Some(title) => title.values.iter().map(Value::text).collect(),
        None => vec![None; ids.len()],
    };
    (titles, finished)
}

/// Columns by name, their kinds chosen where they are not declared.
fn finish_columns(columns: Vec<Collected>, rows: &[Option<u32>], part: &str, notes: &mut Notes) -> Table {
    let mut out = Vec::new();
    for column in columns {
        let (name, declared) = (format!("{part}.{}", column.name), column.declared.is_some());
        match column.finish(rows) {
            Some(column) => {
                if !declared {
                    notes.chosen.push((name, column.kind));
                }
                out.push(column);
            }
            None => notes.empty.push(name),
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Table { columns: out }
}

/// Types by name: those of the events, those declared, and those of every page. And the place of each one of the events.
fn event_types(declared: &Declared, found: Names) -> (Vec<foretaste::features::EventType>, Vec<u16>) {
    let all: std::collections::BTreeSet<&str> =
        (found.names.iter().map(String::as_str)).chain(declared.types.keys().map(String::as_str)).chain(PAGE_TYPES).collect();
    let types: Vec<_> = all.iter().map(|name| declared.event_type(name, found.get(name).is_some())).collect();
    let place = |name: &String| types.iter().position(|t| t.name == *name).unwrap_or_default() as u16;
    let rank = found.names.iter().map(place).collect();
    (types, rank)
}
