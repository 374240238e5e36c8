//! `foretaste data`.

use anyhow::{Result, bail};

/// Get a data set: MovieLens 100K, or generated events.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
