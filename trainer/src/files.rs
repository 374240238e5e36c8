//! Reads files within limits, and writes files whole or not at all.

use std::fs::{self, File};
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Most bytes of a line of a text file.
pub const LONGEST_LINE: usize = 64 << 20;
/// Hexadecimal digits of a hash in a file's name.
pub const HASH_DIGITS: usize = 16;

/// Opens a regular file for reading; also returns its length in bytes.
///
/// # Errors
/// A file that cannot be opened; a folder, a pipe or a device. The error names the path.
pub fn open(path: &Path) -> Result<(File, u64)> {
    let named = || format!("{}: cannot be read", path.display());
    let regular = |about: &fs::Metadata| {
        let got = if about.is_dir() { "a folder" } else { "a pipe or a device" };
        ensure!(about.is_file(), "{}: a regular file expected, got {got}", path.display());
        Ok(about.len())
    };
    // The path is looked at before it is opened, because opening a pipe waits until something writes to it.
    regular(&fs::metadata(path).with_context(named)?)?;
    let file = File::open(path).with_context(named)?;
    let len = regular(&file.metadata().with_context(named)?)?;
    Ok((file, len))
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// Same errors as [`open`]; a longer file, before any of it is read.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let (file, len) = open(path)?;
    let fits = |len: u64| {
        ensure!(len <= most, "{}: at most {most} bytes expected, got {len} or more", path.display());
        Ok(())
    };
    fits(len)?;
    let mut bytes = Vec::with_capacity(len as usize);
    // The file may have grown since its length was read.
    file.take(most + 1).read_to_end(&mut bytes).with_context(|| format!("{}: cannot be read", path.display()))?;
    fits(bytes.len() as u64)?;
    Ok(bytes)
}

/// Reads a regular file of at most `most` bytes as text.
///
/// # Errors
/// Same errors as [`read`]; a text that is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read(path, most)?).with_context(|| format!("{}: not UTF-8", path.display()))
}

/// Appends the next line with its line feed to `line` and returns its number of bytes, 0 at the end of the file. The
/// last line may lack the line feed.
///
/// # Errors
/// A line of more than `most` bytes; a file that cannot be read.
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>, most: usize) -> Result<usize> {
    let n = reader.take(most as u64 + 1).read_until(b'\n', line)?;
    ensure!(n <= most, "a line of more than {most} bytes");
    Ok(n)
}

/// Writes a file with the extension `.partial` beside the target, then renames it. If the program stops midway, the old
/// file is still there.
///
/// # Errors
/// A file that cannot be written; the error names it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("partial");
    fs::write(&beside, bytes)
        .and_then(|()| fs::rename(&beside, path))
        .with_context(|| format!("{}: cannot be written", path.display()))
}

/// Whether a name has the form `stem.HASH.extension`: such a file never gets other bytes.
pub fn is_hashed(path: &str) -> bool {
    let mut parts = path.rsplit('.').skip(1);
    parts.next().is_some_and(|hash| hash.len() == HASH_DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether a file `NAME.br` or `NAME.gz` is older than NAME, which it was made of. Beside a name with a hash it never
/// is: those bytes do not change, and copying a folder mixes up the times.
pub fn is_outdated(path: &Path) -> bool {
    let plain = path.with_extension("");
    let modified = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
    let hashed = plain.file_name().and_then(|name| name.to_str()).is_some_and(is_hashed);
    COMPRESSED.iter().any(|e| path.extension().is_some_and(|of| of == *e)) && !hashed && modified(&plain) > modified(path)
}

/// The extensions of files that a host may send in place of NAME: `NAME.br` and `NAME.gz`.
pub const COMPRESSED: [&str; 2] = ["br", "gz"];

/// Where the compressed form of a file lies.
pub fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Removes the compressed forms of a file that is about to get other bytes or to go: some hosts send them without
/// looking at their time.
pub fn remove_compressed(path: &Path) {
    for extension in COMPRESSED {
        // Usually there is none.
        _ = fs::remove_file(beside(path, extension));
    }
}

/// How deep [`under`] goes, and most files that it finds.
const DEPTH: usize = 8;
const MOST_FILES: usize = 100_000;

/// The regular files under a folder, those of a folder in the order of their names. Names with a dot in front and
/// links are left out.
pub fn under(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut entries: Vec<_> = entries.flatten().take(MOST_FILES).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !hidden && depth > 0 => walk(&entry.path(), depth - 1, found),
                Ok(kind) if kind.is_file() && !hidden && found.len() < MOST_FILES => found.push(entry.path()),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, DEPTH, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("ten"), "0123456789").unwrap();
        File::create(at("sparse")).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&at("ten"), 10).unwrap(), b"0123456789");
        let error = |path: &Path, most| format!("{:#}", read(path, most).unwrap_err());
        assert!(error(&at("ten"), 9).ends_with("ten: at most 9 bytes expected, got 10 or more"));
        assert!(error(&at("sparse"), 1 << 20).ends_with("got 1099511627776 or more"));
        assert!(error(folder.path(), 9).ends_with("a regular file expected, got a folder"));
        assert!(error(&at("none"), 9).contains("none: cannot be read"));
        assert_eq!(read_text(&at("ten"), 10).unwrap(), "0123456789");
        fs::write(at("bytes"), [0xff]).unwrap();
        assert!(read_text(&at("bytes"), 10).unwrap_err().to_string().ends_with("bytes: not UTF-8"));
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe, link] {
            assert!(open(&path).unwrap_err().to_string().ends_with("a regular file expected, got a pipe or a device"));
        }
    }

    #[test]
    fn lines_are_bounded() {
        let mut reader = b"ab\n\nabc\nabcd".as_slice();
        let mut line = Vec::new();
        let lengths: Vec<usize> = (0..3).map(|_| read_line(&mut reader, &mut line, 4).unwrap()).collect();
        assert_eq!((lengths, line.as_slice()), (vec![3, 1, 4], b"ab\n\nabc\n".as_slice()));
        assert_eq!(read_line(&mut reader, &mut line, 4).unwrap(), 4);
        assert_eq!(read_line(&mut reader, &mut line, 4).unwrap(), 0);
        let error = read_line(&mut b"abcde\n".as_slice(), &mut line, 4).unwrap_err().to_string();
        assert_eq!(error, "a line of more than 4 bytes");
    }

    #[test]
    fn a_failed_write_keeps_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_atomically(&path, b"old").unwrap();
        fs::create_dir(path.with_extension("partial")).unwrap();
        assert!(write_atomically(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        fs::remove_dir(path.with_extension("partial")).unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_with_a_hash_are_told() {
        assert!(is_hashed("/bundle/items-000.288e0dba2e083c84.safetensors"));
        for path in ["/bundle/manifest.json", "/bundle/golden.json", "/index.html", "/", "/a.288e0dba2e083c8.b"] {
            assert!(!is_hashed(path), "{path}");
        }
    }
}
