//! Compresses the files of a folder beforehand, for hosts that send `NAME.br` or `NAME.gz` in place of NAME.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::prelude::*;

use crate::files::{self, COMPRESSED, beside, write_atomically};

/// Fewest and most bytes of a file that is compressed.
const FEWEST: u64 = 1024;
const MOST: u64 = 512 << 20;
/// Up to so many bytes brotli takes its time, some seconds.
const SLOW: u64 = 4 << 20;

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Compressed {
    /// Files that have a compressed form.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes with brotli. A file that has no such form counts as it is.
    pub brotli: u64,
    /// Bytes with gzip, counted likewise.
    pub gzip: u64,
}

/// Writes `NAME.br` and `NAME.gz` beside each file of a folder and of those in it, where that saves a twentieth of the
/// bytes. What is there and not outdated stays; what is outdated or whose file is gone is removed.
///
/// # Errors
/// A folder that is not there, files that cannot be read or written.
pub fn compress(folder: &Path) -> Result<Compressed> {
    ensure!(folder.is_dir(), "{}: no such folder", folder.display());
    let found = files::under(folder);
    for path in found.iter().filter(|path| is_form(path)) {
        if files::is_outdated(path) || is_alone(path) {
            fs::remove_file(path).with_context(|| format!("{}: cannot be removed", path.display()))?;
        }
    }
    let sources: Vec<_> = found.iter().filter(|path| !is_form(path)).collect();
    let done: Vec<Compressed> = sources.into_par_iter().map(|path| compress_file(path)).collect::<Result<_>>()?;
    Ok(done.iter().fold(Compressed::default(), |sum, one| Compressed {
        files: sum.files + one.files,
        bytes: sum.bytes + one.bytes,
        brotli: sum.brotli + one.brotli,
        gzip: sum.gzip + one.gzip,
    }))
}

fn is_form(path: &Path) -> bool {
    path.extension().is_some_and(|e| COMPRESSED.iter().any(|form| e == *form))
}

/// Whether a form was made by this module, as its name tells, and the file that it was made of is gone. Any other `.gz`
/// is a file like another.
fn is_alone(path: &Path) -> bool {
    let plain = path.with_extension("");
    let named = plain.file_name().and_then(|name| name.to_str()).is_some_and(files::is_hashed);
    named && !plain.exists()
}

fn compress_file(path: &Path) -> Result<Compressed> {
    let bytes = path.metadata()?.len();
    if !(FEWEST..=MOST).contains(&bytes) {
        return Ok(Compressed::default());
    }
    let mut text = None;
    let mut form = |extension, pack: fn(&[u8]) -> Result<Vec<u8>>| -> Result<u64> {
        let beside = beside(path, extension);
        if let Ok(about) = beside.metadata() {
            return Ok(about.len());
        }
        let text = match &text {
            Some(text) => text,
            None => text.insert(files::read(path, MOST)?),
        };
        let packed = pack(text)?;
        let saves = packed.len() as u64 * 20 <= bytes * 19;
        if saves {
            write_atomically(&beside, &packed)?;
        }
        Ok(if saves { packed.len() as u64 } else { bytes })
    };
    let (brotli, gzip) = (form("br", brotli_of)?, form("gz", gzip_of)?);
    let files = usize::from(brotli < bytes || gzip < bytes);
    Ok(if files == 0 { Compressed::default() } else { Compressed { files, bytes, brotli, gzip } })
}

fn brotli_of(bytes: &[u8]) -> Result<Vec<u8>> {
    let quality = if bytes.len() as u64 <= SLOW { 11 } else { 9 };
    let mut writer = brotli::CompressorWriter::new(Vec::new(), 64 << 10, quality, 22);
    writer.write_all(bytes)?;
    Ok(writer.into_inner())
}

fn gzip_of(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(bytes)?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Duration, SystemTime};

    use super::super::publish;
    use super::*;
    use crate::verify::verify;

    fn tiny() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny")
    }

    #[test]
    fn files_get_their_forms_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("bundle")).unwrap();
        for file in fs::read_dir(tiny()).unwrap().flatten() {
            fs::copy(file.path(), at("bundle").join(file.file_name())).unwrap();
        }
        let text = "all work and no play ".repeat(500);
        fs::write(at("page.html"), &text).unwrap();
        fs::write(at("short.html"), &text[..1000]).unwrap();
        fs::write(at("data.csv.gz"), "a file of its own").unwrap();
        let noise: Vec<u8> = (0..4000_u32).map(|i| crate::random::mix(1, u64::from(i)) as u8).collect();
        fs::write(at("noise.bin"), &noise).unwrap();
        let first = compress(folder.path()).unwrap();
        let mut back = String::new();
        brotli::Decompressor::new(fs::File::open(at("page.html.br")).unwrap(), 4096).read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
        back.clear();
        flate2::read::GzDecoder::new(fs::File::open(at("page.html.gz")).unwrap()).read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
        assert!(first.files >= 3 && first.brotli < first.gzip && first.gzip * 2 < first.bytes, "{first:?}");
        for name in ["short.html.br", "short.html.gz", "noise.bin.br", "noise.bin.gz", "page.html.br.gz", "data.csv.gz.br"] {
            assert!(!at(name).exists(), "{name}");
        }
        verify(&at("bundle")).unwrap();
        // Nothing changes when it runs again; a file with other bytes gets other forms; forms without a file go.
        let listed = || files::under(folder.path());
        let before = listed();
        assert_eq!((compress(folder.path()).unwrap(), listed()), (first, before));
        fs::write(at("page.html"), text.replace("work", "rest")).unwrap();
        let old = SystemTime::now() - Duration::from_secs(9);
        fs::File::options().write(true).open(at("page.html.br")).unwrap().set_modified(old).unwrap();
        fs::write(at("items-000.288e0dba2e083c84.safetensors.br"), "1").unwrap();
        compress(folder.path()).unwrap();
        back.clear();
        brotli::Decompressor::new(fs::File::open(at("page.html.br")).unwrap(), 4096).read_to_string(&mut back).unwrap();
        assert!(back.starts_with("all rest"));
        assert!(!at("items-000.288e0dba2e083c84.safetensors.br").exists() && at("data.csv.gz").exists());
        assert!(compress(&at("nowhere")).unwrap_err().to_string().ends_with("nowhere: no such folder"));
    }

    #[test]
    fn a_publication_leaves_no_form_of_a_file_that_it_replaces() {
        let live = tempfile::tempdir().unwrap();
        publish(&tiny(), live.path()).unwrap();
        compress(live.path()).unwrap();
        let forms = |folder: &Path| files::under(folder).into_iter().filter(|path| is_form(path)).collect::<Vec<_>>();
        let before = forms(live.path());
        publish(&tiny(), live.path()).unwrap();
        let after = forms(live.path());
        let (kept, gone): (Vec<_>, Vec<_>) = before.into_iter().partition(|path| after.contains(path));
        assert_eq!((&kept, kept.iter().all(|path| files::is_hashed(path.with_extension("").to_str().unwrap()))), (&after, true));
        let names: Vec<_> = gone.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["golden.json.br", "golden.json.gz", "manifest.json.br", "manifest.json.gz"]);
        assert!(!kept.is_empty());
    }
}
