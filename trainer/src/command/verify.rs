//! `foretaste verify`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use foretaste_trainer::verify::{Check, checks, host};

use super::output;

/// Check a bundle: its files, hashes, graphs, rows and golden rows.
///
/// With --host the bundle is opened at its address, as the browser of a visitor does. Then it is also checked how the
/// host sends the files. What keeps a page from working is WRONG; what costs visitors time is a warning (WARN) and
/// leaves the exit code as it is. The host is asked with `curl`; every file of the bundle is fetched once.
///
/// The exit code is 0 if all checks pass, else 1.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste verify bundle --json
  foretaste verify --host https://shop.example/bundle/
  foretaste verify --host https://cdn.example/bundle/ --origin https://shop.example

what the usual warnings ask for:
  content types           .json as application/json, .wasm as application/wasm: such a module is compiled while it arrives
  compression             gzip or brotli for manifest, catalogs and modules
  keeping of the manifest Cache-Control: no-cache; each version changes it
  keeping of the files    Cache-Control: public, max-age=31536000, immutable for names with a hash
  a missing file          status 404, not the start page with 200
  secure address          https: without it browsers keep no files")]
pub struct Args {
    /// The folder of the bundle.
    #[arg(required_unless_present = "host", conflicts_with = "host")]
    bundle: Option<PathBuf>,
    /// The address of the bundle, as the page has it.
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// The origin of the page, if another host has the bundle: it must allow this one (CORS).
    #[arg(long, value_name = "ORIGIN", requires = "host")]
    origin: Option<String>,
    /// The address of one of the package's .wasm files, to check it too; may be given again [default: those in
    /// ../package/wasm, if they are there].
    #[arg(long, value_name = "URL", requires = "host")]
    module: Vec<String>,
    /// Seconds to wait for a host that does not answer or stalls.
    #[arg(long, value_name = "S", requires = "host", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
    /// Print one JSON object instead of the list; with FILE, write it there and print the list too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    if let Some(address) = &args.host {
        let options = host::Options { origin: args.origin.as_deref(), modules: &args.module, patience: args.patience };
        let report = host::host(address, options)?;
        let lines = || report.checks.iter().map(line).chain(report.warnings.iter().map(warning)).collect();
        output::print(&report, args.json.as_deref(), lines)?;
        return verdict(address, &report.checks);
    }
    let folder = args.bundle.unwrap_or_default();
    let checks = checks(&folder);
    let report = serde_json::json!({ "ok": checks.iter().all(|c| c.ok), "checks": checks });
    output::print(&report, args.json.as_deref(), || checks.iter().map(line).collect())?;
    verdict(&folder.display().to_string(), &checks)
}

fn line(check: &Check) -> String {
    let Check { name, ok, expected, got } = check;
    match ok {
        true if expected == got => format!("ok     {name}\n"),
        true => format!("ok     {name}: {got}\n"),
        false => format!("WRONG  {name}: expected {expected}, got {got}\n"),
    }
}

fn warning(check: &Check) -> String {
    format!("WARN   {}: expected {}, got {}\n", check.name, check.expected, check.got)
}

fn verdict(what: &str, checks: &[Check]) -> Result<()> {
    match checks.iter().filter(|check| !check.ok).count() {
        0 => Ok(()),
        failed => bail!("{what}: {failed} of {} checks failed", checks.len()),
    }
}
