//! Opens a table file in any of the supported formats.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::bufread::MultiGzDecoder;

use super::cell::Rows;
use super::delimited::{Delimited, Separated};
use super::{columnar, jsonl, plain};
use crate::files;

/// Endings of file names.
const FORMS: [&str; 7] = ["csv", "csv.gz", "tsv", "tsv.gz", "jsonl", "jsonl.gz", "parquet"];

/// The file `stem.FORM` of a folder; `None` if there is none. It may be something else that has this name: a folder of
/// Parquet parts, or what [`open`] refuses.
///
/// # Errors
/// The folder has several such files.
pub(super) fn find(folder: &Path, stem: &str) -> Result<Option<PathBuf>> {
    let mut found = FORMS.iter().map(|form| folder.join(format!("{stem}.{form}"))).filter(|path| path.symlink_metadata().is_ok());
    let first = found.next();
    if let (Some(first), Some(second)) = (&first, found.next()) {
        bail!("{} and {}: one of them expected", first.display(), second.display());
    }
    Ok(first)
}

/// Opens a file that [`find`] returned. For each of its bytes a Parquet file may decode to `expansion` bytes, and to
/// those of 256 KiB more.
///
/// # Errors
/// Not a regular file (or a folder of parts, for Parquet); a file that cannot be read; two columns of one name.
pub(super) fn open(path: &Path, expansion: u64) -> Result<Rows> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let form = name.split_once('.').map_or("", |(_, form)| form);
    let rows = match form.trim_end_matches(".gz") {
        "parquet" if path.is_dir() => columnar::rows(&parts(path)?, expansion),
        "parquet" => {
            files::open(path)?;
            columnar::rows(&[path.to_owned()], expansion)
        }
        "csv" => Delimited::rows(reader(path)?, Separated::Comma),
        "tsv" => Delimited::rows(reader(path)?, Separated::Tab),
        "jsonl" => {
            files::open(path)?;
            jsonl::rows(|| reader(path))
        }
        other => bail!("{name}: tables in the form `{other}` are not known"),
    }
    .with_context(|| path.display().to_string())?;
    let mut sorted: Vec<_> = rows.columns.iter().collect();
    sorted.sort_unstable();
    if let Some(twice) = sorted.windows(2).find(|w| w[0] == w[1]) {
        bail!("{}: two columns `{}`", path.display(), plain(twice[0]));
    }
    let shown = path.display().to_string();
    Ok(Rows { rows: Box::new(rows.rows.map(move |row| row.with_context(|| shown.clone()))), ..rows })
}

/// The files of a Parquet table that is a folder, in the order of their names. Names that start with `.` or `_` are
/// no parts.
///
/// # Errors
/// No part, a part that is no file `*.parquet`, a single part without the file `_SUCCESS`: writers of such folders
/// leave that behind when they are done, and without it other parts may be missing.
fn parts(folder: &Path) -> Result<Vec<PathBuf>> {
    let named = || folder.display().to_string();
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(named)? {
        paths.push(entry.with_context(named)?.path());
    }
    let begins = |path: &PathBuf, with: &str| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(with));
    let done = paths.iter().any(|path| begins(path, "_SUCCESS"));
    paths.retain(|path| !begins(path, ".") && !begins(path, "_"));
    paths.sort();
    if let Some(other) = paths.iter().find(|path| !path.is_file() || path.extension().is_none_or(|e| e != "parquet")) {
        bail!("{}: a part *.parquet expected; folders within the folder are not read", other.display());
    }
    if paths.len() == 1 && !done {
        bail!(
            "{} is a folder with one part and no _SUCCESS: it may be cut off; if it is whole, make it one file of this name",
            folder.display()
        );
    }
    Ok(paths)
}

/// The bytes of a text file, decompressed if its name ends in `.gz`.
fn reader(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = BufReader::with_capacity(1 << 16, files::open(path)?.0);
    Ok(if path.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}
