//! Rows of a table file: the good ones are kept, the bad ones counted and named.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Result, bail};
use sha2::{Digest, Sha256};

use super::ReadOptions;
use crate::data::cell::{Cell, Row};
use crate::data::{Notes, TableNotes, columns};

/// A field in quotes over so many lines is likely to be a quote that is not one.
const LONG_FIELD: u64 = 10;

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
    notes: &mut Notes,
    mut take: impl FnMut(&mut [Cell]) -> Result<T, String>,
    mut keep: impl FnMut(T) -> Result<()>,
) -> Result<TableNotes> {
    let mut table = TableNotes::new(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
    // The line of the first long field, its lines, and the number of all such fields.
    let mut long: Option<(u64, u64, usize)> = None;
    let ended = rows.into_iter().try_for_each(|row| {
        let row = row?;
        table.rows += 1;
        if row.field_lines >= LONG_FIELD {
            let (line, lines, count) = long.unwrap_or((row.line, row.field_lines, 0));
            long = Some((line, lines, count + 1));
        }
        match row.cells.and_then(|mut cells| take(&mut cells)) {
            Ok(taken) => keep(taken)?,
            Err(reason) => table.bad_row(row.line, &reason),
        }
        anyhow::Ok(())
    });
    table.print();
    if let Some((line, lines, count)) = long {
        let more = if count > 1 { format!(", and {} more such fields", count - 1) } else { String::new() };
        notes.warn(format!(
            "{}:{line}: a field in quotes goes over {lines} lines{more}; a quote that belongs to a value is written twice in a field in quotes",
            table.file
        ));
    }
    ended?;
    if table.bad_share() > options.max_bad {
        bail!(
            "{}: {} of {} rows are bad, {:.1} %: at most {} % are let pass (--max-bad)",
            path.display(),
            table.bad,
            table.rows,
            100.0 * table.bad_share(),
            100.0 * options.max_bad
        );
    }
    Ok(table)
}

/// The first 8 bytes of the SHA-256 of a row's cells. Equal rows have equal fingerprints; that two different rows of
/// one user share one is too unlikely to matter.
pub(super) fn fingerprint(cells: &[Cell]) -> u64 {
    let mut hash = Sha256::new();
    for cell in cells {
        let bytes: Cow<[u8]> = match cell {
            Cell::Text(text) => text.as_bytes().into(),
            Cell::Opaque(opaque) => opaque.bytes.as_slice().into(),
            other => columns::text(other).into_bytes().into(),
        };
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    let mut out = [0; 8];
    out.copy_from_slice(&hash.finalize()[..8]);
    u64::from_le_bytes(out)
}
