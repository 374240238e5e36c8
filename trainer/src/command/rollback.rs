//! `foretaste rollback`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::update::Versions;

use super::promote::report;

/// Make the previous champion the champion again.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste rollback versions")]
pub struct Args {
    /// The folder of the versions, which `update` made.
    #[arg(value_name = "VERSIONS")]
    versions: PathBuf,
    /// Print one JSON object instead of a sentence; with FILE, write it there and print the sentence too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    report(&Versions::open(&args.versions)?.rollback()?, args.json)
}
