//! Opens a bundle from a folder on disk.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use foretaste::Recommender;
use foretaste::bundle::{Bundle, FileEntry, Graphs, MAX_MANIFEST_BYTES};
use foretaste::golden::Golden;
use foretaste::model::TractRuntime;

use crate::files;

/// Opens the bundle in a folder with its towers loaded. The result is the recommender that a page runs.
///
/// # Errors
/// Names the file at fault: one that cannot be read, has another length or hash than the manifest says, or is refused
/// for its content.
pub fn open_bundle(folder: &Path) -> Result<Recommender> {
    let manifest = manifest_of(folder)?;
    let open = || -> Result<Recommender> {
        let (bundle, graphs) = read_files(folder, &manifest)?;
        let runtime = TractRuntime::new(&graphs, bundle.manifest.shapes())?;
        let start = Instant::now();
        let mut recommender = Recommender::new(bundle, Box::new(move || start.elapsed().as_secs_f64() * 1e6));
        recommender.set_runtime(Box::new(runtime));
        Ok(recommender)
    };
    open().with_context(|| folder.display().to_string())
}

/// Reads the bundle in a folder without loading its graphs.
///
/// # Errors
/// Same errors as [`open_bundle`], except for what graphs are refused for.
pub fn read_bundle(folder: &Path) -> Result<Bundle> {
    Ok(read_files(folder, &manifest_of(folder)?).with_context(|| folder.display().to_string())?.0)
}

fn manifest_of(folder: &Path) -> Result<Vec<u8>> {
    files::read(&folder.join("manifest.json"), MAX_MANIFEST_BYTES)
}

fn read_files(folder: &Path, manifest: &[u8]) -> Result<(Bundle, Graphs)> {
    let read_file = |file: &FileEntry| -> Result<Option<Vec<u8>>> {
        // The manifest bounds what is read into memory.
        let bytes = files::read(&folder.join(&file.path), file.bytes)?;
        if file.role == "golden" {
            Golden::read(&bytes)?;
        }
        Ok(Some(bytes))
    };
    Bundle::from_files(manifest, read_file)
}
