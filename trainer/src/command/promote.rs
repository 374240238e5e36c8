//! `foretaste promote`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::export::Published;
use foretaste_trainer::update::Versions;
use serde_json::json;

use super::output;

/// Give visitors another version: by itself the challenger.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste promote versions")]
pub struct Args {
    /// The folder of the versions.
    #[arg(value_name = "VERSIONS")]
    versions: PathBuf,
    /// This version in place of the challenger.
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Even where it has failed the gate.
    #[arg(long, requires = "version")]
    force: bool,
    /// One JSON object: on standard output, or in FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let done = Versions::open(&args.versions)?.promote(args.version, args.force)?;
    report(&done, args.json)
}

/// What a move of the champion has come to.
pub fn report(done: &(u32, Published), json: Option<PathBuf>) -> Result<()> {
    output::print(&json!({ "champion": done.0, "published": done.1 }), json.as_deref(), || promoted(done))
}

/// The same in words.
pub fn promoted((version, published): &(u32, Published)) -> String {
    let kilobytes = |bytes: u64| bytes.div_ceil(1000);
    format!(
        "version {version} is the champion: a page that has the bundle before fetches {} KB in place of {} KB\n",
        kilobytes(published.delta_bytes),
        kilobytes(published.bytes)
    )
}
