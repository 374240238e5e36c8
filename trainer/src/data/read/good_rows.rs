//! Rows of a table file: the good ones are kept, the bad ones counted and named.

use std::path::Path;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};

use super::ReadOptions;
use crate::data::cell::{Cell, Row};
use crate::data::{TableNotes, columns};

/// Calls `take` for every row and passes its result to `keep`. A row that `take` refuses, or whose cells cannot be
/// read, is a bad row: it is counted, and the first ones are named on standard error.
///
/// # Errors
/// A file that cannot be read to its end, a larger share of bad rows than the options let pass, and the errors of
/// `keep`.
pub(super) fn read_good_rows<T>(
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

/// The first 8 bytes of the SHA-256 of a row's cells. Equal rows have equal fingerprints; that two different rows of
/// one user share one is too unlikely to matter.
pub(super) fn fingerprint(cells: &[Cell]) -> u64 {
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
