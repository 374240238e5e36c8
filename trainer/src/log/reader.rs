//! Reads exported logs: the one way from files to visitors, for every verb that takes a log.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use flate2::bufread::MultiGzDecoder;
use foretaste::features::MAX_NAMES;
use foretaste::profile::LogLine;

use super::late;
use super::names::names;
use super::repeats::{Distinct, distinct};
use super::{Place, Rewards, VisitorLog, line};
use crate::files;

/// Most bytes of a line.
pub(crate) const MAX_LINE: usize = 16 << 20;
/// Most bytes of one log, decompressed.
const MAX_BYTES: u64 = 256 << 20;
/// Most lines of one log. A page keeps 20,000.
const MAX_LINES: usize = 1_000_000;
/// Most names that a warning lists.
const NAMED: usize = 10;

/// Exported logs, read and checked.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    /// One log for each visitor, in the order of the files. Repeated lines are left out.
    pub visitors: Vec<VisitorLog>,
    /// Warnings for people; empty if nothing is wrong.
    pub warnings: Vec<String>,
}

impl Logs {
    /// A warning of answers that join no slate of their log, if there are any.
    pub fn unanswered(&self) -> Option<String> {
        let counts = self.visitors.iter().map(VisitorLog::answers);
        let (all, lost) = counts.fold((0, 0), |(all, lost), (more, without)| (all + more, lost + without));
        (lost > 0).then(|| {
            format!(
                "{lost} of {all} answers join no slate of the log: the slate that they name is not in the log before them, or \
                 does not show their item"
            )
        })
    }

    /// A warning of types with a reward that no event has, if there are any.
    pub fn without_type(&self, rewards: &Rewards) -> Option<String> {
        let lines = self.visitors.iter().flat_map(|visitor| &visitor.lines);
        let types = lines.filter_map(|line| if let LogLine::Event(event) = line { Some(event.kind.as_str()) } else { None });
        let types: BTreeSet<&str> = types.collect();
        let quoted = |name: &str| format!("`{name}`");
        let unmet: Vec<String> =
            rewards.named.keys().filter(|name| !types.contains(name.as_str())).map(|name| quoted(name)).collect();
        (!unmet.is_empty()).then(|| {
            let there = if types.is_empty() { "none".into() } else { some(types.iter().map(|name| quoted(name))) };
            format!("no event of the log has the type {}; there are: {there}", unmet.join(", "))
        })
    }
}

/// Reads exported logs (JSON lines, also with a byte order mark or compressed with gzip). Empty lines are skipped.
///
/// A visitor is named by the name of the file, or by the part of the path that differs where the files have one name.
/// Lines that stand more than once count once, and exports that overlap are joined.
///
/// `most_bad` is the largest share of logs with a fault that are left out with a warning: 0 refuses any fault, 1 leaves
/// out every log that has one.
///
/// # Errors
/// A file that cannot be opened; a line that is not a line of a log, is too long, or has a propensity, a time or a
/// number of slots out of range: with file and line.
pub fn read(files: &[PathBuf], most_bad: f64) -> Result<Logs> {
    let files = once(files);
    let (mut logs, mut bad, mut without_time) = (Vec::new(), Vec::new(), 0);
    for (file, name) in files.iter().zip(names(&files)) {
        match lines(files::open(file)?.0, file, name.clone()) {
            Ok(log) => {
                without_time += log.1;
                logs.push(log.0);
            }
            Err(fault) if most_bad > 0.0 => bad.push((name, fault)),
            Err(fault) => return Err(fault),
        }
    }
    let mut warnings = left_out(bad, files.len(), most_bad)?;
    let Distinct { mut visitors, repeated, joined } = distinct(logs);
    visitors.iter_mut().for_each(late::arrange);
    if repeated > 0 {
        warnings.push(format!("{repeated} lines stand more than once in the logs; each counts once"));
    }
    if !joined.is_empty() {
        let pairs = joined.iter().map(|[export, with]| format!("`{export}` with `{with}`"));
        warnings.push(format!("{} exports overlap others and are joined with them: {}", joined.len(), some(pairs)));
    }
    if without_time > 0 {
        warnings.push(format!("{without_time} assignments have a time that is none, such as 1; it is left out"));
    }
    Ok(Logs { visitors, warnings })
}

/// The files, each once however often and by whatever path it is given.
fn once(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut known = HashSet::new();
    let new = |file: &&PathBuf| known.insert(file.canonicalize().unwrap_or_else(|_| (*file).clone()));
    files.iter().filter(new).cloned().collect()
}

/// Reads one log. Returns it with the number of assignments whose time was left out.
fn lines(source: File, file: &Path, name: String) -> Result<(VisitorLog, usize)> {
    let shown = file.display().to_string();
    let path: Arc<str> = shown.as_str().into();
    let mut source = text(source).with_context(|| format!("{shown}: cannot be read"))?.take(MAX_BYTES + 1);
    let (mut log, mut without_time) = (VisitorLog::new(name, vec![]), 0);
    let (mut types, mut bytes) = (BTreeSet::new(), Vec::new());
    for number in 1.. {
        let at = || format!("{shown}:{number}");
        bytes.clear();
        if files::read_line(&mut source, &mut bytes, MAX_LINE).with_context(at)? == 0 {
            break;
        }
        ensure!(
            source.limit() > 0,
            "{shown}: the log is larger than {} MiB: split it into one file for each visitor",
            MAX_BYTES >> 20
        );
        ensure!(number <= MAX_LINES, "{shown}: the log has more than {MAX_LINES} lines: split it into one file for each visitor");
        let line = std::str::from_utf8(&bytes).context("the line is not UTF-8").with_context(at)?.trim();
        if line.is_empty() {
            continue;
        }
        let line::Checked { line, without_time: left_out } = line::read(line).with_context(at)?;
        if let LogLine::Event(event) = &line
            && !types.contains(&event.kind)
        {
            ensure!(types.len() < MAX_NAMES, "{}: more than {MAX_NAMES} different types of events", at());
            types.insert(event.kind.clone());
        }
        without_time += usize::from(left_out);
        log.lines.push(line);
        log.places.push(Some(Place { file: path.clone(), line: number as u32 }));
    }
    Ok((log, without_time))
}

/// The text of a file: decompressed, and without a byte order mark.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn text(file: File) -> std::io::Result<Box<dyn BufRead>> {
    let mut source: Box<dyn BufRead> = Box::new(BufReader::new(file));
    if source.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        source = Box::new(BufReader::new(MultiGzDecoder::new(source)));
    }
    if source.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        source.consume(3);
    }
    Ok(source)
}

/// Warnings of the visitors whose log is left out.
fn left_out(bad: Vec<(String, anyhow::Error)>, of: usize, most: f64) -> Result<Vec<String>> {
    if bad.len() as f64 > most * of as f64 {
        let n = bad.len();
        let Some((name, fault)) = bad.into_iter().next() else { return Ok(vec![]) };
        if of == 1 {
            return Err(fault);
        }
        return Err(fault.context(format!(
            "{n} of {of} logs have a fault, more than {} %; the first is that of visitor `{name}`",
            100.0 * most
        )));
    }
    let named = bad.iter().take(NAMED).map(|(name, fault)| format!("visitor `{name}` is left out: {fault:#}"));
    let mut warnings: Vec<String> = named.collect();
    if bad.len() > NAMED {
        warnings.push(format!("{} more visitors are left out", bad.len() - NAMED));
    }
    Ok(warnings)
}

/// The first names of a list.
fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first: Vec<String> = names.take(NAMED).collect();
    first.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten logs, the first `bad` of them with a fault in line 2.
    fn logs(folder: &Path, bad: usize) -> Vec<PathBuf> {
        let write = |i: usize| {
            let file = folder.join(format!("v{i}.jsonl"));
            let second = if i < bad { r#"{"item":"","type":"view"}"# } else { r#"{"item":"2","type":"view"}"# };
            std::fs::write(&file, format!("{{\"item\":\"1\",\"type\":\"view\"}}\n{second}\n")).unwrap();
            file
        };
        (0..10).map(write).collect()
    }

    #[test]
    fn a_faulty_log_is_left_out_by_name_unless_there_are_many() {
        let folder = tempfile::tempdir().unwrap();
        let found = read(&logs(folder.path(), 2), 0.2).unwrap();
        assert_eq!((found.visitors.len(), found.warnings.len()), (8, 2));
        assert!(found.warnings[0].starts_with("visitor `v0` is left out: ") && found.warnings[0].contains("v0.jsonl:2: "));
        let fault = |bad, most| format!("{:#}", read(&logs(folder.path(), bad), most).unwrap_err());
        let many = fault(3, 0.2);
        assert!(many.starts_with("3 of 10 logs have a fault, more than 20 %") && many.contains("v0.jsonl:2: "), "{many}");
        assert!(fault(1, 0.0).contains("v0.jsonl:2: "));
        // A file that is not there is no fault of a visitor.
        let missing = [logs(folder.path(), 0), vec![folder.path().join("none.jsonl")]].concat();
        assert!(format!("{:#}", read(&missing, 1.0).unwrap_err()).contains("none.jsonl: cannot be read"));
    }

    #[test]
    fn a_log_has_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ann.jsonl.gz");
        let packed = |text: &dyn Fn(u64) -> String, lines: u64| {
            let to = File::create(&file).unwrap();
            let mut to = std::io::BufWriter::new(flate2::write::GzEncoder::new(to, flate2::Compression::fast()));
            (0..lines).for_each(|i| std::io::Write::write_all(&mut to, text(i).as_bytes()).unwrap());
            to.into_inner().unwrap().finish().unwrap();
            read(std::slice::from_ref(&file), 0.0).map_err(|fault| format!("{fault:#}"))
        };
        let kind = |i: u64| format!("{{\"item\":\"1\",\"type\":\"t{i}\"}}\n");
        assert_eq!(packed(&kind, 1024).unwrap().visitors[0].lines.len(), 1024);
        assert!(packed(&kind, 1025).unwrap_err().ends_with("ann.jsonl.gz:1025: more than 1024 different types of events"));
        let empty = |_| "\n".to_owned();
        assert!(packed(&empty, MAX_LINES as u64 + 1).unwrap_err().contains("more than 1000000 lines"));
        let blank = |_| " ".repeat(1 << 20) + "\n";
        assert!(packed(&blank, 257).unwrap_err().contains("larger than 256 MiB"));
    }
}
