//! Opens a bundle from a folder, and checks that it is whole and computes what the trainer did.
//!
//! `foretaste verify` prints these checks, and `export` makes them before it puts a bundle in its place.

pub mod host;
mod open;

pub use open::{open_bundle, read_bundle};

use std::path::Path;

use anyhow::{Result, bail};
use foretaste::Recommender;
use foretaste::bundle::{DEFAULT_MAX_BYTES, MAX_MANIFEST_BYTES, Manifest, sha256_hex};
use foretaste::golden::Golden;
use foretaste::kernels::quantize_row;
use serde::Serialize;

use crate::files;

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
    let read = |name: &str, most: u64| files::read(&folder.join(name), most);
    let manifest = read("manifest.json", MAX_MANIFEST_BYTES).and_then(|bytes| Ok(Manifest::parse(&bytes)?));
    let (check, manifest) = Check::works("manifest.json", manifest);
    let mut checks = vec![check];
    let Some(manifest) = manifest else { return checks };
    checks.push(Check::new("model_id is that of the files", manifest.id_of_files(), &manifest.model_id));
    checks.push(Check::new("total bytes within the limit", true, manifest.bytes() <= DEFAULT_MAX_BYTES));
    if manifest.bytes() > DEFAULT_MAX_BYTES {
        return checks;
    }
    let mut golden_bytes = Vec::new();
    for file in manifest.used_files() {
        match read(&file.path, file.bytes) {
            Ok(bytes) => {
                checks.push(Check::new(format!("{} bytes", file.path), file.bytes, bytes.len()));
                checks.push(Check::new(format!("{} SHA-256", file.path), &file.sha256, sha256_hex(&bytes)));
                if file.role == "golden" {
                    golden_bytes = bytes;
                }
            }
            Err(error) => checks.push(Check::new(format!("{} bytes", file.path), file.bytes, format!("{error:#}"))),
        }
    }
    checks.extend(opened(folder, &golden_bytes));
    checks
}

/// Opens the bundle in a folder, and compares what it computes with its rows and with the golden rows.
fn opened(folder: &Path, golden_bytes: &[u8]) -> Vec<Check> {
    let (check, recommender) = Check::works("opens, graphs included", open_bundle(folder));
    let mut checks = vec![check];
    if let Some(recommender) = recommender {
        checks.push(Check::works("rows are those of the item tower", rows(&recommender)).0);
        checks.push(Check::works("golden rows replay", golden(&recommender, golden_bytes)).0);
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
        let near = (bias - bundle.rows.bias(row as u32)).abs() <= BIAS_TOLERANCE;
        if far || !near {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use foretaste::bundle::FileEntry;
    use foretaste::model::signature::{ItemInputs, ItemOutputs};

    use super::*;
    use crate::onnx::{Attribute, GraphBuilder};

    /// A copy of the packaged bundle.
    fn copy() -> tempfile::TempDir {
        let (folder, tiny) = (tempfile::tempdir().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny"));
        for file in fs::read_dir(tiny).unwrap().flatten() {
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        folder
    }

    fn manifest(folder: &Path) -> Manifest {
        Manifest::parse(&fs::read(folder.join("manifest.json")).unwrap()).unwrap()
    }

    /// Writes a manifest with the lengths, hashes and id that fit its files.
    fn seal(folder: &Path, manifest: Manifest) {
        let sealed = |file: FileEntry| {
            let bytes = fs::read(folder.join(&file.path)).unwrap();
            FileEntry { bytes: bytes.len() as u64, sha256: sha256_hex(&bytes), ..file }
        };
        let manifest = Manifest { files: manifest.files.into_iter().map(sealed).collect(), ..manifest };
        let manifest = Manifest { model_id: manifest.id_of_files(), ..manifest };
        fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    }

    fn file_of(folder: &Path, role: &str) -> std::path::PathBuf {
        let manifest = manifest(folder);
        folder.join(&manifest.files_of(role).next().unwrap().path)
    }

    #[test]
    fn a_whole_bundle_passes_and_a_foreign_model_id_does_not() {
        let folder = copy();
        verify(folder.path()).unwrap();
        let mut manifest = manifest(folder.path());
        manifest.model_id = "0000000000000000".into();
        fs::write(folder.path().join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        assert!(verify(folder.path()).unwrap_err().to_string().contains("`model_id is that of the files`"));
    }

    #[test]
    fn golden_rows_are_read_where_the_manifest_says_and_must_be_there() {
        let folder = copy();
        let mut renamed = manifest(folder.path());
        renamed.files.iter_mut().filter(|file| file.role == "golden").for_each(|file| file.path = "examples.json".into());
        fs::rename(folder.path().join("golden.json"), folder.path().join("examples.json")).unwrap();
        seal(folder.path(), renamed.clone());
        verify(folder.path()).unwrap();
        for (text, fault) in [(r#"{"rows":[]}"#, "there is no row to replay"), ("x", "golden.json")] {
            fs::write(folder.path().join("examples.json"), text).unwrap();
            seal(folder.path(), renamed.clone());
            let error = verify(folder.path()).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }

    /// An item tower that gives NaN for the bias, or in the vector.
    #[test]
    fn numbers_of_the_item_tower_are_finite() {
        let folder = copy();
        let manifest = manifest(folder.path());
        let shapes = manifest.shapes();
        for [vector, bias] in [[0.0, f32::NAN], [f32::NAN, 0.0]] {
            let mut g = GraphBuilder::new("nan");
            let inputs = ItemInputs::each(|port| g.input(port, &shapes));
            let axes = g.constant_i64("axes", &[1], &[1]);
            let numbers = g.constant_f32("numbers", &[1, shapes.dim], &vec![vector; shapes.dim]);
            let number = g.constant_f32("number", &[1], &[bias]);
            let sum = g.node("ReduceSum", &[&inputs.weights, &axes], &[("keepdims", Attribute::Int(1))]);
            let flat = g.node("Squeeze", &[&sum, &axes], &[]);
            let outputs = [g.node("Add", &[&sum, &numbers], &[]), g.node("Add", &[&flat, &number], &[])];
            let ports = ItemOutputs::each(|port| port);
            g.output(ports.vector, &outputs[0], &shapes);
            g.output(ports.bias, &outputs[1], &shapes);
            fs::write(file_of(folder.path(), "item_tower"), g.finish()).unwrap();
            seal(folder.path(), manifest.clone());
            let error = verify(folder.path()).unwrap_err().to_string();
            assert!(error.contains("`rows are those of the item tower`") && error.contains("not finite"), "{error}");
        }
    }

    #[test]
    fn files_are_read_within_the_length_that_the_manifest_says() {
        for name in ["manifest.json", "golden.json"] {
            let folder = copy();
            fs::OpenOptions::new().write(true).open(folder.path().join(name)).unwrap().set_len(1 << 40).unwrap();
            let failed = checks(folder.path()).into_iter().find(|check| !check.ok).unwrap();
            assert!(failed.got.contains("got 1099511627776 or more"), "{failed:?}");
            assert!(open_bundle(folder.path()).is_err());
            fs::remove_file(folder.path().join(name)).unwrap();
            fs::create_dir(folder.path().join(name)).unwrap();
            let failed = checks(folder.path()).into_iter().find(|check| !check.ok).unwrap();
            assert!(failed.got.contains("a regular file expected"), "{failed:?}");
        }
    }
}
