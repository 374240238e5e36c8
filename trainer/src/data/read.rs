//! A data folder into a [`Dataset`].

use std::path::Path;

use anyhow::{Result, bail};

use super::Dataset;

/// How a folder is read.
#[derive(Debug, Clone, Copy)]
pub struct ReadOptions {
    /// Largest share of bad rows that is let pass.
    pub max_bad: f64,
    /// Do not print the choice of columns; bad rows are still named.
    pub quiet: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { max_bad: 0.01, quiet: false }
    }
}

/// Reads and checks a data folder, or what `prepare` made of one.
pub fn read_folder(_folder: &Path, _options: &ReadOptions) -> Result<Dataset> {
    bail!("not yet")
}
