//! Turns a finished training into a bundle: a folder of static files. Equal runs give equal bytes.

mod codes;
mod compress;
mod delta;
mod golden;
mod items;
mod neighbours;
mod publish;
mod ranker;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use foretaste::Recommender;
use foretaste::bundle::{
    Bundle, FORMAT_VERSION, Features, FileEntry, HISTORY_VECTORS, MAX_MANIFEST_BYTES, Manifest, NEIGHBOURS, RANKER, sha256_hex,
};
use foretaste::model::TractRuntime;

pub use self::compress::{Compressed, compress};
pub use self::items::{Planes, item_file};
pub use self::publish::{Published, publish};
use crate::files::{self, HASH_DIGITS, write_atomically};
use crate::training::Run;
use crate::verify::verify;

/// The file that is written last: a folder that has it is a whole bundle.
const MANIFEST: &str = "manifest.json";

/// What a bundle has beside the towers and the int8 rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Contents {
    /// The planes of the item files.
    pub planes: Planes,
    /// Most neighbours of an item; 0: none. Absent: as many as validation compared, and not more bytes than the item
    /// files.
    pub neighbours: Option<usize>,
}

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
/// The bundle is first written to a folder inside `out`, where it has to pass every check of [`verify`]. Then its files
/// are moved to their places, the manifest last, so an older bundle in the folder stays valid until then. Afterwards
/// the files of the older bundle are removed.
///
/// # Errors
/// Numbers that are not finite, a folder that cannot be written, or a check that fails: it is named, and `out` is left
/// as it was.
pub fn export(run: &Run, out: &Path, contents: Contents) -> Result<()> {
    let (encoding, scales) = (&run.card.encoding, &run.card.scales);
    let rows = run.rows();
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
            run.user.onnx(encoding.history.len, encoding.context_slots(), &scales.context_slots(encoding)),
        ),
        File::hashed("item_tower", "item_tower", "onnx", None, run.items.onnx(encoding, &scales.item_slots(encoding))),
    ];
    files.extend(items::files(&run.catalog, run.card.config.dim, &rows, &run.counts, contents.planes)?);
    files.extend(neighbours::files(run, &files, contents.neighbours)?);
    if let Some(ranker) = &run.ranker {
        files.extend(ranker::files(ranker, run.catalog.ids.len())?);
    }
    let golden = |rows: &golden::Golden| {
        Ok::<_, anyhow::Error>(File::named("golden.json".into(), "golden", None, serde_json::to_vec(rows)?))
    };
    files.push(golden(&golden::Golden::default())?);
    // The golden rows are computed from the bundle as it is shipped, opened as a page opens it.
    let rows = golden::rows(&open(&manifest(run, &files), &files)?, &scales.context)?;
    files.pop();
    files.push(golden(&rows)?);
    place(&manifest(run, &files), &files, out)
}

/// Writes the files to a folder inside `out`, verifies them there, and moves them to `out`.
fn place(manifest: &Manifest, files: &[File], out: &Path) -> Result<()> {
    let is_new = !out.exists();
    let named = || format!("{}: cannot be written", out.display());
    std::fs::create_dir_all(out).with_context(named)?;
    let staging = tempfile::Builder::new().prefix(".export-").tempdir_in(out).with_context(named)?;
    let written = files.iter().map(|file| (file.entry.path.as_str(), file.bytes.as_slice()));
    let text = serde_json::to_vec_pretty(manifest)?;
    let written: Vec<(&str, &[u8])> = written.chain([(MANIFEST, text.as_slice())]).collect();
    let checked = || -> Result<()> {
        for (path, bytes) in &written {
            write_atomically(&staging.path().join(path), bytes)?;
        }
        verify(staging.path())
    };
    if let Err(error) = checked() {
        drop(staging);
        if is_new {
            // The error says more than a folder that stays.
            _ = std::fs::remove_dir(out);
        }
        return Err(error);
    }
    let before = files::read(&out.join(MANIFEST), MAX_MANIFEST_BYTES).ok().and_then(|bytes| Manifest::parse(&bytes).ok());
    for (path, _) in &written {
        if !files::is_hashed(path) {
            files::remove_compressed(&out.join(path));
        }
        std::fs::rename(staging.path().join(path), out.join(path)).with_context(named)?;
    }
    let stays = |path: &str| manifest.files.iter().any(|f| f.path == path);
    for old in before.iter().flat_map(|m| &m.files).filter(|f| !stays(&f.path)) {
        // A file that cannot be removed does no harm: no manifest names it.
        _ = std::fs::remove_file(out.join(&old.path));
        files::remove_compressed(&out.join(&old.path));
    }
    Ok(())
}

/// The manifest with the id of the model that its files make.
fn identified(manifest: Manifest) -> Manifest {
    Manifest { model_id: manifest.id_of_files(), ..manifest }
}

fn manifest(run: &Run, files: &[File]) -> Manifest {
    let mut required = if run.card.config.untied { vec![HISTORY_VECTORS.to_owned()] } else { vec![] };
    let settings = run.card.neighbours.as_ref().filter(|_| files.iter().any(|file| file.entry.role == NEIGHBOURS));
    required.extend(settings.map(|_| NEIGHBOURS.to_owned()));
    let ranker = run.card.ranker.as_ref().map(|card| card.spec.clone());
    required.extend(ranker.iter().map(|_| RANKER.to_owned()));
    identified(Manifest {
        format_version: FORMAT_VERSION,
        model_id: String::new(),
        name: run.card.name.clone(),
        dim: run.card.config.dim,
        items: run.catalog.ids.len(),
        files: files.iter().map(|f| f.entry.clone()).collect(),
        features: Features { required, ..Features::default() },
        encoding: run.card.encoding.clone(),
        trained_on: run.card.trained_on.clone(),
        ratings: run.card.ratings,
        ranker,
        neighbours: settings.map(|settings| settings.weights.clone()),
        metrics: run.card.metrics.clone(),
        licence: run.card.licence.clone(),
        limits: Some(run.card.limits.clone()).filter(|text| !text.is_empty()),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The packaged bundle with another first number in a golden row: whole, and not what its towers compute.
    fn wrong() -> (Manifest, Vec<File>) {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny");
        let read = |name: &str| std::fs::read(tiny.join(name)).unwrap();
        let manifest = Manifest::parse(&read(MANIFEST)).unwrap();
        let file = |entry: &FileEntry| {
            let mut bytes = read(&entry.path);
            if entry.role == "golden" {
                let mut golden: golden::Golden = serde_json::from_slice(&bytes).unwrap();
                golden.rows[0].user[0] += 1.0;
                bytes = serde_json::to_vec(&golden).unwrap();
            }
            File::named(entry.path.clone(), &entry.role, entry.rows, bytes)
        };
        let files: Vec<File> = manifest.files.iter().map(file).collect();
        let entries = files.iter().map(|f| f.entry.clone()).collect();
        (identified(Manifest { files: entries, ..manifest }), files)
    }

    #[test]
    fn a_bundle_that_a_check_refuses_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, files) = wrong();
        let out = folder.path().join("bundle");
        let error = format!("{:#}", place(&manifest, &files, &out).unwrap_err());
        assert!(error.contains("`golden rows replay`") && error.contains("row 0"), "{error}");
        assert!(!out.exists());
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join(MANIFEST), "of an older bundle").unwrap();
        assert!(place(&manifest, &files, &out).is_err());
        let left: Vec<_> = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [MANIFEST]);
    }
}
