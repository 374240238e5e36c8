//! Turns a finished training into a bundle: a folder of static files. Equal runs give equal bytes.

mod codes;
mod delta;
mod golden;
mod items;
mod publish;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use foretaste::Recommender;
use foretaste::bundle::{Bundle, FORMAT_VERSION, Features, FileEntry, HISTORY_VECTORS, Manifest, sha256_hex};
use foretaste::model::TractRuntime;

pub use self::items::{Planes, item_file};
pub use self::publish::{Published, publish};
use crate::files::write_atomically;
use crate::training::Run;

/// Hexadecimal digits of a file's hash in its name.
const HASH_DIGITS: usize = 16;

/// A file of the bundle with its bytes.
struct File {
    entry: FileEntry,
    bytes: Vec<u8>,
}

impl File {
    /// A file with its hash in its name, so that hosts may cache it for ever. `rows` is the number of catalog rows in
    /// it.
    fn hashed(stem: &str, role: &str, extension: &str, rows: Option<usize>, bytes: Vec<u8>) -> File {
        let hash = sha256_hex(&bytes);
        File::named(format!("{stem}.{}.{extension}", &hash[..HASH_DIGITS]), role, rows, bytes)
    }

    fn named(path: String, role: &str, rows: Option<usize>, bytes: Vec<u8>) -> File {
        let entry =
            FileEntry { path, role: role.into(), bytes: bytes.len() as u64, sha256: sha256_hex(&bytes), rows, feature: None };
        File { entry, bytes }
    }
}

/// Writes the bundle of a run into the new or existing folder `out`.
///
/// The manifest is written last, so an older bundle in the folder stays valid until then. Afterwards the files of the
/// older bundle are removed.
///
/// # Errors
/// Numbers that are not finite, a folder that cannot be written, or a bundle that cannot be opened again.
pub fn export(run: &Run, out: &Path, planes: Planes) -> Result<()> {
    let encoding = &run.card.encoding;
    let (rows, linear) = (run.rows(), run.linear.as_ref());
    ensure!(
        rows.vectors.iter().chain(&rows.biases).chain(rows.read()).chain(&run.user.numbers).all(|x| x.is_finite()),
        "the run has numbers that are not finite: train with a smaller learning_rate"
    );
    let mut files = vec![
        File::hashed(
            "user_tower",
            "user_tower",
            "onnx",
            None,
            run.user.onnx(encoding.history.len, encoding.context_slots(), linear),
        ),
        File::hashed("item_tower", "item_tower", "onnx", None, run.items.onnx(encoding, linear)),
    ];
    files.extend(items::files(&run.catalog, run.card.config.width(), &rows, &run.counts, planes)?);
    let golden = |rows: &golden::Golden| {
        Ok::<_, anyhow::Error>(File::named("golden.json".into(), "golden", None, serde_json::to_vec(rows)?))
    };
    files.push(golden(&golden::Golden::default())?);
    // The golden rows are computed from the bundle as it is shipped, opened as a page opens it.
    let rows = golden::rows(&open(&manifest(run, &files), &files)?)?;
    files.pop();
    files.push(golden(&rows)?);
    let manifest = manifest(run, &files);
    open(&manifest, &files)?;

    std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be created", out.display()))?;
    let before = std::fs::read(out.join("manifest.json")).ok().and_then(|bytes| Manifest::parse(&bytes).ok());
    for file in &files {
        write_atomically(&out.join(&file.entry.path), &file.bytes)?;
    }
    write_atomically(&out.join("manifest.json"), &serde_json::to_vec_pretty(&manifest)?)?;
    let stays = |path: &str| manifest.files.iter().any(|f| f.path == path);
    for old in before.iter().flat_map(|m| &m.files).filter(|f| !stays(&f.path)) {
        // A file that cannot be removed does no harm: no manifest names it.
        _ = std::fs::remove_file(out.join(&old.path));
    }
    Ok(())
}

fn manifest(run: &Run, files: &[File]) -> Manifest {
    let hashes: String = files.iter().map(|f| f.entry.sha256.as_str()).collect();
    let required = if run.card.config.untied || run.linear.is_some() { vec![HISTORY_VECTORS.to_owned()] } else { vec![] };
    Manifest {
        format_version: FORMAT_VERSION,
        model_id: sha256_hex(hashes.as_bytes())[..16].into(),
        name: run.card.name.clone(),
        dim: run.card.config.width(),
        items: run.catalog.ids.len(),
        files: files.iter().map(|f| f.entry.clone()).collect(),
        features: Features { required, ..Features::default() },
        encoding: run.card.encoding.clone(),
        trained_on: run.card.trained_on.clone(),
        ratings: run.card.ratings,
        metrics: run.card.metrics.clone(),
        licence: run.card.licence.clone(),
        limits: Some(run.card.limits.clone()).filter(|text| !text.is_empty()),
    }
}

/// Opens a bundle that is still in memory.
fn open(manifest: &Manifest, files: &[File]) -> Result<Recommender> {
    let bytes = |path: &str| files.iter().find(|f| f.entry.path == path).map(|f| f.bytes.as_slice());
    let (bundle, graphs) = Bundle::from_files::<_, anyhow::Error>(&serde_json::to_vec(manifest)?, |file| Ok(bytes(&file.path)))?;
    let runtime = TractRuntime::new(&graphs, manifest.shapes())?;
    let mut recommender = Recommender::new(bundle, Box::new(|| 0.0));
    recommender.set_runtime(Box::new(runtime));
    Ok(recommender)
}
