//! A row of a table and its cells, whatever the form of the file.

use anyhow::Result;

/// One cell of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Empty or null.
    Missing,
    /// A text; a number in its shortest form.
    Text(String),
    /// A moment, Unix seconds, from a form that has a type for it.
    Moment(i64),
    /// A list of texts.
    List(Vec<String>),
    /// A list of finite numbers.
    Vector(Vec<f64>),
}

impl Cell {
    /// A text, or nothing where it is empty.
    pub fn of(text: String) -> Cell {
        if text.is_empty() { Cell::Missing } else { Cell::Text(text) }
    }

    /// A list, or nothing where it is empty.
    pub fn list(members: Vec<String>) -> Cell {
        if members.is_empty() { Cell::Missing } else { Cell::List(members) }
    }
}

/// One row: its line (1 is the first of the file, header included) and its cells, one a column, or why there are none.
pub(super) struct Row {
    pub line: u64,
    pub cells: Result<Vec<Cell>, String>,
}

/// The rows of a file. An error ends them; a bad row is a [`Row`] without cells.
pub(super) struct Rows {
    pub columns: Vec<String>,
    pub rows: Box<dyn Iterator<Item = Result<Row>>>,
}
