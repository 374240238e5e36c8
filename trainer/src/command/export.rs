//! `foretaste export`.

use anyhow::{Result, bail};

/// Make a bundle of a run.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
