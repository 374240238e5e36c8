//! Opens a bundle from a folder on disk.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use foretaste::Recommender;
use foretaste::bundle::{Bundle, FileEntry, MAX_MANIFEST_BYTES};
use foretaste::golden::Golden;
use foretaste::model::TractRuntime;

use crate::files;

/// Opens the bundle in a folder with its towers loaded. The result is the recommender that a page runs.
///
/// # Errors
/// Names the file at fault: one that cannot be read, has another length or hash than the manifest says, or is refused
/// for its content.
pub fn open_bundle(folder: &Path) -> Result<Recommender> {
    let manifest = files::read(&folder.join("manifest.json"), MAX_MANIFEST_BYTES)?;
    let read_file = |file: &FileEntry| -> Result<Option<Vec<u8>>> {
        // The manifest bounds what is read into memory.
        let bytes = files::read(&folder.join(&file.path), file.bytes)?;
        if file.role == "golden" {
            Golden::read(&bytes)?;
        }
        Ok(Some(bytes))
    };
    let open = || -> Result<Recommender> {
        let (bundle, graphs) = Bundle::from_files(&manifest, read_file)?;
        let runtime = TractRuntime::new(&graphs, bundle.manifest.shapes())?;
        let start = Instant::now();
        let mut recommender = Recommender::new(bundle, Box::new(move || start.elapsed().as_secs_f64() * 1e6));
        recommender.set_runtime(Box::new(runtime));
        Ok(recommender)
    };
    open().with_context(|| folder.display().to_string())
}
