//! Rows and cells of a table, in any file format.

use anyhow::Result;

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
}

impl Cell {
    /// A text; an empty one is missing.
    pub fn of(text: String) -> Cell {
        if text.is_empty() { Cell::Missing } else { Cell::Text(text) }
    }

    /// A list; an empty one is missing.
    pub fn list(members: Vec<String>) -> Cell {
        if members.is_empty() { Cell::Missing } else { Cell::List(members) }
    }
}

/// One row: its line (the first line of the file, the header, is 1), and one cell for each column or why they cannot be
/// read.
pub(super) struct Row {
    pub line: u64,
    pub cells: Result<Vec<Cell>, String>,
}

/// The columns and rows of a file. A bad row is a [`Row`] whose `cells` are an error; an error in place of a row ends
/// the file.
pub(super) struct Rows {
    pub columns: Vec<String>,
    pub rows: Box<dyn Iterator<Item = Result<Row>>>,
}
