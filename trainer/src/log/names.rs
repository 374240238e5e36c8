//! The names of visitors, from the paths of their logs.

use std::path::{Path, PathBuf};

/// Endings that say how a log is written, not whose it is.
const ENDINGS: [&str; 4] = [".gz", ".jsonl", ".ndjson", ".json"];

/// A name for each file. If the names of the files differ, they are the visitors' names, without their endings. Else
/// the name is the part of the path that differs: of `visitors/ann/log.jsonl` and `visitors/bob/log.jsonl` it is `ann`
/// and `bob`. Parts are joined by `/`.
pub(super) fn names(files: &[PathBuf]) -> Vec<String> {
    let paths: Vec<Vec<String>> = files.iter().map(|file| parts(file)).collect();
    let last = |path: &Vec<String>| path.last().cloned().unwrap_or_default();
    let stems: Vec<String> = paths.iter().map(last).collect();
    if all_differ(&stems) {
        return stems;
    }
    let most = paths.iter().map(Vec::len).min().unwrap_or(1) - 1;
    let alike = |part: &dyn Fn(&Vec<String>) -> &String| paths.windows(2).all(|two| part(&two[0]) == part(&two[1]));
    let before = (0..most).take_while(|i| alike(&|path| &path[*i])).count();
    let after = (0..most - before).take_while(|i| alike(&|path| &path[path.len() - 1 - i])).count();
    paths.iter().map(|path| path[before..path.len() - after].join("/")).collect()
}

/// The parts of an absolute path, the last one without its endings.
fn parts(file: &Path) -> Vec<String> {
    let full = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut parts: Vec<String> = full.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if let Some(last) = parts.last_mut() {
        while let Some(stem) = ENDINGS.iter().find_map(|ending| last.strip_suffix(ending)).filter(|stem| !stem.is_empty()) {
            *last = stem.to_owned();
        }
    }
    parts
}

fn all_differ(names: &[String]) -> bool {
    names.iter().collect::<std::collections::BTreeSet<_>>().len() == names.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_is_named_by_what_differs() {
        for (files, expected) in [
            (&["ann.jsonl"][..], &["ann"][..]),
            (&["a/x.jsonl", "b/y.jsonl.gz"], &["x", "y"]),
            (&["visitors/ann/log.jsonl", "visitors/bob/log.jsonl"], &["ann", "bob"]),
            (&["visitors/ann/log.jsonl", "./visitors/bob/log.jsonl"], &["ann", "bob"]),
            (&["v/ann/1.jsonl", "v/ann/2.jsonl", "v/bob/1.jsonl"], &["ann/1", "ann/2", "bob/1"]),
            (&["eu/ann/log.jsonl", "us/ann/log.jsonl"], &["eu", "us"]),
            (&["log.jsonl", "x/log.jsonl"], &["log", "x/log"]),
            (&["ann/log.jsonl", "ann/log.json"], &["log", "log"]),
            (&["v.1.jsonl", "v.2.jsonl"], &["v.1", "v.2"]),
            (&["dir/.jsonl"], &[".jsonl"]),
        ] {
            let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            assert_eq!(names(&files), expected, "{files:?}");
        }
    }
}
