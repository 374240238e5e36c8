//! What the trainer reads: data folders, logs, settings, tables of a logged policy. Its readers take paths, so an input
//! is written to a folder in memory where the system has one.

use std::fs;
use std::path::{Path, PathBuf};

use foretaste::profile::LogLine;
use foretaste_trainer::data::{ReadOptions, read_folder, write_tables};
use foretaste_trainer::log::{Logs, dsjson, ga4, obp};
use foretaste_trainer::ope::read_table;
use foretaste_trainer::protocols::Protocol;
use foretaste_trainer::training::{Config, Space};
use tempfile::TempDir;

use super::page::go_on;
use super::text::one_line;

thread_local!(static SCRATCH: TempDir = {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    folder.expect("a temporary folder")
});

/// The only files of a data folder that an input may name.
const FILES: [&str; 10] = [
    "events.csv",
    "events.tsv",
    "events.jsonl",
    "items.csv",
    "items.tsv",
    "items.jsonl",
    "users.csv",
    "users.tsv",
    "users.jsonl",
    "data.toml",
];

/// A fresh folder in place of the last one.
fn fresh(name: &str) -> PathBuf {
    let folder = SCRATCH.with(|scratch| scratch.path().join(name));
    _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a folder");
    folder
}

/// Writes the input to a file.
fn written(name: &str, input: &[u8]) -> PathBuf {
    let path = SCRATCH.with(|scratch| scratch.path().join(name));
    fs::write(&path, input).expect("a file");
    path
}

/// The value, or a check of the message.
fn taken<T>(result: anyhow::Result<T>) -> Option<T> {
    result.map_err(|error| one_line(&format!("{error:#}"))).ok()
}

/// A data folder in one input: after a line `== NAME` come the lines of the file NAME.
pub fn folder(input: &[u8]) -> bool {
    let folder = fresh("data");
    let mut file: Option<(&str, Vec<u8>)> = None;
    let end = |file: Option<(&str, Vec<u8>)>| {
        file.into_iter().for_each(|(name, content)| fs::write(folder.join(name), content).expect("a file"));
    };
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let named = line.strip_prefix(b"== ").map(<[u8]>::trim_ascii);
        match named.and_then(|name| FILES.into_iter().find(|known| known.as_bytes() == name)) {
            Some(name) => end(file.replace((name, Vec::new()))),
            None => file.iter_mut().for_each(|(_, content)| content.extend(line)),
        }
    }
    end(file);
    read(&folder)
}

/// A Parquet table of events.
pub fn parquet(input: &[u8]) -> bool {
    let folder = fresh("data");
    fs::write(folder.join("events.parquet"), input).expect("a file");
    read(&folder)
}

/// Reads a data folder. What is accepted is prepared, and the prepared folder is read as the same data.
fn read(folder: &Path) -> bool {
    // With the usual expansion a few bytes may stand for millions of rows, which take longer than a case may.
    let options = ReadOptions { max_bad: 0.5, quiet: true, expansion: 16, ..ReadOptions::default() };
    let Some(data) = taken(read_folder(folder, &options)) else { return false };
    assert_eq!(data.offsets.len(), data.users.len() + 1);
    let prepared = fresh("prepared");
    write_tables(&data, &prepared).expect("data that was read can be prepared");
    let again = read_folder(&prepared, &options).unwrap_or_else(|error| panic!("prepared data is read: {error:#}"));
    assert_eq!(again.sha256, data.sha256, "prepared data is the same data");
    true
}

/// A log: the trainer reads it, takes it to the forms of other tools, and reads its own lines again as the same; the
/// core goes on from it.
pub fn log(input: &[u8]) -> bool {
    let read = |bytes: &[u8]| foretaste_trainer::log::read(&[written("visitor.jsonl", bytes)], 0.0);
    let Some(Logs { visitors, .. }) = taken(read(input)) else { return false };
    let log = &visitors[0];
    let shown = log.shown().len();
    assert_eq!(shown, log.lines.iter().filter(|line| matches!(line, LogLine::Impression(_))).count());
    let line = |line: &LogLine| serde_json::to_string(line).expect("a line can be written") + "\n";
    let text: String = log.lines.iter().map(line).collect();
    let again = read(text.as_bytes()).expect("a written log is read");
    assert_eq!(again.visitors[0].lines, log.lines, "a log is read again as it was");
    go_on(&log.lines);
    _ = (dsjson(&visitors), ga4(&visitors), obp(&visitors));
    true
}

/// A table of a logged policy.
pub fn table(input: &[u8]) -> bool {
    let table = taken(read_table(&written("table.csv", input)));
    table.is_some_and(|table| {
        assert!(table.rows.iter().all(|row| row.propensity > 0.0 && row.propensity <= 1.0 && row.reward.is_finite()));
        true
    })
}

/// Settings of a training and of a search.
pub fn settings(input: &[u8]) -> bool {
    let file = written("settings.toml", input);
    taken(Space::read(Some(&file)));
    let Some(config) = taken(Config::read(Some(&file), Protocol::P5)) else { return false };
    let table = toml::Table::try_from(&config).expect("settings are a table");
    let again = Config::of(Protocol::P5).with(&table);
    assert_eq!(again.expect("settings are taken again"), config, "settings are read again as they were");
    true
}
