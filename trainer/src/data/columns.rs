//! The kinds of columns, and the conversion of cells to values of a kind.

use std::collections::HashSet;

use foretaste::features::Value;

use super::Column;
use super::cell::Cell;
use super::declared::ColumnKind;

/// Most distinct values of an undeclared column that is taken for a category; with more it is a text.
const MAX_CATEGORY: usize = 1000;

/// A column while its file is read.
pub(super) struct Collected {
    pub name: String,
    /// Index of the column in the file.
    pub at: usize,
    pub declared: Option<ColumnKind>,
    pub cells: Vec<Cell>,
    /// Length of the vectors so far.
    dim: Option<usize>,
}

impl Collected {
    pub fn new(name: String, at: usize, declared: Option<ColumnKind>) -> Self {
        Collected { name, at, declared, cells: Vec::new(), dim: None }
    }

    /// Why a cell does not fit the declared kind; `None` if it fits.
    pub fn fault(&self, cell: &Cell) -> Option<String> {
        match self.declared? {
            ColumnKind::Number => match number(cell) {
                None if *cell != Cell::Missing => Some(format!("{}: {} is not a finite number", self.name, shown(cell))),
                _ => None,
            },
            ColumnKind::Vector => match (vector(cell), self.dim) {
                (None, _) if *cell != Cell::Missing => Some(format!("{}: {} is not a vector of numbers", self.name, shown(cell))),
                (Some(xs), Some(dim)) if xs.len() != dim => {
                    Some(format!("{}: {dim} numbers expected, got {}", self.name, xs.len()))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Adds the cell of the next row.
    pub fn push(&mut self, cell: Cell) {
        if self.declared == Some(ColumnKind::Vector) && self.dim.is_none() {
            self.dim = vector(&cell).map(|xs| xs.len());
        }
        self.cells.push(cell);
    }

    /// The finished column, with one value for each of `rows`: indices of cells, `None` for a missing value. `None` if
    /// an undeclared column has no values.
    pub fn finish(mut self, rows: &[Option<u32>]) -> Option<Column> {
        if self.declared.is_none() && self.cells.iter().all(|c| *c == Cell::Missing) {
            return None;
        }
        let kind = self.declared.unwrap_or_else(|| inferred(&self.name, &self.cells));
        let mut take = |row: &Option<u32>| match row {
            Some(at) => value(kind, std::mem::replace(&mut self.cells[*at as usize], Cell::Missing)),
            None => Value::Missing,
        };
        let values = rows.iter().map(&mut take).collect();
        Some(Column { name: self.name, kind: kind.name(), values })
    }
}

/// The kind of an undeclared column, inferred from its cells. At least one cell is not missing.
fn inferred(name: &str, cells: &[Cell]) -> ColumnKind {
    let mut present = cells.iter().filter(|c| **c != Cell::Missing);
    let mut dims = present.clone().map(|c| if let Cell::Vector(xs) = c { Some(xs.len()) } else { None });
    let first = dims.next().flatten();
    if name == "title" {
        ColumnKind::Text
    } else if first.is_some() && dims.all(|d| d == first) {
        ColumnKind::Vector
    } else if present.clone().any(|c| matches!(c, Cell::List(_) | Cell::Vector(_)) || text(c).contains('|')) {
        ColumnKind::Set
    } else if present.clone().all(|c| number(c).is_some()) {
        ColumnKind::Number
    } else {
        let mut seen = HashSet::new();
        let few = present.all(|c| {
            seen.insert(text(c));
            seen.len() <= MAX_CATEGORY
        });
        if few { ColumnKind::Category } else { ColumnKind::Text }
    }
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
    }
}

/// The cell as shown in messages: shortened, in quotes, on one line.
pub(super) fn shown(cell: &Cell) -> String {
    let text = text(cell);
    let cut: String = text.chars().take(40).collect();
    format!("{cut:?}{}", if cut.len() < text.len() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, declared: Option<ColumnKind>, cells: &[&str]) -> Column {
        let mut column = Collected::new(name.into(), 0, declared);
        let cell = |t: &&str| if t.is_empty() { Cell::Missing } else { Cell::Text(t.to_string()) };
        cells.iter().for_each(|t| column.push(cell(t)));
        column.finish(&(0..cells.len() as u32).map(Some).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn kinds_follow_from_cells() {
        let many: Vec<String> = (0..=MAX_CATEGORY).map(|i| format!("word{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let cases: [(&str, &[&str], &str); 8] = [
            ("c", &["a|b", "c", ""], "set"),
            ("c", &["1", " 2.5", "-3e4", ""], "number"),
            ("c", &["1", "nan"], "category"),
            ("c", &["1", "1e999"], "category"),
            ("c", &["1|2", "3"], "set"),
            ("title", &["1", "2"], "text"),
            ("c", &many, "text"),
            ("c", &many[1..], "category"),
        ];
        for (name, cells, kind) in cases {
            assert_eq!(column(name, None, cells).kind, kind, "{:?}", &cells[..2]);
        }
        assert!(Collected::new("c".into(), 0, None).finish(&[None]).is_none());
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
        let mut column = Collected::new("size".into(), 0, Some(ColumnKind::Vector));
        column.push(Cell::Text("1 2".into()));
        assert_eq!(column.fault(&Cell::Text("1 2 3".into())).unwrap(), "size: 2 numbers expected, got 3");
        assert_eq!(column.fault(&Cell::Text("1 x".into())).unwrap(), "size: \"1 x\" is not a vector of numbers");
        assert_eq!(column.fault(&Cell::Missing), None);
        let number = Collected::new("price".into(), 0, Some(ColumnKind::Number));
        assert_eq!(number.fault(&Cell::Text("inf".into())).unwrap(), "price: \"inf\" is not a finite number");
    }
}
