//! Tables out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

/// A Parquet table of `user`, `rank` (from 1), `item`, `score`: `slates` by index into `users`, best item first.
pub fn write_slates(_file: &Path, _users: &[String], _slates: &BTreeMap<usize, Vec<(String, f32)>>) -> Result<()> {
    bail!("not yet")
}
