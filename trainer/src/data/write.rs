//! Writes CSV lines and tables of slates.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::columnar::{self, Written};

/// Appends a line of comma-separated values, quoted if RFC 4180 requires it.
pub(crate) fn csv_line<S: AsRef<str>>(out: &mut String, fields: &[S]) {
    for (i, field) in fields.iter().map(S::as_ref).enumerate() {
        if i > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            out.extend(["\"", &field.replace('"', "\"\""), "\""]);
        } else {
            out.push_str(field);
        }
    }
    out.push('\n');
}

/// Writes slates to a Parquet table with the columns `user`, `rank` (from 1), `item` and `score`. `slates` maps an
/// index into `users` to items with scores, best first.
pub fn write_slates(file: &Path, users: &[String], slates: &BTreeMap<usize, Vec<(String, f32)>>) -> Result<()> {
    if let Some(user) = slates.keys().find(|user| **user >= users.len()) {
        bail!("slate of user number {user}, of {} users", users.len());
    }
    let rows: Vec<_> =
        slates.iter().flat_map(|(user, slate)| slate.iter().enumerate().map(move |(i, row)| (*user, i, row))).collect();
    let columns = |range: Range<usize>| {
        let rows = || rows[range.clone()].iter();
        vec![
            ("user", Written::Texts(rows().map(|(user, _, _)| Some(users[*user].as_str())).collect())),
            ("rank", Written::Ranks(rows().map(|(_, i, _)| *i as i64 + 1).collect())),
            ("item", Written::Texts(rows().map(|(_, _, (item, _))| Some(item.as_str())).collect())),
            ("score", Written::Scores(rows().map(|(_, _, (_, score))| *score).collect())),
        ]
    };
    columnar::write(file, rows.len(), columns).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::cell::Cell;
    use crate::data::{ReadOptions, rows};

    #[test]
    fn quotes_where_rfc_4180_asks() {
        let mut out = String::new();
        csv_line(&mut out, &["a,b", "say \"hi\"", " plain ", "two\nlines", ""]);
        assert_eq!(out, "\"a,b\",\"say \"\"hi\"\"\", plain ,\"two\nlines\",\n");
    }

    #[test]
    fn slates_read_back() {
        let file = tempfile::tempdir().unwrap().keep().join("slates.parquet");
        let slates =
            BTreeMap::from([(0, vec![("7".to_owned(), 0.5), ("007".to_owned(), -0.25)]), (2, vec![("x".to_owned(), 1e-9)])]);
        let users = ["a", "b", "c"].map(String::from);
        write_slates(&file, &users, &slates).unwrap();
        let table = rows::open(&file, ReadOptions::default().expansion).unwrap();
        assert_eq!(table.columns, ["user", "rank", "item", "score"]);
        let rows: Vec<Vec<Cell>> = table.rows.map(|r| r.unwrap().cells.unwrap()).collect();
        let expected = [["a", "1", "7", "0.5"], ["a", "2", "007", "-0.25"], ["c", "1", "x", "0.000000001"]];
        assert_eq!(rows, expected.map(|row| row.map(|t| Cell::Text(t.to_owned())).to_vec()));
        std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
        assert!(write_slates(&file, &users[..1], &slates).is_err());
    }
}
