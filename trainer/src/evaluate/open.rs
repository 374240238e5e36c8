//! Opening a bundle's folder natively: every file is read and checked.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use foretaste::Recommender;
use foretaste::bundle::{BundleReader, DEFAULT_MAX_BYTES};
use foretaste::model::TractRuntime;

/// Opens the bundle in a folder, its towers loaded: the recommender that the page runs.
///
/// # Errors
/// Names the file at fault: one that is missing, of another length or hash, or refused for its content.
pub fn open_bundle(folder: &Path) -> Result<Recommender> {
    let read = |name: &str| -> Result<Vec<u8>> {
        let path = folder.join(name);
        std::fs::read(&path).with_context(|| format!("{}: cannot be read", path.display()))
    };
    let at = || folder.display().to_string();
    let mut reader = BundleReader::new(&read("manifest.json")?, DEFAULT_MAX_BYTES).with_context(at)?;
    let (mut user_tower, mut item_tower) = (None, None);
    let files: Vec<_> = reader.manifest().used_files().cloned().collect();
    for file in &files {
        let on_disk = folder.join(&file.path).metadata().map(|m| m.len()).unwrap_or(file.bytes);
        if on_disk > file.bytes {
            bail!("{}: {}: expected {} bytes, got {on_disk}", at(), file.path, file.bytes);
        }
        let bytes = read(&file.path)?;
        reader.add_file(&file.path, &bytes).with_context(at)?;
        match file.role.as_str() {
            "user_tower" => user_tower = Some(bytes),
            "item_tower" => item_tower = Some(bytes),
            _ => {}
        }
    }
    let bundle = reader.open().with_context(at)?;
    // The manifest has exactly one user tower: `BundleReader` has checked it.
    let runtime =
        TractRuntime::new(&user_tower.unwrap_or_default(), item_tower.as_deref(), bundle.manifest.shapes()).with_context(at)?;
    let start = Instant::now();
    let mut recommender = Recommender::new(bundle, Box::new(move || start.elapsed().as_secs_f64() * 1e6));
    recommender.set_runtime(Box::new(runtime));
    Ok(recommender)
}
