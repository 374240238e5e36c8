//! Rows of a table file, whatever its form.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::bufread::MultiGzDecoder;

use super::delimited::Delimited;
use super::{columnar, jsonl};

/// One cell of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Empty or null.
    Missing,
    /// A text; a number in its shortest form.
    Text(String),
    /// A moment, Unix seconds, from a form that has a type for it.
    Moment(i64),
    /// A list of texts.
    List(Vec<String>),
    /// A list of finite numbers.
    Vector(Vec<f64>),
}

impl Cell {
    /// A text, or nothing where it is empty.
    pub fn of(text: String) -> Cell {
        if text.is_empty() { Cell::Missing } else { Cell::Text(text) }
    }

    /// A list, or nothing where it is empty.
    pub fn list(members: Vec<String>) -> Cell {
        if members.is_empty() { Cell::Missing } else { Cell::List(members) }
    }
}

/// One row: its line (1 is the first of the file, header included) and its cells, one a column, or why there are none.
pub(super) struct Row {
    pub line: u64,
    pub cells: Result<Vec<Cell>, String>,
}

/// The rows of a file. An error ends them; a bad row is a [`Row`] without cells.
pub(super) struct Rows {
    pub columns: Vec<String>,
    pub rows: Box<dyn Iterator<Item = Result<Row>>>,
}

/// Endings of the file name, and whether the form may be compressed by gzip.
const FORMS: [&str; 7] = ["csv", "csv.gz", "tsv", "tsv.gz", "jsonl", "jsonl.gz", "parquet"];

/// The file `stem.FORM` of a folder, if there is one.
///
/// # Errors
/// If there are several.
pub(super) fn find(folder: &Path, stem: &str) -> Result<Option<PathBuf>> {
    let mut found = FORMS.iter().map(|form| folder.join(format!("{stem}.{form}"))).filter(|path| path.is_file());
    let first = found.next();
    if let (Some(first), Some(second)) = (&first, found.next()) {
        bail!("{} and {}: one of them expected", first.display(), second.display());
    }
    Ok(first)
}

/// Opens a file that [`find`] found.
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

/// The bytes of a text file, unpacked.
fn reader(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = BufReader::with_capacity(1 << 16, File::open(path).with_context(|| path.display().to_string())?);
    Ok(if path.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}
