//! `foretaste verify`.

use anyhow::{Result, bail};

/// Check everything that a bundle holds.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
