//! A log as a CSV table.

use std::collections::BTreeMap;
use std::io::{Error, Read, Result as IoResult};
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Logged, Modelled};
use crate::files;
use crate::log::{MAX_LINE, MAX_SLOTS, probability, text};

/// Most rows of a table.
const MAX_ROWS: usize = 20_000_000;

/// A table that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The rows, by slate and slot; there is at least one.
    pub rows: Vec<Logged>,
    /// The number that the table gives the first slot: 0, or 1 where it counts from 1. In `rows` it is 0.
    pub first_slot: usize,
}

/// Reads a CSV table, plain or gzipped, with the columns `reward`, `propensity` and `target`, and optionally `slate`,
/// `slot`, `estimate` and `value`. Their meaning is that of the fields of [`Logged`]; other columns are ignored.
/// Without `slate` each row is a slate of its own. Slots may be counted from any number: the smallest is the first
/// slot.
///
/// # Errors
/// A required column that is missing; a number that is missing or out of range, with its line; more than 1,000 slots or
/// 20 million rows.
pub fn read_table(path: &Path) -> Result<Table> {
    let named = || path.display().to_string();
    let text = text(files::open(path)?.0).with_context(named)?;
    let mut reader = csv::Reader::from_reader(BoundedLines { text, since: 0 });
    let header = reader.headers().with_context(named)?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let needed = |name: &str| {
        place(name).with_context(|| format!("{}: no column `{name}`: without it nothing can be said of another policy", named()))
    };
    let [reward, propensity, target] = [needed("reward")?, needed("propensity")?, needed("target")?];
    let (slate, slot, estimate, value) = (place("slate"), place("slot"), place("estimate"), place("value"));
    let (mut names, mut rows) = (BTreeMap::new(), Vec::new());
    for (i, record) in reader.records().enumerate() {
        ensure!(i < MAX_ROWS, "{}: more than {MAX_ROWS} rows", named());
        let record = record.with_context(named)?;
        let at = || format!("{}:{}", path.display(), record.position().map_or(0, csv::Position::line));
        let number = |column: usize| -> Result<f64> {
            let text = record.get(column).unwrap_or_default();
            let number = text.parse().ok().filter(|x: &f64| x.is_finite());
            number.with_context(|| format!("{}: {}: `{text}` is no finite number", at(), &header[column]))
        };
        let model = match (estimate, value) {
            (Some(estimate), Some(value)) => Some(Modelled { estimate: number(estimate)?, value: number(value)? }),
            _ => None,
        };
        let next = names.len();
        let slate = match slate {
            Some(column) => *names.entry(record.get(column).unwrap_or_default().to_owned()).or_insert(next),
            None => i,
        };
        let slot = slot.map(number).transpose()?.unwrap_or(0.0);
        let whole = slot >= 0.0 && slot.fract() == 0.0 && slot <= MAX_SLOTS as f64;
        ensure!(whole, "{}: slot: expected a whole number from 0 to {MAX_SLOTS}, got {slot}", at());
        let row = Logged {
            slate,
            slot: slot as usize,
            reward: number(reward)?,
            propensity: number(propensity)?,
            target: number(target)?,
            model,
        };
        probability(row.propensity).with_context(at)?;
        ensure!((0.0..=1.0).contains(&row.target), "{}: target: expected 0 to 1, got {}", at(), row.target);
        rows.push(row);
    }
    ensure!(!rows.is_empty(), "{}: no rows", named());
    rows.sort_by_key(|row| (row.slate, row.slot));
    let twice = rows.windows(2).find(|w| (w[0].slate, w[0].slot) == (w[1].slate, w[1].slot));
    ensure!(twice.is_none(), "{}: a slate has its slot {} twice", named(), twice.map_or(0, |w| w[0].slot));
    let first_slot = rows.iter().map(|row| row.slot).min().unwrap_or(0);
    rows.iter_mut().for_each(|row| row.slot -= first_slot);
    Ok(Table { rows, first_slot })
}

/// A text whose lines are bounded, so that no cell takes all memory.
struct BoundedLines<R> {
    text: R,
    /// Bytes since the last line feed.
    since: usize,
}

impl<R: Read> Read for BoundedLines<R> {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        let n = self.text.read(into)?;
        self.since = into[..n].iter().rev().position(|byte| *byte == b'\n').unwrap_or(self.since + n);
        if self.since > MAX_LINE { Err(Error::other(format!("a line of more than {MAX_LINE} bytes"))) } else { Ok(n) }
    }
}
