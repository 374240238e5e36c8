//! `foretaste verify`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use foretaste::Recommender;
use foretaste::bundle::{DEFAULT_MAX_BYTES, Manifest, sha256_hex};
use foretaste::golden::Golden;
use foretaste::kernels::quantize_row;
use foretaste_trainer::evaluate::open_bundle;
use serde::Serialize;

use super::output;

/// The item tower is run again on at most this many rows, evenly spaced.
const SAMPLED_ROWS: usize = 2000;
/// Largest allowed difference between a stored number and the item tower's, in int8 steps.
const STEPS: i32 = 1;
/// Largest allowed difference between a stored bias and the item tower's, in logits.
const BIAS_TOLERANCE: f32 = 1e-4;

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

#[derive(Serialize)]
struct Check {
    name: String,
    ok: bool,
    expected: String,
    got: String,
}

impl Check {
    fn new(name: impl Into<String>, expected: impl ToString, got: impl ToString) -> Check {
        let (expected, got) = (expected.to_string(), got.to_string());
        Check { name: name.into(), ok: expected == got, expected, got }
    }

    /// The check of a step that works or fails with an error, and the step's value.
    fn works<T>(name: &str, result: Result<T>) -> (Check, Option<T>) {
        match result {
            Ok(value) => (Check::new(name, "ok", "ok"), Some(value)),
            Err(error) => (Check::new(name, "ok", format!("{error:#}")), None),
        }
    }
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

fn checks(folder: &Path) -> Vec<Check> {
    let read = |name: &str| -> Result<Vec<u8>> { Ok(std::fs::read(folder.join(name))?) };
    let manifest = read("manifest.json").and_then(|bytes| Ok(Manifest::parse(&bytes)?));
    let (check, manifest) = Check::works("manifest.json", manifest);
    let mut checks = vec![check];
    let Some(manifest) = manifest else { return checks };
    for file in manifest.used_files() {
        match read(&file.path) {
            Ok(bytes) => {
                checks.push(Check::new(format!("{} bytes", file.path), file.bytes, bytes.len()));
                checks.push(Check::new(format!("{} SHA-256", file.path), &file.sha256, sha256_hex(&bytes)));
            }
            Err(error) => checks.push(Check::new(format!("{} bytes", file.path), file.bytes, error)),
        }
    }
    let total: u64 = manifest.used_files().map(|f| f.bytes).sum();
    checks.push(Check::new("total bytes within the limit", true, total <= DEFAULT_MAX_BYTES));
    let (check, recommender) = Check::works("opens, graphs included", open_bundle(folder));
    checks.push(check);
    if let Some(recommender) = recommender {
        checks.push(Check::works("rows are those of the item tower", rows(&recommender)).0);
        checks.push(Check::works("golden rows replay", golden(&recommender, &read("golden.json").unwrap_or_default())).0);
    }
    checks
}

/// Compares stored rows with what the item tower computes for the same items.
fn rows(recommender: &Recommender) -> Result<()> {
    let bundle = recommender.bundle();
    let (n, d) = (bundle.manifest.items, bundle.manifest.dim);
    let mut quantized = vec![0; d];
    for row in (0..n).step_by(n.div_ceil(SAMPLED_ROWS)) {
        let (vector, bias) = recommender.catalog_vector(row as u32, true)?;
        quantize_row(&vector, &mut quantized);
        let stored = bundle.rows.vector(row as u32);
        let far = stored.iter().zip(&quantized).any(|(a, b)| (i32::from(*a) - i32::from(*b)).abs() > STEPS);
        if far || (bias - bundle.rows.bias(row as u32)).abs() > BIAS_TOLERANCE {
            bail!("row {row} (`{}`) differs from what the item tower computes", bundle.catalog.id(row as u32));
        }
    }
    Ok(())
}

fn golden(recommender: &Recommender, bytes: &[u8]) -> Result<()> {
    match Golden::replay(recommender, bytes)?.first() {
        Some(fault) => bail!("{fault}"),
        None => Ok(()),
    }
}
