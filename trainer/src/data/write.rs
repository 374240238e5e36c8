//! Tables out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

/// Appends a line of comma-separated values, quoted where RFC 4180 asks for it.
pub(super) fn csv_line<S: AsRef<str>>(out: &mut String, fields: &[S]) {
    for (i, field) in fields.iter().map(S::as_ref).enumerate() {
        if i > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            out.extend(["\"", &field.replace('"', "\"\""), "\""]);
        } else {
            out.push_str(field);
        }
    }
    out.push('\n');
}

/// A Parquet table of `user`, `rank` (from 1), `item`, `score`: `slates` by index into `users`, best item first.
pub fn write_slates(_file: &Path, _users: &[String], _slates: &BTreeMap<usize, Vec<(String, f32)>>) -> Result<()> {
    bail!("not yet")
}
