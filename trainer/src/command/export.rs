//! `foretaste export`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use foretaste_trainer::export::{Contents, Planes, export};
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
    /// Neighbours of an item to store, 0 to 64: those of the largest weights. 0 leaves neighbours out. Default: as many
    /// as validation compared, and not more bytes than the item files.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=64))]
    neighbours: Option<u64>,
    /// Print nothing. The command shows no progress in any case.
    #[arg(long)]
    quiet: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let contents = Contents { planes: args.planes, neighbours: args.neighbours.map(|n| n as usize) };
    export(&Run::load(&args.run)?, &args.out, contents).with_context(|| format!("{}: no bundle was made", args.out.display()))?;
    if !args.quiet {
        eprintln!("exported: {}", args.out.display());
    }
    Ok(())
}
