//! `foretaste train`.

use anyhow::{Result, bail};

/// Learn the towers from a data folder.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
