//! `foretaste split`.

use anyhow::{Result, bail};

/// Write the split file of a protocol.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
