//! `foretaste export`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use foretaste_trainer::export::{Planes, export};
use foretaste_trainer::training::Run;

/// Make a bundle, a folder of static files, from a finished training.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste export --run run --out bundle")]
pub struct Args {
    /// The folder that `train` left.
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// The folder of the bundle. An older bundle there stands until the new one is whole.
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// Planes beside the int8 rows: a finer one that ranks as the unquantised rows do, half a byte a number; a coarser one that a search of many rows reads first, a quarter.
    #[arg(long, value_enum, default_value_t)]
    planes: Planes,
    /// Say nothing: there is no progress to show.
    #[arg(long)]
    quiet: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    export(&Run::load(&args.run)?, &args.out, args.planes).with_context(|| format!("{}: no bundle made", args.out.display()))?;
    if !args.quiet {
        eprintln!("exported: {}", args.out.display());
    }
    Ok(())
}
