//! A log as a CSV table.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;

use super::{Logged, Modelled};

/// Reads a CSV table, plain or gzipped, with the columns `reward`, `propensity` and `target`, and optionally `slate`,
/// `slot` (from 0), `estimate` and `value`. Their meaning is that of the fields of [`Logged`]; other columns are
/// ignored. Without `slate` each row is a slate of its own.
///
/// # Errors
/// A required column that is missing; a number that is missing or out of range, with its line.
pub fn read_table(path: &Path) -> Result<Vec<Logged>> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let mut text = Vec::new();
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => {
            _ = MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut text).with_context(|| format!("{}", path.display()))?
        }
        false => text = bytes,
    }
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let header = reader.headers().with_context(|| format!("{}", path.display()))?.clone();
    let place = |name: &str| header.iter().position(|column| column == name);
    let needed = |name: &str| {
        place(name)
            .with_context(|| format!("{}: no column `{name}`: without it nothing can be said of another policy", path.display()))
    };
    let [reward, propensity, target] = [needed("reward")?, needed("propensity")?, needed("target")?];
    let (slate, slot, estimate, value) = (place("slate"), place("slot"), place("estimate"), place("value"));
    let (mut names, mut log) = (BTreeMap::new(), Vec::new());
    for (i, record) in reader.records().enumerate() {
        let at = || format!("{}:{}", path.display(), i + 2);
        let record = record.with_context(at)?;
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
        let name = slate.map_or_else(|| i.to_string(), |column| record.get(column).unwrap_or_default().to_owned());
        let slot = slot.map(number).transpose()?.unwrap_or(0.0);
        ensure!(
            slot >= 0.0 && slot.fract() == 0.0 && slot < 10_000.0,
            "{}: slot: expected a whole number from 0, got {slot}",
            at()
        );
        let row = Logged {
            slate: *names.entry(name).or_insert(next),
            slot: slot as usize,
            reward: number(reward)?,
            propensity: number(propensity)?,
            target: number(target)?,
            model,
        };
        ensure!(
            row.propensity > 0.0 && row.propensity <= 1.0,
            "{}: propensity: expected 0 < p <= 1, got {}",
            at(),
            row.propensity
        );
        ensure!((0.0..=1.0).contains(&row.target), "{}: target: expected 0 to 1, got {}", at(), row.target);
        log.push(row);
    }
    ensure!(!log.is_empty(), "{}: no rows", path.display());
    log.sort_by_key(|row| (row.slate, row.slot));
    let twice = log.windows(2).find(|w| (w[0].slate, w[0].slot) == (w[1].slate, w[1].slot));
    ensure!(twice.is_none(), "{}: a slate has its slot {} twice", path.display(), twice.map_or(0, |w| w[0].slot));
    Ok(log)
}
