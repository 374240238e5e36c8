//! `foretaste evaluate`.

use anyhow::{Result, bail};

/// Measure a bundle under a protocol.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
