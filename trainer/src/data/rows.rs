//! Opens a table file in any of the supported formats.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::bufread::MultiGzDecoder;

use super::cell::Rows;
use super::delimited::Delimited;
use super::{columnar, jsonl};

/// Endings of file names.
const FORMS: [&str; 7] = ["csv", "csv.gz", "tsv", "tsv.gz", "jsonl", "jsonl.gz", "parquet"];

/// The file `stem.FORM` of a folder; `None` if there is none.
///
/// # Errors
/// The folder has several such files.
pub(super) fn find(folder: &Path, stem: &str) -> Result<Option<PathBuf>> {
    let mut found = FORMS.iter().map(|form| folder.join(format!("{stem}.{form}"))).filter(|path| path.is_file());
    let first = found.next();
    if let (Some(first), Some(second)) = (&first, found.next()) {
        bail!("{} and {}: one of them expected", first.display(), second.display());
    }
    Ok(first)
}

/// Opens a file that [`find`] returned.
pub(super) fn open(path: &Path) -> Result<Rows> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let form = name.split_once('.').map_or("", |(_, form)| form);
    let rows = match form.trim_end_matches(".gz") {
        "csv" => Delimited::rows(reader(path)?, b','),
        "tsv" => Delimited::rows(reader(path)?, b'\t'),
        "jsonl" => jsonl::rows(|| reader(path)),
        "parquet" => columnar::rows(path),
        other => bail!("{name}: tables in the form `{other}` are not known"),
    }
    .with_context(|| path.display().to_string())?;
    let mut sorted: Vec<_> = rows.columns.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
        bail!("{}: two columns `{}`", path.display(), twice[0]);
    }
    let shown = path.display().to_string();
    Ok(Rows { columns: rows.columns, rows: Box::new(rows.rows.map(move |row| row.with_context(|| shown.clone()))) })
}

/// The bytes of a text file, decompressed if its name ends in `.gz`.
fn reader(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = BufReader::with_capacity(1 << 16, File::open(path).with_context(|| path.display().to_string())?);
    Ok(if path.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}
