//! `foretaste rollback`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::update::Versions;

use super::promote::report;

/// Give visitors back the version that the champion has taken the place of.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste rollback versions")]
pub struct Args {
    /// The folder of the versions.
    #[arg(value_name = "VERSIONS")]
    versions: PathBuf,
    /// One JSON object: on standard output, or in FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    report(&Versions::open(&args.versions)?.rollback()?, args.json)
}
