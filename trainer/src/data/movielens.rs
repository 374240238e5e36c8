//! MovieLens 100K as a data folder, the same bytes from GroupLens' files and from RecBole's copy.
//!
//! F. M. Harper, J. A. Konstan: The MovieLens Datasets: History and Context. ACM Transactions on Interactive Intelligent
//! Systems 5(4), 2015.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::write::csv_line;
use super::{digest, fetch};

/// Where GroupLens has it.
pub const URL: &str = "https://files.grouplens.org/datasets/movielens/ml-100k.zip";
/// The PyPI package that carries a copy.
pub const PACKAGE: &str = "recbole==1.2.1";
/// Terms of use, in short.
pub const LICENCE: &str = "MovieLens 100K, GroupLens Research, University of Minnesota: for research only, no redistribution, no commercial use \
    without permission; cite Harper and Konstan 2015, doi:10.1145/2827872";

/// Order of the flags of `u.item`.
const GENRES: [&str; 19] = [
    "unknown",
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];
/// Name, rows under the header, SHA-256: of the files as they are written.
pub const FILES: [(&str, usize, &str); 3] = [
    ("events.csv", 100_000, "99a930993ab4ede918f884038aca70c11c9f9ab24ec223ee33cfcfb62e0598b8"),
    ("items.csv", 1_682, "89510913025085c45702b030dd1b775843e6e23de751275ea275e8dd2f7f270e"),
    ("users.csv", 943, "1705771c52753ebed3a679a2bedf33b4ce63cfde801bcdd338b838648c586723"),
];
/// Largest file that is unpacked.
const MAX_BYTES: u64 = 64 << 20;

/// Writes the data set into a folder that is there; returns where it came from.
///
/// `from` is a folder, a zip or wheel, or the URL of one; without it GroupLens is asked, then PyPI.
///
/// # Errors
/// If no source is reachable, lacks a file, or has other contents than MovieLens 100K.
pub fn write(from: Option<&str>, folder: &Path) -> Result<String> {
    let (source, tables) = match from {
        Some(from) => (from.to_owned(), gather(from, folder).with_context(|| from.to_owned())?),
        None => match gather(URL, folder) {
            Ok(tables) => (URL.to_owned(), tables),
            Err(first) => {
                let tables = from_wheel(folder).map_err(|second| {
                    anyhow!("MovieLens 100K came neither from {URL} ({first:#}) nor from PyPI's {PACKAGE} ({second:#}); --from takes a copy")
                })?;
                (format!("PyPI's {PACKAGE}"), tables)
            }
        },
    };
    for ((name, rows, sha256), text) in FILES.iter().zip(tables.csv()) {
        let (got_rows, got) = (text.lines().count() - 1, digest::hex(&Sha256::digest(&text)));
        if got_rows != *rows {
            bail!("{source}: {name}: {rows} rows expected, got {got_rows}");
        }
        if got != *sha256 {
            bail!("{source}: {name}: SHA-256 {sha256} expected, got {got}");
        }
        fs::write(folder.join(name), text)?;
    }
    fs::write(folder.join("data.toml"), data_toml())?;
    Ok(source)
}

fn data_toml() -> String {
    let kinds = [
        ("items.title", "text"),
        ("items.year", "number"),
        ("items.genres", "set"),
        ("users.age", "number"),
        ("users.gender", "category"),
        ("users.occupation", "category"),
    ];
    let kinds = kinds.map(|(column, kind)| format!("\n[{column}]\nkind = \"{kind}\"\n")).concat();
    format!("name = \"ml-100k\"\nlicence = \"{LICENCE}\"\n{kinds}")
}

/// What both sources say, ids as they stand there.
#[derive(Debug, PartialEq)]
struct Tables {
    /// User, item, rating, timestamp.
    ratings: Vec<[String; 4]>,
    /// Id, title with year, genres in the order of [`GENRES`].
    films: Vec<(String, String, Vec<String>)>,
    /// Id, age, gender, occupation.
    users: Vec<[String; 4]>,
}

impl Tables {
    /// The files of [`FILES`].
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

/// The year in the last brackets of four digits of a title, else nothing.
fn year(title: &str) -> &str {
    let whole = |inner: &&str| inner.len() == 4 && inner.bytes().all(|b| b.is_ascii_digit());
    title.rsplit('(').filter_map(|part| Some(part.split_once(')')?.0)).find(whole).unwrap_or("")
}

/// Tables from a folder, an archive or the URL of an archive.
fn gather(from: &str, work: &Path) -> Result<Tables> {
    if from.contains("://") {
        let file = work.join("download");
        let tables = fetch::url(from, &file).and_then(|()| from_archive(&file));
        _ = fs::remove_file(file);
        return tables;
    }
    let path = Path::new(from);
    if path.is_dir() { tables(&mut |name| in_folder(path, name)) } else { from_archive(path) }
}

fn from_wheel(work: &Path) -> Result<Tables> {
    let folder = work.join("download");
    fs::create_dir(&folder)?;
    let tables = fetch::wheel(PACKAGE, &folder).and_then(|wheel| from_archive(&wheel));
    fs::remove_dir_all(folder)?;
    tables
}

fn from_archive(path: &Path) -> Result<Tables> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(path)?)).context("not a zip archive")?;
    tables(&mut |name| {
        for i in 0..archive.len() {
            let entry = archive.by_index(i)?;
            if entry.name().is_ok_and(|path| path == name || path.ends_with(&format!("/{name}"))) {
                return unpack(entry).map(Some).with_context(|| name.to_owned());
            }
        }
        Ok(None)
    })
}

fn in_folder(folder: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    for folder in [folder.to_owned(), folder.join("ml-100k")] {
        let (plain, packed) = (folder.join(name), folder.join(format!("{name}.gz")));
        if plain.is_file() {
            return unpack(File::open(&plain)?).map(Some).with_context(|| plain.display().to_string());
        } else if packed.is_file() {
            return unpack(GzDecoder::new(File::open(&packed)?)).map(Some).with_context(|| packed.display().to_string());
        }
    }
    Ok(None)
}

fn unpack(from: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("longer than {MAX_BYTES} bytes");
    }
    Ok(bytes)
}

/// Tables of the files that `find` has: GroupLens' (`u.data` …), else RecBole's (`ml-100k.inter` …).
fn tables(find: &mut dyn FnMut(&str) -> Result<Option<Vec<u8>>>) -> Result<Tables> {
    let Some(ratings) = find("u.data")? else { return recbole(find) };
    let mut text = |name: &str| find(name)?.map(latin_1).with_context(|| format!("no {name}"));
    let mut films = Vec::new();
    for [id, title, _, _, _, flags @ ..] in rows::<24>("u.item", &text("u.item")?, '|', 0)? {
        let genres = GENRES.iter().zip(&flags).filter(|(_, flag)| *flag == "1").map(|(genre, _)| genre.to_string());
        films.push((id, title.trim_end().to_owned(), genres.collect()));
    }
    let user = |[id, age, gender, occupation, _]: [String; 5]| [id, age, gender, occupation];
    Ok(Tables {
        ratings: rows("u.data", &latin_1(ratings), '\t', 0)?,
        films,
        users: rows("u.user", &text("u.user")?, '|', 0)?.into_iter().map(user).collect(),
    })
}

/// RecBole cut the year from the title; putting it back gives GroupLens' title, except for one misspelt film without a year.
fn recbole(find: &mut dyn FnMut(&str) -> Result<Option<Vec<u8>>>) -> Result<Tables> {
    let mut text = |ending: &str| {
        let name = format!("ml-100k.{ending}");
        let bytes = find(&name)?.with_context(|| format!("neither u.data nor {name}"))?;
        String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))
    };
    let film = |[id, title, year, genres]: [String; 4]| {
        let title = if title == "unkonwn" { "unknown".to_owned() } else { format!("{title} ({year})") };
        (id, title, GENRES.iter().filter(|g| genres.split(' ').any(|have| have == **g)).map(|g| g.to_string()).collect())
    };
    let user = |[id, age, gender, occupation, _]: [String; 5]| [id, age, gender, occupation];
    Ok(Tables {
        ratings: rows("ml-100k.inter", &text("inter")?, '\t', 1)?,
        films: rows("ml-100k.item", &text("item")?, '\t', 1)?.into_iter().map(film).collect(),
        users: rows("ml-100k.user", &text("user")?, '\t', 1)?.into_iter().map(user).collect(),
    })
}

/// ISO-8859-1: a byte a character.
fn latin_1(bytes: Vec<u8>) -> String {
    bytes.into_iter().map(char::from).collect()
}

/// Rows of exactly N fields, after `skip` header lines.
fn rows<const N: usize>(name: &str, text: &str, delimiter: char, skip: usize) -> Result<Vec<[String; N]>> {
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

    const FLAGS_UNKNOWN: &str = "1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0";
    const FLAGS_CHILDREN: &str = "0|0|0|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0";

    /// The same three films, as GroupLens and as RecBole write them.
    fn sources() -> [Vec<(&'static str, Vec<u8>)>; 2] {
        let item = format!(
            "1|Mis\u{e9}rables, Les (1995)|01-Jan-1995||x|{FLAGS_CHILDREN}\n267|unknown||||{FLAGS_UNKNOWN}\n\
             1412|Great Giving (1995) (V)|01-Jan-1995||x|{FLAGS_CHILDREN}\n"
        );
        let item_1 = item.chars().map(|c| c as u8).collect();
        let grouplens = vec![
            ("ml-100k/README", b"u.data".to_vec()),
            ("ml-100k/u.data", b"196\t267\t3\t881250949\n22\t1\t1\t878887116\n".to_vec()),
            ("ml-100k/u.item", item_1),
            ("ml-100k/u.user", b"196|49|M|writer|55105\n22|25|M|writer|40206\n".to_vec()),
        ];
        let recbole = vec![
            ("recbole/ml-100k.inter", b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t267\t3\t881250949\n22\t1\t1\t878887116\n".to_vec()),
            (
                "recbole/ml-100k.item",
                "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tMisérables, Les\t1995\tChildren's Animation\n\
                 267\tunkonwn\tunkonwn\tunknown\n1412\tGreat Giving (1995)\tV\tAnimation Children's\n"
                    .as_bytes()
                    .to_vec(),
            ),
            ("recbole/ml-100k.user", b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n196\t49\tM\twriter\t55105\n22\t25\tM\twriter\t40206\n".to_vec()),
        ];
        [grouplens, recbole]
    }

    fn archive(files: &[(&str, Vec<u8>)]) -> tempfile::NamedTempFile {
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
    fn both_sources_give_the_same_bytes() {
        let expected = [
            "user,item,rating,timestamp\n196,267,3,881250949\n22,1,1,878887116\n",
            "item,title,year,genres\n1,\"Misérables, Les (1995)\",1995,Animation|Children's\n267,unknown,,unknown\n\
             1412,Great Giving (1995) (V),1995,Animation|Children's\n",
            "user,age,gender,occupation\n196,49,M,writer\n22,25,M,writer\n",
        ];
        for files in sources() {
            assert_eq!(from_archive(archive(&files).path()).unwrap().csv(), expected);
        }
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &sources()[0] {
            let path = folder.path().join(name.strip_prefix("ml-100k/").unwrap());
            if name.ends_with("u.data") {
                let mut packed = flate2::write::GzEncoder::new(
                    File::create(format!("{}.gz", path.display())).unwrap(),
                    flate2::Compression::fast(),
                );
                packed.write_all(bytes).unwrap();
                packed.finish().unwrap();
            } else {
                fs::write(path, bytes).unwrap();
            }
        }
        assert_eq!(gather(folder.path().to_str().unwrap(), folder.path()).unwrap().csv(), expected);
    }

    #[test]
    fn other_contents_are_refused() {
        let work = tempfile::tempdir().unwrap();
        let error = |files: &[(&str, Vec<u8>)]| {
            let file = archive(files);
            format!("{:#}", write(file.path().to_str(), work.path()).unwrap_err())
        };
        let [grouplens, recbole] = sources();
        assert!(error(&grouplens).contains("events.csv: 100000 rows expected, got 2"));
        assert!(error(&grouplens[..2]).contains("no u.item"));
        assert!(error(&recbole[1..]).contains("neither u.data nor ml-100k.inter"));
        assert!(
            error(&[("u.data", b"1\t2\n".to_vec()), ("u.item", vec![]), ("u.user", vec![])])
                .contains("u.data:1: 4 fields expected, got 2")
        );
        let text = work.path().join("text");
        fs::write(&text, "<!doctype html>").unwrap();
        assert!(format!("{:#}", write(text.to_str(), work.path()).unwrap_err()).contains("not a zip archive"));
        assert!(!work.path().join("events.csv").exists());
    }
}
