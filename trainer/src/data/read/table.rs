//! The items and users tables: an id a row, and any columns.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::{Result, bail};
use foretaste::features::Value;

use super::good_rows::{fingerprint, read_good_rows};
use super::{ReadOptions, names};
use crate::data::cell::Cell;
use crate::data::columns::{self, Collected};
use crate::data::declared::{ColumnKind, Declared, DeclaredColumn};
use crate::data::ids::Names;
use crate::data::{Notes, Table, plain, rows};

/// An items or users table as read: row i of the table has the id number i and cell i of every column.
pub(super) struct RawTable {
    /// Name of the file.
    pub file: String,
    pub ids: Names,
    pub columns: Vec<Collected>,
    /// The titles of a table whose column `title` is declared as `ignore`: they are shown, but are not a feature.
    pub title: Option<Collected>,
}

/// Reads the items or users table and adds its counts to `notes`. `key` is the column of the ids, `item` or `user`;
/// `kinds` are the kinds that `data.toml` declares.
///
/// # Errors
/// No column of ids, a declared column that the file lacks, too many bad rows.
pub(super) fn read_table(
    path: &Path,
    key: &str,
    declared: &Declared,
    kinds: &BTreeMap<String, DeclaredColumn>,
    options: &ReadOptions,
    notes: &mut Notes,
) -> Result<RawTable> {
    let source = rows::open(path, options.expansion)?;
    let Some(at) = declared.columns.find(key, &source.columns) else {
        bail!("{}: {}", path.display(), names::missing(&[key], &source));
    };
    let title = if key == "item" { declared.columns.find("title", &source.columns) } else { None };
    if key == "item"
        && let Some((_, name)) = declared.columns.lost(&["title"], &source.columns)
    {
        bail!("data.toml: [columns] title = {name:?}: no such column in {}", path.display());
    }
    // If `data.toml` renames the column of ids or titles, another column with the original name is left out.
    let taken = |name: &str| name == key || (name == "title" && title.is_some());
    let name = |(i, name): (usize, &String)| match title {
        Some(title) if title == i => Some("title".to_owned()),
        _ => Some(name.clone()).filter(|name| i != at && !taken(name)),
    };
    let names: Vec<Option<String>> = source.columns.iter().enumerate().map(name).collect();
    let part = if key == "item" { "items" } else { "users" };
    declared_columns(&names, &source.numbers, kinds, part, path)?;
    let unread = |i: &usize| *i != at && names[*i].is_none();
    let unread = (0..names.len()).filter(unread).map(|i| source.columns[i].clone());
    let unread: Vec<String> = unread.chain(source.structures).collect();
    let proposal = if key == "item" && title.is_none() { names::proposal("title", &source.columns) } else { None };
    let mut columns = Vec::new();
    let mut hidden_title = None;
    for (i, name) in names.into_iter().enumerate() {
        let Some(name) = name else { continue };
        let kind = match kinds.get(&name) {
            Some(declared) => Some(declared.kind),
            None if Some(i) == title => Some(ColumnKind::Text),
            None => None,
        };
        if kind != Some(ColumnKind::Ignore) {
            columns.push(Collected::new(name, i, kind, source.numbers.get(i) == Some(&true)));
        } else if Some(i) == title {
            hidden_title = Some(Collected::new(name, i, Some(ColumnKind::Text), false));
        }
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut out = RawTable { file, ids: Names::default(), columns, title: hidden_title };
    let (mut seen, mut repeated) = (HashSet::new(), 0);
    let take = |cells: &mut [Cell]| {
        let print = fingerprint(cells);
        if seen.contains(&print) {
            repeated += 1;
            return Ok(());
        }
        let id = match &cells[at] {
            Cell::Missing => return Err(format!("{key} is empty")),
            Cell::Opaque(opaque) => return Err(format!("{key} is {}", opaque.why)),
            cell => columns::text(cell),
        };
        if out.ids.get(&id).is_some() {
            return Err(format!("a second row of {key} {}", columns::shown(&cells[at])));
        }
        if let Some(fault) = out.columns.iter().find_map(|c| c.fault(&cells[c.at])) {
            return Err(fault);
        }
        out.ids.intern(&id);
        for column in out.columns.iter_mut().chain(&mut out.title) {
            column.push(std::mem::replace(&mut cells[column.at], Cell::Missing));
        }
        seen.insert(print);
        Ok(())
    };
    let mut table = read_good_rows(path, source.rows, options, notes, take, Ok)?;
    table.repeats(repeated);
    (table.unread, table.told) = (unread, Vec::from_iter(source.told));
    if let Some(proposal) = proposal {
        notes.note(format!("{}: {proposal}", table.file));
    }
    notes.table(table);
    Ok(out)
}

/// The columns that `data.toml` declares for a file, without those of kind `ignore`. `names` are the columns of the
/// file, with `None` for one that cannot be declared; `numbers` says which of them hold numbers by their type.
///
/// # Errors
/// A declared column that the file lacks; `part` is its table in `data.toml`.
pub(super) fn declared_columns(
    names: &[Option<String>],
    numbers: &[bool],
    kinds: &BTreeMap<String, DeclaredColumn>,
    part: &str,
    path: &Path,
) -> Result<Vec<Collected>> {
    let mut out = Vec::new();
    for (name, declared) in kinds {
        let Some(at) = names.iter().position(|n| n.as_ref() == Some(name)) else {
            bail!("data.toml: [{part}.{}]: no such column in {}", plain(name), path.display());
        };
        if declared.kind != ColumnKind::Ignore {
            out.push(Collected::new(name.clone(), at, Some(declared.kind), numbers.get(at) == Some(&true)));
        }
    }
    Ok(out)
}

/// The titles and the columns of a table, one row for each of `ids`; an id that the table lacks has missing values.
pub(super) fn finish_table(table: RawTable, ids: &[String], part: &str, notes: &mut Notes) -> (Vec<Option<String>>, Table) {
    let rows: Vec<Option<u32>> = ids.iter().map(|id| table.ids.get(id)).collect();
    let hidden = table.title.and_then(|title| title.finish(&rows, part, notes));
    let finished = finish_columns(table.columns, &rows, part, notes);
    let title = hidden.as_ref().or_else(|| finished.columns.iter().find(|c| c.name == "title"));
    let titles = match title {
        Some(title) => title.values.iter().map(Value::text).collect(),
        None => vec![None; ids.len()],
    };
    (titles, finished)
}

/// The columns sorted by name, with one value for each of `rows`: numbers of rows of the file, `None` for a missing
/// value. A column whose kind is not declared gets the kind that its cells have; a column without values is left out.
/// Both are written to `notes`.
pub(super) fn finish_columns(columns: Vec<Collected>, rows: &[Option<u32>], part: &str, notes: &mut Notes) -> Table {
    let mut out: Vec<_> = columns.into_iter().filter_map(|column| column.finish(rows, part, notes)).collect();
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Table { columns: out }
}
