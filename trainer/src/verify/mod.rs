//! Opens a bundle from a folder, and checks that it is whole and computes what the trainer did.
//!
//! `foretaste verify` prints these checks, and `export` makes them before it puts a bundle in its place.

mod open;

pub use open::open_bundle;

use std::path::Path;

use anyhow::{Context, Result, bail};
use foretaste::Recommender;
use foretaste::bundle::{DEFAULT_MAX_BYTES, Manifest, sha256_hex};
use foretaste::golden::Golden;
use foretaste::kernels::quantize_row;
use serde::Serialize;

/// The item tower is run again on at most this many rows, evenly spaced.
const SAMPLED_ROWS: usize = 2000;
/// Largest allowed difference between a stored number and the item tower's, in int8 steps.
const STEPS: i32 = 1;
/// Largest allowed difference between a stored bias and the item tower's, in logits.
const BIAS_TOLERANCE: f32 = 1e-4;

/// One check of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// Whether `got` is what was expected.
    pub ok: bool,
    /// What a good bundle has.
    pub expected: String,
    /// What this bundle has, or the error of a step that failed.
    pub got: String,
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

/// Makes all checks of the bundle in a folder: files, hashes, graphs, rows and golden rows. A check is left out if one
/// before it has to pass first.
pub fn checks(folder: &Path) -> Vec<Check> {
    let read = |name: &str| std::fs::read(folder.join(name)).with_context(|| format!("{name}: cannot be read"));
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
            Err(error) => checks.push(Check::new(format!("{} bytes", file.path), file.bytes, format!("{error:#}"))),
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

/// Makes all checks of the bundle in a folder.
///
/// # Errors
/// The first check that fails, with what was expected and got.
pub fn verify(folder: &Path) -> Result<()> {
    match checks(folder).into_iter().find(|check| !check.ok) {
        Some(Check { name, expected, got, .. }) => bail!("the check `{name}` fails: expected {expected}, got {got}"),
        None => Ok(()),
    }
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
