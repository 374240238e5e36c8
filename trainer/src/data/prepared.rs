//! Writes a data set as a data folder: tables in Parquet, with every chosen kind declared in `data.toml`.

use std::fs;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};
use foretaste::features::Value;

use super::columnar::{self, Written};
use super::{Column, Dataset, Table, features};

/// Writes tables that [`super::read_folder`] reads as the same data set, with the same hash.
pub fn write_tables(data: &Dataset, folder: &Path) -> Result<()> {
    let texts = |columns: &Table| columns.columns.iter().map(texts).collect::<Vec<_>>();
    fn id(ids: &[String], at: u32) -> Option<&str> {
        Some(ids[at as usize].as_str())
    }
    let events = &data.events;
    let context = texts(&data.context_table);
    let row = row_column(data);
    let columns = |range: Range<usize>| {
        let events = &events[range.clone()];
        let mut columns = vec![
            ("user", Written::Texts(events.iter().map(|e| id(&data.users, e.user)).collect())),
            ("item", Written::Texts(events.iter().map(|e| id(&data.items, e.item)).collect())),
            ("type", Written::Texts(events.iter().map(|e| Some(data.types[usize::from(e.kind)].name.as_str())).collect())),
            // Rows may have differed only in columns that are left out; their number keeps them from being dropped as
            // repeats.
            (row.as_str(), Written::Ranks(range.clone().map(|row| row as i64).collect())),
        ];
        if data.has_times() {
            columns.push(("timestamp", Written::Whole(events.iter().map(|e| e.time).collect())));
        }
        if data.has_ratings() {
            columns.push(("rating", Written::Numbers(events.iter().map(|e| e.rating).collect())));
        }
        columns.extend(written(&data.context_table, &context, range));
        columns
    };
    write(folder, "events.parquet", data.events.len(), columns)?;

    let items = texts(&data.item_table);
    let columns = |range: Range<usize>| {
        let mut columns = vec![("item", Written::Texts(data.items[range.clone()].iter().map(|id| Some(id.as_str())).collect()))];
        columns.extend(written(&data.item_table, &items, range.clone()));
        if hidden_title(data) {
            columns.push(("title", Written::Texts(data.titles[range].iter().map(Option::as_deref).collect())));
        }
        columns
    };
    write(folder, "items.parquet", data.items.len(), columns)?;

    if !data.user_table.columns.is_empty() {
        let users = texts(&data.user_table);
        let columns = |range: Range<usize>| {
            let mut columns =
                vec![("user", Written::Texts(data.users[range.clone()].iter().map(|id| Some(id.as_str())).collect()))];
            columns.extend(written(&data.user_table, &users, range));
            columns
        };
        write(folder, "users.parquet", data.users.len(), columns)?;
    }
    fs::write(folder.join("data.toml"), data_toml(data)).context("data.toml")
}

/// The name of the column with the numbers of rows: one that no other column has.
fn row_column(data: &Dataset) -> String {
    let mut name = "row".to_owned();
    while data.context_table.columns.iter().any(|column| column.name == name) {
        name.push('_');
    }
    name
}

/// Whether the data set has titles that are not a column, because `title` is declared as `ignore`.
fn hidden_title(data: &Dataset) -> bool {
    data.titles.iter().any(Option::is_some) && !data.item_table.columns.iter().any(|c| c.name == "title")
}

/// The values of a column as texts; `None` for numbers, which are written as numbers.
fn texts(column: &Column) -> Vec<Option<String>> {
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Set(members) => Some(members.join("|")),
        Value::Vector(xs) => Some(xs.iter().map(f64::to_string).collect::<Vec<_>>().join(" ")),
        Value::Number(_) | Value::Missing => None,
    };
    column.values.iter().map(text).collect()
}

fn write<'a>(
    folder: &Path,
    name: &str,
    rows: usize,
    columns: impl Fn(Range<usize>) -> Vec<(&'a str, Written<'a>)>,
) -> Result<()> {
    let path = folder.join(name);
    columnar::write(&path, rows, columns).with_context(|| path.display().to_string())
}

/// The columns of a table for a range of rows, ready to write.
fn written<'a>(
    table: &'a Table,
    texts: &'a [Vec<Option<String>>],
    range: Range<usize>,
) -> impl Iterator<Item = (&'a str, Written<'a>)> {
    table.columns.iter().zip(texts).map(move |(column, texts)| {
        let values = match column.kind {
            "number" => Written::Numbers(column.values[range.clone()].iter().map(Value::number).collect()),
            _ => Written::Texts(texts[range.clone()].iter().map(Option::as_deref).collect()),
        };
        (column.name.as_str(), values)
    })
}

fn data_toml(data: &Dataset) -> String {
    let mut out = format!("name = {}\n", quoted(&data.name));
    if let Some(licence) = &data.licence {
        out += &format!("licence = {}\n", quoted(licence));
    }
    for (part, table) in [("items", &data.item_table), ("users", &data.user_table), ("context", &data.context_table)] {
        for column in &table.columns {
            out += &format!("\n[{part}.{}]\nkind = \"{}\"\n", quoted(&column.name), column.kind);
        }
    }
    out += &format!("\n[context.{}]\nkind = \"ignore\"\n", quoted(&row_column(data)));
    if hidden_title(data) {
        out += "\n[items.title]\nkind = \"ignore\"\n";
    }
    for t in &data.types {
        out += &format!(
            "\n[types.{}]\npositive = {}\nseen = {}\nhide = {}\nweight = {:?}\n",
            quoted(&t.name),
            t.positive,
            t.seen,
            t.hide,
            t.weight
        );
    }
    out.extend(data.views.iter().map(|view| features::declaration(view, quoted)));
    out.extend(data.inputs.iter().map(|input| features::input_declaration(input, quoted)));
    if !data.ttl.is_empty() {
        out += "\n[ttl]\n";
        out.extend(data.ttl.iter().map(|(of, millis)| format!("{} = \"{millis}ms\"\n", quoted(of))));
    }
    out.extend(data.utility.iter().map(|formula| format!("\n[utility]\nvalue = {}\n", quoted(formula.text()))));
    out
}

/// A basic string of TOML. It has the same escapes as a JSON string, and one character more that must be escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
