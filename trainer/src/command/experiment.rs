//! `foretaste experiment`.

use anyhow::{Result, bail};

/// Train, export and evaluate over folds and seeds, beside baselines.
#[derive(clap::Args)]
pub struct Args {}

/// Runs the verb.
pub fn run(_args: Args) -> Result<()> {
    bail!("not yet")
}
