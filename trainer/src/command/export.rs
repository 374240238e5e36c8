//! `foretaste export`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use foretaste_trainer::export::{Planes, export};
use foretaste_trainer::training::Run;

/// Make a bundle from a finished training: a folder of static files that any web host can serve.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste export --run run --out bundle")]
pub struct Args {
    /// The folder that `train` wrote.
    #[arg(long, value_name = "RUN")]
    run: PathBuf,
    /// The folder of the bundle. An older bundle there stays valid until the new one is complete.
    #[arg(long, value_name = "BUNDLE")]
    out: PathBuf,
    /// Planes to store beside the int8 rows. The finer plane (half a byte for each number) ranks the best items as
    /// unquantised rows would; the coarser plane (a quarter of a byte) speeds up the search of large catalogs.
    #[arg(long, value_enum, default_value_t)]
    planes: Planes,
    /// Print nothing. The command shows no progress in any case.
    #[arg(long)]
    quiet: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    export(&Run::load(&args.run)?, &args.out, args.planes)
        .with_context(|| format!("{}: no bundle was made", args.out.display()))?;
    if !args.quiet {
        eprintln!("exported: {}", args.out.display());
    }
    Ok(())
}
