//! The events file: one event a row, with its columns found by their meaning.

use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Result, bail};

use super::good_rows::{fingerprint, read_good_rows};
use super::table::declared_columns;
use super::{ReadOptions, names};
use crate::data::cell::Cell;
use crate::data::columns::{self, Collected};
use crate::data::declared::{Declared, TimeUnit};
use crate::data::ids::Names;
use crate::data::{DatasetEvent, LongVec, Notes, rows};
use crate::time;

/// Times that are accepted: the years 0 to 9999, in Unix seconds.
const TIMES: RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
/// Names of the columns that have a meaning of their own.
const MEANINGS: [&str; 5] = ["user", "item", "timestamp", "rating", "type"];
/// Seconds of a year. Times within the first year of Unix time are likely to be of another unit.
const YEAR: i64 = 366 * 86_400;

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
    let source = rows::open(path, options.expansion)?;
    let find = |meaning: &str| declared.columns.find(meaning, &source.columns);
    let (Some(user), Some(item)) = (find("user"), find("item")) else {
        let missing: Vec<&str> = ["user", "item"].into_iter().filter(|meaning| find(meaning).is_none()).collect();
        bail!("{}: {}", path.display(), names::missing(&missing, &source));
    };
    if let Some((meaning, name)) = declared.columns.lost(&MEANINGS, &source.columns) {
        bail!("data.toml: [columns] {meaning} = {name:?}: no such column in {}", path.display());
    }
    if let Some(name) = MEANINGS.iter().find(|name| declared.context.contains_key(**name)) {
        bail!("data.toml: [context.{name}]: the column has a meaning of its own");
    }
    let (timestamp, rating, kind) = (find("timestamp"), find("rating"), find("type"));
    let read = [Some(user), Some(item), timestamp, rating, kind];
    let unread = |(i, name): (usize, &String)| !read.contains(&Some(i)) && !declared.context.contains_key(name);
    let unread: Vec<String> = source.columns.iter().enumerate().filter(|c| unread(*c)).map(|c| c.1.clone()).collect();
    let proposals = MEANINGS.iter().zip(read).filter(|(_, at)| at.is_none());
    let proposals: Vec<String> = proposals.filter_map(|(meaning, _)| names::proposal(meaning, &unread)).collect();
    let mut told = Vec::from_iter(source.told);
    let (mut dates, mut latest) = (0_u64, None);
    let mut lines = LongVec::new(options.in_memory);
    let mut row = 0;
    let mut out = EventsFile {
        users: Names::default(),
        items: Names::default(),
        types: Names::default(),
        lines: LongVec::new(0),
        context: declared_columns(
            &source.columns.iter().cloned().map(Some).collect::<Vec<_>>(),
            &source.numbers,
            &declared.context,
            "context",
            path,
        )?,
    };
    let line = |cells: &mut [Cell]| {
        let print = fingerprint(cells);
        let id = |at: usize, what: &str| match &cells[at] {
            Cell::Missing => Err(format!("{what} is empty")),
            cell => whole_text(cell, what),
        };
        let (user, item) = (id(user, "user")?, id(item, "item")?);
        let time = timestamp.map(|at| time_of(&cells[at], declared.time_unit)).transpose()?;
        let rating = match rating.map(|at| &cells[at]) {
            None | Some(Cell::Missing) => None,
            Some(cell) => Some(columns::number(cell).ok_or_else(|| no_rating(cell))?),
        };
        if let Some(fault) = out.context.iter().find_map(|c| c.fault(&cells[c.at])) {
            return Err(fault);
        }
        let default = if rating.is_some() { "rate" } else { "view" };
        let kind = match kind.map(|at| &cells[at]) {
            None | Some(Cell::Missing) => out.types.intern(default),
            Some(cell) => out.types.intern(&whole_text(cell, "type")?),
        };
        let (user, item) = (out.users.intern(&user), out.items.intern(&item));
        // A number beyond u16 is clipped here: `event_types` refuses so many.
        let kind = kind.min(u32::from(u16::MAX)) as u16;
        dates += u64::from(time.is_some_and(|t| t.from_date));
        let time = time.map(|t| t.seconds);
        latest = latest.max(time);
        let event = DatasetEvent { user, item, kind, rating, time, weight: 1.0 };
        for column in &mut out.context {
            column.push(std::mem::replace(&mut cells[column.at], Cell::Missing));
        }
        row += 1;
        Ok(Line { event, row: row - 1, print })
    };
    let mut table = read_good_rows(path, source.rows, options, notes, line, |line| lines.push(line))?;
    out.lines = lines;
    if dates > 0 {
        told.push("timestamps read as dates, in Unix seconds of UTC".to_owned());
    }
    (table.unread, table.told) = (unread.into_iter().chain(source.structures).collect(), told);
    proposals.iter().for_each(|proposal| notes.warn(format!("{}: {proposal}", table.file)));
    if let Some(doubt) = latest.and_then(|latest| doubt(latest, declared.time_unit)) {
        notes.warn(format!("{}: the last event is of {}: {doubt}", table.file, time::day(latest.unwrap_or(0))));
    }
    notes.table(table);
    if out.lines.is_empty() {
        bail!("{}: no events", path.display());
    }
    Ok(out)
}

/// Why a cell is no rating.
fn no_rating(cell: &Cell) -> String {
    let comma = columns::text(cell).replacen(',', ".", 1).trim().parse::<f64>().is_ok_and(f64::is_finite);
    let hint = if comma { ": a decimal point expected" } else { "" };
    format!("rating {} is not a finite number{hint}", columns::shown(cell))
}

/// The text of a cell that is not missing; `what` is its column in the error.
fn whole_text(cell: &Cell, what: &str) -> Result<String, String> {
    match cell {
        Cell::Opaque(opaque) => Err(format!("{what} is {}", opaque.why)),
        cell => Ok(columns::text(cell)),
    }
}

/// The time of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Time {
    /// Unix seconds.
    seconds: i64,
    /// Whether the cell is a text with a date.
    from_date: bool,
}

/// A cell of the column `timestamp`; the error says what is wrong with it.
fn time_of(cell: &Cell, unit: TimeUnit) -> Result<Time, String> {
    let fault = |what: &str| Err(format!("timestamp {} is {what}", columns::shown(cell)));
    let (seconds, number, from_date) = match cell {
        Cell::Moment(seconds) => (*seconds, 0, false),
        _ => {
            let text = if let Cell::Text(text) = cell { text.trim() } else { "" };
            // A whole number may also be written as 881250949.0; below 2^53 that form is exact.
            let decimal = || columns::number(cell).filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i64);
            match (text.parse().ok().or_else(decimal), unit) {
                (None, _) => match time::seconds(text) {
                    Some(seconds) => (seconds, 0, true),
                    None => return fault("neither a whole number nor an ISO 8601 date or time"),
                },
                (Some(t), TimeUnit::Seconds) => (t, t, false),
                (Some(t), TimeUnit::Milliseconds) => (t.div_euclid(1000), t, false),
            }
        }
    };
    if !TIMES.contains(&seconds) {
        return fault(&format!("not in the years 0 to 9999{}", unit_hint(number, unit)));
    }
    Ok(Time { seconds, from_date })
}

/// What may be wrong if the last event is of the first year of Unix time.
fn doubt(latest: i64, unit: TimeUnit) -> Option<&'static str> {
    let date = format!("{:04}-{:02}-{:02}", latest / 10_000, latest / 100 % 100, latest % 100);
    match unit {
        _ if !(0..YEAR).contains(&latest) => None,
        TimeUnit::Milliseconds => Some("data.toml says time_unit = \"ms\", but the timestamps look like seconds"),
        TimeUnit::Seconds => time::seconds(&date).map(|_| "the timestamps look like days such as 20220624: write 2022-06-24"),
    }
}

/// What a number that is no time of its unit seems to be, by its size.
fn unit_hint(number: i64, unit: TimeUnit) -> String {
    match number.unsigned_abs() {
        1_000_000_000_000_000_000.. => "; it looks like nanoseconds: divide it by 1,000,000,000".to_owned(),
        100_000_000_000_000.. => "; it looks like microseconds: divide it by 1,000,000".to_owned(),
        100_000_000_000.. if unit == TimeUnit::Seconds => "; data.toml may say time_unit = \"ms\"".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_first_year_are_doubted() {
        let (s, ms) = (TimeUnit::Seconds, TimeUnit::Milliseconds);
        assert!(doubt(20_220_624, s).is_some_and(|text| text.contains("2022-06-24")));
        assert!(doubt(1_656_105, ms).is_some_and(|text| text.contains("look like seconds")));
        for (latest, unit) in [(20_229_999, s), (5, s), (-1, ms), (1_656_105_611, s), (1_656_105_611, ms)] {
            assert_eq!(doubt(latest, unit), None, "{latest}");
        }
    }

    #[test]
    fn times_are_numbers_or_dates() {
        let time = |text: &str, unit| time_of(&Cell::Text(text.to_owned()), unit).map(|t| (t.seconds, t.from_date));
        let (s, ms) = (TimeUnit::Seconds, TimeUnit::Milliseconds);
        for (text, unit, expected) in [
            ("881250949", s, (881_250_949, false)),
            (" 881250949.0 ", s, (881_250_949, false)),
            ("-1", ms, (-1, false)),
            ("2022-06-24 21:20:11", s, (1_656_105_611, true)),
            ("2022-06-24T23:20:11.7+02:00", ms, (1_656_105_611, true)),
        ] {
            assert_eq!(time(text, unit), Ok(expected), "{text}");
        }
        for (text, unit, expected) in [
            ("1701135459000", s, "not in the years 0 to 9999; data.toml may say time_unit = \"ms\""),
            ("1701135459000000", s, "not in the years 0 to 9999; it looks like microseconds: divide it by 1,000,000"),
            ("1701135459000000", ms, "not in the years 0 to 9999; it looks like microseconds: divide it by 1,000,000"),
            ("1701135459000000000", s, "not in the years 0 to 9999; it looks like nanoseconds: divide it by 1,000,000,000"),
            ("1701135459000000000", ms, "not in the years 0 to 9999; it looks like nanoseconds: divide it by 1,000,000,000"),
            ("24.06.2022", s, "neither a whole number nor an ISO 8601 date or time"),
            ("1.5", s, "neither a whole number nor an ISO 8601 date or time"),
        ] {
            assert_eq!(time(text, unit), Err(format!("timestamp {text:?} is {expected}")), "{text}");
        }
    }
}
