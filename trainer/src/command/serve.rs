//! `foretaste serve`.

use anyhow::{Result, bail};

/// Serve a folder of static files on this machine.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
