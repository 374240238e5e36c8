//! Puts a bundle where pages load it from, with deltas: pages that have the previous bundle fetch only what changed.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use foretaste::bundle::{CatalogFile, FileEntry, MAX_MANIFEST_BYTES, Manifest, NEIGHBOURS};

use super::{File, delta};
use crate::files::{self, COMPRESSED, HASH_DIGITS, write_atomically};

/// The optional feature that names deltas in the manifest, and the role of their files.
const DELTA: &str = "delta";
/// A delta is called NEW.from.OLD, after the file that it makes and the file that it needs.
const FROM: &str = ".from.";

/// How much a page downloads after a publication.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Published {
    /// Bytes of the files that a page reads and the previous bundle lacks, fetched whole.
    pub bytes: u64,
    /// Bytes for a page that has the previous bundle: the deltas, and whole files where there is no delta.
    pub delta_bytes: u64,
}

/// Copies the bundle in the folder `bundle` to the folder `live` and adds deltas from the bundle that is there.
///
/// The files of that previous bundle stay, because a page may be loading them; files of older bundles are removed. The
/// manifest is written last.
///
/// # Errors
/// Folders that cannot be read or written.
pub fn publish(bundle: &Path, live: &Path) -> Result<Published> {
    let mut manifest = manifest_of(bundle)?.with_context(|| format!("{}: there is no bundle", bundle.display()))?;
    std::fs::create_dir_all(live).with_context(|| format!("{}: cannot be created", live.display()))?;
    let mut before = manifest_of(live)?;
    let mut published = Published::default();
    for file in &manifest.files {
        if !files::is_hashed(&file.path) {
            files::remove_compressed(&live.join(&file.path));
        }
        write_atomically(&live.join(&file.path), &read(bundle, file)?)?;
    }
    if let Some(before) = before.as_mut().filter(|before| before.model_id != manifest.model_id) {
        before.files.retain(|file| file.feature.as_deref() != Some(DELTA));
        let mut deltas = Vec::new();
        for (new, old) in changed(&manifest, before) {
            published.bytes += new.bytes;
            let delta = old.map(|old| delta_of(new, old, bundle, live, &manifest, before)).transpose()?;
            // A delta must save more than a tenth of the bytes, otherwise pages fetch the whole file.
            let delta = delta.filter(|delta| 10 * delta.entry.bytes < 9 * new.bytes);
            published.delta_bytes += delta.as_ref().map_or(new.bytes, |delta| delta.entry.bytes);
            deltas.extend(delta);
        }
        for delta in &deltas {
            write_atomically(&live.join(&delta.entry.path), &delta.bytes)?;
        }
        if !deltas.is_empty() {
            manifest.features.optional.push(DELTA.into());
        }
        manifest.files.extend(deltas.into_iter().map(|delta| delta.entry));
    }
    files::remove_compressed(&live.join("manifest.json"));
    write_atomically(&live.join("manifest.json"), &serde_json::to_vec_pretty(&manifest)?)?;
    let stays: BTreeSet<&str> =
        manifest.files.iter().chain(before.iter().flat_map(|before| &before.files)).map(|file| file.path.as_str()).collect();
    for entry in std::fs::read_dir(live)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let hash = |part: &str| part.len() == HASH_DIGITS && part.bytes().all(|b| b.is_ascii_hexdigit());
        // The compressed forms of a file stay with it.
        let plain = COMPRESSED.iter().find_map(|form| name.strip_suffix(form)?.strip_suffix('.')).unwrap_or(&name);
        if name.split('.').any(hash) && !stays.contains(plain) {
            // A file that cannot be removed does no harm: no manifest names it.
            _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(published)
}

fn read(folder: &Path, file: &FileEntry) -> Result<Vec<u8>> {
    files::read(&folder.join(&file.path), file.bytes)
}

/// Reads the manifest in a folder; `None` if there is no bundle.
fn manifest_of(folder: &Path) -> Result<Option<Manifest>> {
    if !folder.join("manifest.json").is_file() {
        return Ok(None);
    }
    let manifest = Manifest::parse(&files::read(&folder.join("manifest.json"), MAX_MANIFEST_BYTES)?);
    Ok(Some(manifest.with_context(|| folder.display().to_string())?))
}

/// The files that pages read and that only the new manifest has, each with the old file that it replaces, if any.
fn changed<'a>(new: &'a Manifest, old: &'a Manifest) -> Vec<(&'a FileEntry, Option<&'a FileEntry>)> {
    let roles = ["user_tower", "items", "catalog", NEIGHBOURS];
    let pairs = |role| {
        let mut before = old.files_of(role);
        new.files_of(role).map(move |file| (file, before.next()))
    };
    roles.into_iter().flat_map(pairs).filter(|(new, _)| old.files.iter().all(|old| old.path != new.path)).collect()
}

fn delta_of(
    new: &FileEntry,
    old: &FileEntry,
    bundle: &Path,
    live: &Path,
    manifest: &Manifest,
    before: &Manifest,
) -> Result<File> {
    let (was, is) = (read(live, old)?, read(bundle, new)?);
    let pieces = if new.role == "items" {
        let catalog = |folder, manifest: &Manifest, file: &FileEntry| -> Result<CatalogFile> {
            let at = manifest.files_of("items").position(|f| f.path == file.path).unwrap_or_default();
            let file = manifest.files_of("catalog").nth(at).context("items without a catalog")?;
            Ok(serde_json::from_slice(&read(folder, file)?)?)
        };
        delta::item_pieces(&was, &is, [&catalog(live, before, old)?, &catalog(bundle, manifest, new)?])?
    } else {
        delta::pieces(&was, &is)
    };
    let bytes = delta::encode(&was, &is, &pieces)?;
    ensure!(delta::apply(&was, &bytes)? == is, "{}: the delta does not make this file", new.path);
    let mut file = File::named(format!("{}{FROM}{}", new.path, old.path), DELTA, None, bytes);
    file.entry.feature = Some(DELTA.into());
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::mix;

    /// The packaged bundle with a neighbours file of eight neighbours a row; those of row 30 depend on `version`.
    fn bundle(folder: &Path, version: u64) -> String {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny");
        std::fs::create_dir_all(folder).unwrap();
        let mut manifest = manifest_of(&tiny).unwrap().unwrap();
        manifest.files.retain(|file| file.role != NEIGHBOURS);
        for file in &manifest.files {
            std::fs::copy(tiny.join(&file.path), folder.join(&file.path)).unwrap();
        }
        let count = |row: u64| if row == 30 { 8 - version } else { 8 };
        let ends = (1..=60u64).flat_map(|end| ((0..end).map(count).sum::<u64>() as u32).to_le_bytes());
        let rows = (0..60).flat_map(|row| (0..count(row)).flat_map(move |i| ((7 * i + row % 4) as u16).to_le_bytes()));
        let weights = (0..60).flat_map(|row| (0..count(row)).map(move |i| mix(row, i) as u8 & 0x7f));
        let scales = (0..60).flat_map(|_| 0.01f32.to_le_bytes());
        let data: [Vec<u8>; 4] = [ends.collect(), rows.collect(), weights.collect(), scales.collect()];
        let (n, m) = (60, data[2].len());
        let mut at = 0;
        let tensors = ["ends", "rows", "weights", "scales"].iter().zip(["U32", "U16", "I8", "F32"]).zip([n, m, m, n]).zip(&data);
        let header: Vec<String> = tensors
            .map(|(((name, dtype), len), bytes)| {
                let from = at;
                at += bytes.len();
                format!(r#""{name}":{{"dtype":"{dtype}","shape":[{len}],"data_offsets":[{from},{at}]}}"#)
            })
            .collect();
        let header = format!("{{{}}}", header.join(","));
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data.concat()].concat();
        let name = format!("neighbours-000.{}.safetensors", &foretaste::bundle::sha256_hex(&bytes)[..HASH_DIGITS]);
        let mut file = File::named(name, NEIGHBOURS, Some(60), bytes);
        file.entry.feature = Some(NEIGHBOURS.into());
        std::fs::write(folder.join(&file.entry.path), &file.bytes).unwrap();
        manifest.features.required = vec![NEIGHBOURS.into()];
        let key = serde_json::json!({ "events": 9, "share": 1.0, "decay": 0.8, "types": [1, 1], "values": [1, 1, 1, 1, 1, 1] });
        manifest.neighbours = Some(serde_json::from_value(key).unwrap());
        let path = file.entry.path.clone();
        manifest.files.push(file.entry);
        manifest.model_id = manifest.id_of_files();
        std::fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        path
    }

    #[test]
    fn neighbours_files_have_deltas() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let [old, new] = [1, 2].map(|version| bundle(&at(&version.to_string()), version));
        assert_ne!(old, new);
        publish(&at("1"), &at("live")).unwrap();
        let published = publish(&at("2"), &at("live")).unwrap();
        let bytes = std::fs::metadata(at("live").join(&new)).unwrap().len();
        assert_eq!(published.bytes, bytes, "nothing else has changed");
        assert!(2 * published.delta_bytes < bytes, "{published:?}");
        let manifest = manifest_of(&at("live")).unwrap().unwrap();
        let delta = manifest.files.iter().find(|file| file.path == format!("{new}{FROM}{old}")).unwrap();
        let read = |name: &str| std::fs::read(at("live").join(name)).unwrap();
        assert_eq!(delta::apply(&read(&old), &read(&delta.path)).unwrap(), read(&new));
    }
}
