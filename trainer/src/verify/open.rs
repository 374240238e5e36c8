//! Opens a bundle from a folder on disk.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use foretaste::Recommender;
use foretaste::bundle::{Bundle, FileEntry};
use foretaste::model::TractRuntime;

/// Opens the bundle in a folder with its towers loaded. The result is the recommender that a page runs.
///
/// # Errors
/// Names the file at fault: one that cannot be read, has another length or hash than the manifest says, or is refused
/// for its content.
pub fn open_bundle(folder: &Path) -> Result<Recommender> {
    let manifest = folder.join("manifest.json");
    let manifest = std::fs::read(&manifest).with_context(|| format!("{}: cannot be read", manifest.display()))?;
    let read_file = |file: &FileEntry| {
        // The manifest bounds what is read into memory.
        let on_disk = folder.join(&file.path).metadata().map_or(file.bytes, |m| m.len());
        if on_disk > file.bytes {
            bail!("{}: expected {} bytes, got {on_disk}", file.path, file.bytes);
        }
        let bytes = std::fs::read(folder.join(&file.path)).with_context(|| format!("{}: cannot be read", file.path))?;
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
