//! The events file: one event a row, with its columns found by their meaning.

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Result, bail};

use super::ReadOptions;
use super::good_rows::{fingerprint, read_good_rows};
use super::table::declared_columns;
use crate::data::cell::Cell;
use crate::data::columns::{self, Collected};
use crate::data::declared::{Declared, TimeUnit};
use crate::data::ids::Names;
use crate::data::{DatasetEvent, LongVec, Notes, rows};

/// Times that are accepted: the years 0 to 9999, in Unix seconds.
const TIMES: RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
/// Names of the columns that have a meaning of their own.
const MEANINGS: [&str; 5] = ["user", "item", "timestamp", "rating", "type"];

/// The events file as read: users, items and types are numbered in the order in which they first appear.
pub(super) struct EventsFile {
    pub users: Names,
    pub items: Names,
    pub types: Names,
    /// The good rows, in file order.
    pub lines: LongVec<Line>,
    /// The columns declared as `[context.COLUMN]`: one cell a good row.
    pub context: Vec<Collected>,
}

/// A good row of the events file.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// The event; until all rows are read, its user, item and type are numbers in the order of appearance.
    pub event: DatasetEvent,
    /// Number of the row among the good rows, from 0.
    pub row: u32,
    /// The row's [`fingerprint`], by which exact repeats are found.
    pub print: u64,
}

/// Reads the events file and adds its counts to `notes`.
///
/// # Errors
/// No column for users or items, a column that `data.toml` names and the file lacks, too many bad rows, no
/// good row.
pub(super) fn read_events(path: &Path, declared: &Declared, options: &ReadOptions, notes: &mut Notes) -> Result<EventsFile> {
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
        // A number beyond u16 is clipped here: `event_types` refuses so many.
        let event = DatasetEvent { user, item, kind: kind.min(u32::from(u16::MAX)) as u16, rating, time, weight: 1.0 };
        for column in &mut out.context {
            column.push(std::mem::replace(&mut cells[column.at], Cell::Missing));
        }
        row += 1;
        Ok(Line { event, row: row - 1, print })
    };
    notes.tables.push(read_good_rows(path, source.rows, options, line, |line| lines.push(line))?);
    out.lines = lines;
    if out.lines.is_empty() {
        bail!("{}: no events", path.display());
    }
    Ok(out)
}

/// A cell of the column `timestamp`, in Unix seconds; the error says what is wrong with it.
fn time(cell: &Cell, unit: TimeUnit) -> Result<i64, String> {
    let fault = |what: &str| Err(format!("timestamp {} is not {what}", columns::shown(cell)));
    let seconds = match cell {
        Cell::Moment(seconds) => *seconds,
        _ => {
            let whole = match cell {
                Cell::Text(text) => text.trim().parse().ok(),
                _ => None,
            };
            // A whole number may also be written as 881250949.0; below 2^53 that form is exact.
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
