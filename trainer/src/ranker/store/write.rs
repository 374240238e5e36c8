//! Writes the rows of tables, of all events or of those that are new.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use foretaste::features::{ColumnEncoding, RowEvent, Value, View, Window};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::super::values::{row_event, text_of};
use super::super::{Counted, EventSlots, ItemTables};
use super::{CAP, CARD, Card, MOMENT, Parts, Specification, TableSpec, history_of};
use crate::data::columnar::{self, Written};
use crate::data::{Dataset, DatasetEvent, counted_context, plain};
use crate::files::write_atomically;

/// Users whose rows are in memory at a time, and items.
const USERS: usize = 4096;
const ITEMS: usize = 4096;

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoreOutcome {
    /// The folder of the tables, named by the hash of the specification.
    pub folder: String,
    /// Rows that were added, by table.
    pub added: std::collections::BTreeMap<String, u64>,
    /// The moment that is known last, in milliseconds UTC.
    pub through: i64,
}

/// A row of a table: its entity, the second key, the moment, and a value for each view.
struct Row {
    entity: u32,
    key: Option<String>,
    moment: i64,
    values: Vec<Option<f64>>,
}

/// The moments that are written: after the first one, and until the second.
type Span = (i64, i64);

/// Writes the tables of a data set's views into `store`, or adds to those that are there what new events change. Equal
/// events give equal rows, however many times they were added to.
///
/// # Errors
/// Events without times; a store whose events are not those of the data until its last moment: they were changed, or
/// some came late; a folder that cannot be written.
pub fn write_store(data: &Dataset, store: &Path) -> Result<StoreOutcome> {
    let specification = Specification::of(data)?;
    let folder = store.join(specification.hash()?);
    let named = || folder.display().to_string();
    let before = Card::read(&folder, &specification)?;
    let last = data.events.iter().filter_map(|event| event.time).max().context("the data has no events")?;
    let through = last.saturating_add(1).saturating_mul(1000);
    if let Some(before) = &before {
        let (events, hash) = digest(data, &specification, before.through);
        let is_same = events == before.events && hash == before.events_hash && before.through <= through;
        ensure!(
            is_same,
            "{}: until {} it was made from {} other events than the data has ({events}): they were changed, or some came late. \
             Write to an empty folder",
            named(),
            before.through / 1000,
            before.events
        );
    }
    fs::create_dir_all(&folder).with_context(named)?;
    let run = before.as_ref().map_or(0, |card| card.tables.values().map(|parts| parts.files.len()).max().unwrap_or(0));
    let span = (before.as_ref().map_or(i64::MIN, |card| card.through), through);
    let (events, events_hash) = digest(data, &specification, through);
    let tables = before.map(|card| card.tables).unwrap_or_default();
    let mut card = Card { specification, through, events, events_hash, tables };
    let mut added = std::collections::BTreeMap::new();
    for (at, table) in card.specification.tables.iter().enumerate() {
        let parts =
            card.tables.entry(table.of.clone()).or_insert_with(|| Parts { folder: folder_of(table, at), ..Parts::default() });
        let own = folder.join(&parts.folder);
        fs::create_dir_all(&own).with_context(|| own.display().to_string())?;
        forget_others(&own, parts)?;
        let rows = &mut 0;
        let mut write = |chunk: usize, part: Vec<Row>| -> Result<()> {
            if !part.is_empty() {
                let name = format!("part-{run:06}-{chunk:06}.parquet");
                write_part(data, table, &own.join(&name), &part)?;
                *rows += part.len() as u64;
                parts.files.push(name);
            }
            Ok(())
        };
        match table.keys() {
            ("user", column) => of_users(data, table, column, span, &mut write)?,
            (_, column) => of_items(data, table, column, span, &mut write)?,
        }
        parts.rows += *rows;
        added.insert(table.of.clone(), *rows);
    }
    write_atomically(&folder.join(CARD), &serde_json::to_vec_pretty(&card)?)?;
    Ok(StoreOutcome { folder: named(), added, through })
}

/// The folder of a table: its name where that is a plain one.
fn folder_of(table: &TableSpec, at: usize) -> String {
    let is_plain = table.of.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if is_plain { table.of.clone() } else { format!("table-{at}") }
}

/// Removes what a writing that was stopped has left.
fn forget_others(folder: &Path, parts: &Parts) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("part-") && !parts.files.contains(&name) {
            fs::remove_file(&path).with_context(|| path.display().to_string())?;
        }
    }
    Ok(())
}

/// How many events there are until a moment, and a hash of them and of what they are counted by. The order of the
/// events does not matter.
fn digest(data: &Dataset, specification: &Specification, through: i64) -> (u64, String) {
    let of_user = |table: &TableSpec| table.keys().0 == "user";
    let columns: Vec<&[Value]> = specification
        .tables
        .iter()
        .filter(|table| of_user(table))
        .filter_map(|table| data.item_table.columns.iter().find(|column| Some(column.name.as_str()) == table.keys().1))
        .map(|column| column.values.as_slice())
        .collect();
    let contexts: Vec<ColumnEncoding> = specification
        .tables
        .iter()
        .filter(|table| !of_user(table))
        .filter_map(|table| counted_context(data, table.keys().1?))
        .collect();
    let slots: Vec<EventSlots> = contexts.iter().map(|column| EventSlots::new(data, column)).collect();
    let one = |(place, event): (usize, &DatasetEvent)| {
        let time = event.time.filter(|time| time.saturating_mul(1000) < through)?;
        let mut sink = Sha256::new();
        let mut text = |text: &str| {
            sink.update((text.len() as u64).to_le_bytes());
            sink.update(text.as_bytes());
        };
        text(&data.users[event.user as usize]);
        text(&data.items[event.item as usize]);
        text(&data.types[usize::from(event.kind)].name);
        text(&format!("{time} {:?}", event.rating.map(f64::to_bits)));
        columns.iter().for_each(|values| text(&format!("{:?}", values[event.item as usize].set())));
        for (slots, column) in slots.iter().zip(&contexts) {
            text(&slots.slot(event, place).map(|slot| text_of(column, slot)).unwrap_or_default());
        }
        sink.finalize()[..16].try_into().ok().map(u128::from_le_bytes)
    };
    let add = |(n, sum): (u64, u128), (m, other): (u64, u128)| (n + m, sum.wrapping_add(other));
    let hashes = data.events.par_iter().enumerate().filter_map(one).map(|hash| (1, hash));
    let (events, sum) = hashes.reduce(|| (0, 0), add);
    (events, format!("{sum:032x}"))
}

/// The windows of time and of events of some views.
fn windows(views: &[View]) -> (Vec<i64>, Vec<usize>) {
    let spans =
        views.iter().filter_map(|view| if let Some(Window::Milliseconds(span)) = view.window { Some(span) } else { None });
    let counts = views.iter().filter_map(|view| if let Some(Window::Events(n)) = view.window { Some(n) } else { None });
    let (spans, counts): (BTreeSet<i64>, BTreeSet<usize>) = (spans.collect(), counts.chain([CAP]).collect());
    (spans.into_iter().collect(), counts.into_iter().collect())
}

/// The moments at which an event comes in or leaves a window.
fn moments(times: impl Iterator<Item = i64>, spans: &[i64], (after, until): Span) -> BTreeSet<i64> {
    let of =
        |time: i64| std::iter::once(0).chain(spans.iter().copied()).map(move |span| time.saturating_add(span).saturating_add(1));
    times.flat_map(of).filter(|moment| *moment > after && *moment <= until).collect()
}

fn of_users(
    data: &Dataset,
    table: &TableSpec,
    column: Option<&str>,
    span: Span,
    write: &mut impl FnMut(usize, Vec<Row>) -> Result<()>,
) -> Result<()> {
    let values = column.and_then(|name| data.item_table.columns.iter().find(|own| own.name == name));
    let values = values.map(|column| column.values.as_slice());
    for (chunk, first) in (0..data.users.len()).step_by(USERS).enumerate() {
        let users = first..data.users.len().min(first + USERS);
        let part: Vec<Vec<Row>> = users.into_par_iter().map(|user| of_user(data, table, values, span, user)).collect();
        write(chunk, part.into_iter().flatten().collect())?;
    }
    Ok(())
}

/// The rows of one user, by the code that a page runs.
fn of_user(data: &Dataset, table: &TableSpec, column: Option<&[Value]>, span: Span, user: usize) -> Vec<Row> {
    let history = history_of(data, CAP);
    let events: Vec<RowEvent> = data.history(user).iter().map(row_event).collect();
    let time = |event: &RowEvent| event.time.unwrap_or(i64::MIN);
    let before = |moment: i64| events.partition_point(|event| time(event) < moment);
    let (spans, counts) = windows(&table.views);
    let mut rows = Vec::new();
    for moment in moments(events.iter().map(time), &spans, span) {
        let known = &events[..before(moment)];
        let row = |key, values| Row { entity: user as u32, key, moment, values };
        let Some(column) = column else {
            rows.push(row(None, table.views.iter().map(|view| view.value(&history, known, Some(moment))).collect()));
            continue;
        };
        // The events that come in at this moment, and those that leave a window then.
        let earlier = before(moment - 1);
        let mut changed: Vec<&RowEvent> = known[earlier..].iter().collect();
        spans.iter().for_each(|span| changed.extend(&events[before(moment - span - 1)..before(moment - span)]));
        let left = |n: &usize| earlier.saturating_sub(*n)..known.len().saturating_sub(*n);
        counts.iter().for_each(|n| changed.extend(&events[left(n)]));
        let value_of = |row: u32| column.get(row as usize);
        let members = changed.iter().filter_map(|event| value_of(event.row?)).flat_map(Value::set);
        let keys: BTreeSet<String> = members.collect();
        if keys.is_empty() {
            continue;
        }
        let shares: Vec<_> = table.views.iter().map(|view| view.shares(&history, known, Some(moment), value_of)).collect();
        for key in keys {
            let own = Value::Set(vec![key.clone()]);
            rows.push(row(Some(key), shares.iter().map(|shares| shares.value(Some(&own))).collect()));
        }
    }
    rows.sort_by(|a, b| (&a.key, a.moment).cmp(&(&b.key, b.moment)));
    rows
}

fn of_items(
    data: &Dataset,
    table: &TableSpec,
    column: Option<&str>,
    span: Span,
    write: &mut impl FnMut(usize, Vec<Row>) -> Result<()>,
) -> Result<()> {
    let column =
        column.map(|name| counted_context(data, name).with_context(|| format!("no column `{}`", plain(name)))).transpose()?;
    let slots = column.as_ref().map(|column| EventSlots::new(data, column));
    let counted = |(place, event): (usize, &DatasetEvent)| {
        let slot = slots.as_ref().map_or(Some(0), |slots| slots.slot(event, place))?;
        Some((row_event(event), slot))
    };
    let events: Counted = data.events.iter().enumerate().filter_map(counted).collect();
    let mut times: Vec<(u32, u32, i64)> =
        events.iter().map(|(event, slot)| (event.row.unwrap_or(0), *slot, event.time.unwrap_or(i64::MIN))).collect();
    times.sort_unstable();
    let width = column.as_ref().map_or(1, ColumnEncoding::width);
    let history = history_of(data, usize::MAX);
    // They are asked for once: all views of a table are counted of the same.
    let events = std::cell::RefCell::new(events);
    let tables = ItemTables::new(&table.views, &history, data.items.len(), |_| (width, events.take()));
    let (spans, _) = windows(&table.views);
    let of_list = |list: &[(u32, u32, i64)]| {
        let (item, slot, _) = list[0];
        let key = column.as_ref().map(|column| text_of(column, slot));
        let row = |moment: i64| Row {
            entity: item,
            key: key.clone(),
            moment,
            values: (0..table.views.len()).map(|view| tables.value(view, item, slot as usize, Some(moment))).collect(),
        };
        moments(list.iter().map(|(_, _, time)| *time), &spans, span).into_iter().map(row).collect::<Vec<Row>>()
    };
    let lists: Vec<&[(u32, u32, i64)]> = times.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
    for (chunk, lists) in lists.chunks(ITEMS).enumerate() {
        let part: Vec<Vec<Row>> = lists.par_iter().map(|list| of_list(list)).collect();
        write(chunk, part.into_iter().flatten().collect())?;
    }
    Ok(())
}

fn write_part(data: &Dataset, table: &TableSpec, path: &Path, rows: &[Row]) -> Result<()> {
    let (entity, second) = table.keys();
    let ids = if entity == "user" { &data.users } else { &data.items };
    let columns = |range: std::ops::Range<usize>| {
        let rows = &rows[range];
        let mut columns =
            vec![(entity, Written::Texts(rows.iter().map(|row| Some(ids[row.entity as usize].as_str())).collect()))];
        columns.extend(second.map(|name| (name, Written::Texts(rows.iter().map(|row| row.key.as_deref()).collect()))));
        columns.push((MOMENT, Written::Moments(rows.iter().map(|row| row.moment).collect())));
        let views = table.views.iter().enumerate();
        columns.extend(
            views.map(|(i, view)| (view.name.as_str(), Written::Numbers(rows.iter().map(|row| row.values[i]).collect()))),
        );
        columns
    };
    columnar::write(path, rows.len(), columns).with_context(|| path.display().to_string())
}
