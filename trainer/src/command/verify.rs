//! `foretaste verify`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use foretaste_trainer::verify::{Check, checks};

use super::output;

/// Check a bundle: its files, hashes, graphs, rows and golden rows.
///
/// The exit code is 0 if all checks pass, else 1.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste verify bundle --json")]
pub struct Args {
    /// The folder of the bundle.
    bundle: PathBuf,
    /// Print one JSON object instead of the list; with FILE, write it there and print the list too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let checks = checks(&args.bundle);
    let ok = checks.iter().all(|c| c.ok);
    let line = |check: &Check| {
        let fault = format!(": expected {}, got {}", check.expected, check.got);
        format!("{:<6} {}{}\n", if check.ok { "ok" } else { "WRONG" }, check.name, if check.ok { "" } else { &fault })
    };
    let report = serde_json::json!({ "ok": ok, "checks": checks });
    output::print(&report, args.json.as_deref(), || checks.iter().map(line).collect())?;
    if !ok {
        bail!("{}: {} of {} checks failed", args.bundle.display(), checks.iter().filter(|c| !c.ok).count(), checks.len());
    }
    Ok(())
}
