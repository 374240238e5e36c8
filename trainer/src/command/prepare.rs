//! `foretaste prepare`.

use anyhow::{Result, bail};

/// Check a data folder and report on it.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
