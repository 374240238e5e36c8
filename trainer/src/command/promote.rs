//! `foretaste promote`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::export::Published;
use foretaste_trainer::update::Versions;
use serde_json::json;

use super::output;

/// Make a version the champion, which visitors get: the challenger, or the one that --version names.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste promote versions
  foretaste promote versions --version 3 --force")]
pub struct Args {
    /// The folder of the versions, which `update` made.
    #[arg(value_name = "VERSIONS")]
    versions: PathBuf,
    /// Promote this version instead of the challenger.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Promote the version even if it failed the gate.
    #[arg(long, requires = "version")]
    force: bool,
    /// Print one JSON object instead of a sentence; with FILE, write it there and print the sentence too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let done = Versions::open(&args.versions)?.promote(args.version, args.force)?;
    report(&done, args.json)
}

/// Prints the result of `promote` or `rollback`: the new champion, and how much pages download.
pub fn report(done: &(u32, Published), json: Option<PathBuf>) -> Result<()> {
    output::print(&json!({ "champion": done.0, "published": done.1 }), json.as_deref(), || promoted(done))
}

/// The same result as a sentence.
pub fn promoted((version, published): &(u32, Published)) -> String {
    let kilobytes = |bytes: u64| bytes.div_ceil(1000);
    format!(
        "version {version} is the champion: a page that has the previous bundle fetches {} KB instead of {} KB\n",
        kilobytes(published.delta_bytes),
        kilobytes(published.bytes)
    )
}
