//! What is known beforehand of a folder that goes to a host.

use std::fs;
use std::path::Path;

use foretaste::bundle::{MAX_MANIFEST_BYTES, Manifest};

use crate::files;

/// Most bytes of a file, by host.
const LIMITS: [(u64, &str); 2] =
    [(100 << 20, "GitHub takes at most 100 MiB"), (25 << 20, "Cloudflare Pages takes at most 25 MiB")];

/// What known hosts do not take, a line a file.
pub fn large_files(files: &[(&str, u64)]) -> Vec<String> {
    let fault = |&(name, bytes): &(&str, u64)| {
        let (_, limit) = LIMITS.iter().find(|(most, _)| bytes > *most)?;
        Some(format!("{name} has {:.1} MiB: {limit} a file", bytes as f64 / f64::from(1 << 20)))
    };
    files.iter().filter_map(fault).collect()
}

/// What would go wrong with the bundles and the compressed files in a folder, a line a fault.
pub fn of_folder(root: &Path) -> Vec<String> {
    let found = files::under(root);
    let name = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let mut faults = Vec::new();
    let sizes: Vec<(String, u64)> = found.iter().filter_map(|path| Some((name(path), path.metadata().ok()?.len()))).collect();
    faults.extend(large_files(&sizes.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect::<Vec<_>>()));
    for path in &found {
        if files::is_outdated(path) {
            faults.push(format!("{} is older than the file that it was made of", name(path)));
        }
        if path.file_name().is_some_and(|name| name == "manifest.json") {
            faults.extend(of_bundle(path).into_iter().map(|fault| format!("{}: {fault}", name(path))));
        }
    }
    faults
}

/// Files that a manifest names and that are not beside it. A manifest of another kind, such as that of a web app, has
/// no faults.
fn of_bundle(manifest: &Path) -> Vec<String> {
    let Ok(bytes) = files::read(manifest, MAX_MANIFEST_BYTES) else { return Vec::new() };
    let other = |text: &[u8]| !text.windows(16).any(|part| part == b"\"format_version\"");
    let manifest_of = match Manifest::parse(&bytes) {
        Ok(manifest) => manifest,
        Err(_) if other(&bytes) => return Vec::new(),
        Err(fault) => return vec![fault.to_string()],
    };
    let fault = |file: &foretaste::bundle::FileEntry| match fs::metadata(manifest.with_file_name(&file.path)) {
        Ok(about) if about.len() == file.bytes => None,
        Ok(about) => Some(format!("{} has {} bytes, expected {}", file.path, about.len(), file.bytes)),
        Err(_) => Some(format!("{} is missing", file.path)),
    };
    manifest_of.files.iter().filter_map(fault).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn limits_of_hosts_are_named() {
        let files = [("a", 25 << 20), ("b", (25 << 20) + 1), ("c", 200 << 20)];
        let faults = large_files(&files);
        assert_eq!(faults[0], "b has 25.0 MiB: Cloudflare Pages takes at most 25 MiB a file");
        assert_eq!(faults[1], "c has 200.0 MiB: GitHub takes at most 100 MiB a file");
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn a_folder_is_looked_through() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join("site").join(name);
        fs::create_dir_all(at("bundle")).unwrap();
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny");
        for file in fs::read_dir(tiny).unwrap().flatten() {
            fs::copy(file.path(), at("bundle").join(file.file_name())).unwrap();
        }
        fs::write(at("manifest.json"), "{\"name\": \"an app\"}").unwrap();
        assert_eq!(of_folder(folder.path()), [""; 0]);
        fs::remove_file(at("bundle/golden.json")).unwrap();
        fs::write(at("app.js"), "1").unwrap();
        fs::write(at("app.js.gz"), "1").unwrap();
        let old = SystemTime::now() - Duration::from_secs(9);
        fs::File::options().write(true).open(at("app.js.gz")).unwrap().set_modified(old).unwrap();
        fs::File::create(at("large")).unwrap().set_len(30 << 20).unwrap();
        let faults = of_folder(folder.path()).join("\n").replace('\\', "/");
        for part in ["large has 30.0 MiB", "app.js.gz is older", "bundle/manifest.json: golden.json is missing"] {
            assert!(faults.contains(part), "{faults}");
        }
        assert_eq!(faults.lines().count(), 3, "{faults}");
        fs::write(at("bundle/manifest.json"), "{\"format_version\": 1}").unwrap();
        assert!(of_folder(folder.path()).join("\n").contains("manifest.json: "));
    }
}
