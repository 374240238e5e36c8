//! Columns while their file is read, and the conversion of cells to values of a kind.

use std::borrow::Cow;

use foretaste::features::Value;

use super::cell::Cell;
use super::declared::ColumnKind;
use super::kinds::{STRAYS, inferred, useless};
use super::{Column, Notes, meet};

/// A column while its file is read.
pub(super) struct Collected {
    pub name: String,
    /// Index of the column in the file.
    pub at: usize,
    pub declared: Option<ColumnKind>,
    /// Whether the file itself says that the column holds numbers or times.
    numbers: bool,
    pub cells: Vec<Cell>,
    /// Length of the vectors so far.
    dim: Option<usize>,
    /// How many cells of an undeclared column were opaque, and what the first of them was.
    opaque: (usize, Cow<'static, str>),
}

impl Collected {
    pub fn new(name: String, at: usize, declared: Option<ColumnKind>, numbers: bool) -> Self {
        Collected { name, at, declared, numbers, cells: Vec::new(), dim: None, opaque: (0, "".into()) }
    }

    /// Why a cell does not fit the declared kind; `None` if it fits.
    pub fn fault(&self, cell: &Cell) -> Option<String> {
        let declared = self.declared?;
        let because = |why: String| Some(format!("{}: {why}", meet::plain(&self.name)));
        if let Cell::Opaque(opaque) = cell {
            return because(opaque.why.to_string());
        }
        match declared {
            ColumnKind::Number => match number(cell) {
                None if self.numbers && is_nan(cell) => None,
                None if *cell != Cell::Missing => because(format!("{} is not a finite number", shown(cell))),
                _ => None,
            },
            ColumnKind::Vector => match (vector(cell), self.dim) {
                (None, _) if *cell != Cell::Missing => because(format!("{} is not a vector of numbers", shown(cell))),
                (Some(xs), Some(dim)) if xs.len() != dim => because(format!("{dim} numbers expected, got {}", xs.len())),
                _ => None,
            },
            _ => None,
        }
    }

    /// Adds the cell of the next row. An opaque cell, which only an undeclared column can have, counts as missing.
    pub fn push(&mut self, cell: Cell) {
        let cell = match cell {
            Cell::Opaque(opaque) => {
                if self.opaque.0 == 0 {
                    self.opaque.1 = opaque.why;
                }
                self.opaque.0 += 1;
                Cell::Missing
            }
            cell => cell,
        };
        if self.declared == Some(ColumnKind::Vector) && self.dim.is_none() {
            self.dim = vector(&cell).map(|xs| xs.len());
        }
        self.cells.push(cell);
    }

    /// The finished column, with one value for each of `rows`: indices of cells, `None` for a missing value. `None` if
    /// an undeclared column has no values. `part` is the table of the column in messages; what they say goes to
    /// `notes`.
    pub fn finish(mut self, rows: &[Option<u32>], part: &str, notes: &mut Notes) -> Option<Column> {
        let name = format!("{part}.{}", meet::plain(&self.name));
        let kind = match self.declared {
            Some(kind) => kind,
            None => self.choose(&name, notes)?,
        };
        let mut take = |row: &Option<u32>| match row {
            Some(at) => value(kind, std::mem::replace(&mut self.cells[*at as usize], Cell::Missing)),
            None => Value::Missing,
        };
        let values = rows.iter().map(&mut take).collect();
        let column = Column { name: self.name, kind: kind.name(), values };
        if let Some(reason) = useless(&column) {
            notes.note(format!("{name}: no tower can use it, {reason}"));
        }
        Some(column)
    }

    /// The kind of an undeclared column, by its cells; `None` if it has no cells that a column can have. Tells `notes`
    /// which cells do not fit.
    fn choose(&self, name: &str, notes: &mut Notes) -> Option<ColumnKind> {
        let (opaque, why) = &self.opaque;
        let filled = self.cells.iter().filter(|c| **c != Cell::Missing).count() + opaque;
        if filled == 0 {
            notes.empty.push(name.to_owned());
            notes.note(format!("{name}: left out, it has no values"));
            return None;
        }
        if opaque * STRAYS > filled {
            notes.note(format!("{name}: not read, {opaque} of {filled} filled cells are {why}"));
            return None;
        }
        let kind = inferred(&self.name, self.numbers, &self.cells);
        notes.chosen.push((name.to_owned(), kind.name()));
        notes.detail(format!("{name}: {} (by its values)", kind.name()));
        if *opaque > 0 {
            notes.warn(format!("{name}: {opaque} of {filled} filled cells count as missing: {why}"));
        }
        if kind == ColumnKind::Number {
            let expected = |cell: &Cell| *cell == Cell::Missing || number(cell).is_some() || self.numbers && is_nan(cell);
            let mut strays = self.cells.iter().filter(|cell| !expected(cell)).peekable();
            if let Some(example) = strays.peek().map(|cell| shown(cell)) {
                let count = strays.count();
                notes.warn(format!(
                    "{name}: {count} of {filled} filled cells are no numbers and count as missing, like {example}"
                ));
            }
        }
        Some(kind)
    }
}

/// Whether a cell of a column of numbers is NaN, with which many programs write a missing value.
fn is_nan(cell: &Cell) -> bool {
    matches!(cell, Cell::Text(text) if text == "NaN")
}

/// Converts a cell that fits the kind to a value.
fn value(kind: ColumnKind, cell: Cell) -> Value {
    if cell == Cell::Missing {
        return Value::Missing;
    }
    match kind {
        ColumnKind::Number => number(&cell).map_or(Value::Missing, Value::Number),
        ColumnKind::Vector => vector(&cell).map_or(Value::Missing, Value::Vector),
        ColumnKind::Set => {
            let members: Vec<String> = text(&cell).split('|').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            if members.is_empty() { Value::Missing } else { Value::Set(members) }
        }
        _ => match cell {
            Cell::Text(text) => Value::Text(text),
            other => Value::Text(text(&other)),
        },
    }
}

/// The cell as a finite number; `None` if it is none.
pub(super) fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Text(text) => text.trim().parse().ok().filter(|x: &f64| x.is_finite()),
        Cell::Moment(seconds) => Some(*seconds as f64),
        _ => None,
    }
}

/// The cell as a vector: numbers separated by blanks, commas, semicolons or `|`, with or without brackets; `None` if it
/// is none.
fn vector(cell: &Cell) -> Option<Vec<f64>> {
    match cell {
        Cell::Vector(xs) => Some(xs.clone()),
        Cell::Text(text) => {
            let parts = text.trim().trim_start_matches('[').trim_end_matches(']');
            let parts = parts.split([' ', '\t', ',', ';', '|']).filter(|p| !p.is_empty());
            let xs: Option<Vec<f64>> = parts.map(|p| p.parse().ok().filter(|x: &f64| x.is_finite())).collect();
            xs.filter(|xs| !xs.is_empty())
        }
        _ => None,
    }
}

/// The cell as one text; members of a list are joined by `|`.
pub(super) fn text(cell: &Cell) -> String {
    match cell {
        Cell::Missing => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Moment(seconds) => seconds.to_string(),
        Cell::List(members) => members.join("|"),
        Cell::Vector(xs) => xs.iter().map(f64::to_string).collect::<Vec<_>>().join("|"),
        Cell::Opaque(opaque) => String::from_utf8_lossy(&opaque.bytes).into_owned(),
    }
}

/// The cell as shown in messages: shortened, in quotes, on one line.
pub(super) fn shown(cell: &Cell) -> String {
    meet::shown(&text(cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The column of these cells, and what was said about it.
    fn finished(name: &str, declared: Option<ColumnKind>, numbers: bool, cells: Vec<Cell>) -> (Option<Column>, Notes) {
        let mut column = Collected::new(name.into(), 0, declared, numbers);
        let rows: Vec<Option<u32>> = (0..cells.len() as u32).map(Some).collect();
        cells.into_iter().for_each(|cell| column.push(cell));
        let mut notes = Notes::default();
        (column.finish(&rows, "items", &mut notes), notes)
    }

    fn texts(cells: &[&str]) -> Vec<Cell> {
        cells.iter().map(|text| Cell::of((*text).to_owned())).collect()
    }

    fn column(name: &str, declared: Option<ColumnKind>, cells: &[&str]) -> Column {
        finished(name, declared, false, texts(cells)).0.unwrap()
    }

    #[test]
    fn a_column_without_values_is_left_out() {
        let (column, notes) = finished("c", None, false, texts(&["", ""]));
        assert_eq!((column, notes.empty), (None, vec!["items.c".to_owned()]));
    }

    #[test]
    fn a_stray_cell_does_not_change_the_kind() {
        let numbers: Vec<String> = (0..38).map(|i| i.to_string()).collect();
        let mut cells: Vec<&str> = numbers.iter().map(String::as_str).chain(["\u{2014}", "inf", "NaN", ""]).collect();
        let (column, notes) = finished("price", None, false, texts(&cells));
        let column = column.unwrap();
        assert_eq!((column.kind, column.values[37].clone()), ("number", Value::Number(37.0)));
        assert_eq!(column.values[38..], vec![Value::Missing; 4]);
        assert_eq!(notes.warnings, ["items.price: 3 of 41 filled cells are no numbers and count as missing, like \"\u{2014}\""]);
        cells.push("?");
        assert_eq!(self::column("price", None, &cells).kind, "category", "3 strays of 41");
    }

    #[test]
    fn the_type_of_the_file_wins() {
        let cells = ["NaN", "1", "NaN", "NaN", ""];
        let (column, notes) = finished("price", None, true, texts(&cells));
        let expected = [Value::Missing, Value::Number(1.0), Value::Missing, Value::Missing, Value::Missing];
        assert_eq!((column.unwrap().values.as_slice(), notes.warnings.as_slice()), (expected.as_slice(), [].as_slice()));
        let declared = |numbers| Collected::new("price".into(), 0, Some(ColumnKind::Number), numbers);
        let nan = Cell::Text("NaN".into());
        assert!(declared(true).fault(&nan).is_none() && declared(false).fault(&nan).is_some());
    }

    #[test]
    fn opaque_cells_refuse_declared_columns_alone() {
        let opaque = || Cell::opaque("nested", b"{}".to_vec());
        let (column, notes) = finished("c", None, false, [texts(&["a"; 18]), vec![opaque(), opaque()]].concat());
        assert_eq!((column, notes.notes), (None, vec!["items.c: not read, 2 of 20 filled cells are nested".to_owned()]));
        let (column, notes) = finished("c", None, false, [texts(&["a"; 19]), vec![opaque()]].concat());
        assert_eq!(column.unwrap().values[19], Value::Missing);
        assert_eq!(notes.warnings, ["items.c: 1 of 20 filled cells count as missing: nested"]);
        let declared = Collected::new("c".into(), 0, Some(ColumnKind::Text), false);
        assert_eq!(declared.fault(&opaque()).unwrap(), "c: nested");
    }

    #[test]
    fn cells_become_values_of_the_kind() {
        let set = column("c", Some(ColumnKind::Set), &["a||b", "|", ""]);
        assert_eq!(set.values, [Value::Set(vec!["a".into(), "b".into()]), Value::Missing, Value::Missing]);
        let vector = column("c", Some(ColumnKind::Vector), &["[1, -2.5]", "1|2", "3 4"]);
        assert_eq!(vector.values, [vec![1.0, -2.5], vec![1.0, 2.0], vec![3.0, 4.0]].map(Value::Vector));
        assert_eq!(column("c", None, &["1e3", ""]).values, [Value::Number(1000.0), Value::Missing]);
    }

    #[test]
    fn faults_name_the_cell() {
        let mut column = Collected::new("size".into(), 0, Some(ColumnKind::Vector), false);
        column.push(Cell::Text("1 2".into()));
        assert_eq!(column.fault(&Cell::Text("1 2 3".into())).unwrap(), "size: 2 numbers expected, got 3");
        assert_eq!(column.fault(&Cell::Text("1 x".into())).unwrap(), "size: \"1 x\" is not a vector of numbers");
        assert_eq!(column.fault(&Cell::Missing), None);
        let number = Collected::new("price".into(), 0, Some(ColumnKind::Number), false);
        assert_eq!(number.fault(&Cell::Text("inf".into())).unwrap(), "price: \"inf\" is not a finite number");
    }
}
