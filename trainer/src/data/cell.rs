//! Rows and cells of a table, in any file format.

use std::borrow::Cow;

use anyhow::Result;

/// Most columns of a table.
pub(super) const MOST_COLUMNS: usize = 8192;

/// Most members of a list in a cell.
pub(super) const LONGEST_LIST: usize = 1 << 16;

/// One cell of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Empty or null.
    Missing,
    /// A text, or a number written in its shortest form.
    Text(String),
    /// A time in Unix seconds, from a format that has a type for times.
    Moment(i64),
    /// A list of texts.
    List(Vec<String>),
    /// A list of finite numbers.
    Vector(Vec<f64>),
    /// A value that no kind of column can have. It makes a row bad only if its column is read.
    Opaque(Opaque),
}

/// A value that no kind of column can have: an object, or bytes that are no text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Opaque {
    /// What it is, as a message says it.
    pub why: Cow<'static, str>,
    /// The bytes of the file, by which rows are compared.
    pub bytes: Vec<u8>,
}

impl Cell {
    /// A text; an empty one is missing.
    pub fn of(text: String) -> Cell {
        if text.is_empty() { Cell::Missing } else { Cell::Text(text) }
    }

    /// A list, without empty members; an empty one is missing.
    pub fn list(mut members: Vec<String>) -> Cell {
        members.retain(|member| !member.is_empty());
        if members.is_empty() { Cell::Missing } else { Cell::List(members) }
    }

    /// Bytes that should be a text; if they are not UTF-8, an opaque cell.
    pub fn utf8(bytes: Vec<u8>) -> Cell {
        match String::from_utf8(bytes) {
            Ok(text) => Cell::of(text),
            Err(error) => Cell::opaque("not UTF-8", error.into_bytes()),
        }
    }

    /// A value that no kind of column can have.
    pub fn opaque(why: impl Into<Cow<'static, str>>, bytes: Vec<u8>) -> Cell {
        Cell::Opaque(Opaque { why: why.into(), bytes })
    }
}

/// One row.
pub(super) struct Row {
    /// Line of the file that the row starts on; the first line, the header, is 1. In Parquet the position of the row,
    /// from 1.
    pub line: u64,
    /// Over how many lines the longest field in quotes goes; 1 if none goes over more.
    pub field_lines: u64,
    /// One cell for each column, or why they cannot be read.
    pub cells: Result<Vec<Cell>, String>,
}

/// The columns and rows of a file. A bad row is a [`Row`] whose `cells` are an error; an error in place of a row ends
/// the file.
pub(super) struct Rows {
    pub columns: Vec<String>,
    /// For each column, whether the file itself says that it holds numbers or times; empty if the form has no types.
    pub numbers: Vec<bool>,
    /// Columns of the file that are not among `columns`, because no kind of column has such values.
    pub structures: Vec<String>,
    /// How the file was read, if that was told from its content: "fields separated by `;`".
    pub told: Option<String>,
    pub rows: Box<dyn Iterator<Item = Result<Row>>>,
}
