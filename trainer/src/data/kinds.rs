//! The kind of a column that is not declared, and whether a tower can use a column.

use std::collections::{HashMap, HashSet};

use foretaste::features::Value;

use super::Column;
use super::cell::Cell;
use super::columns::{number, text};
use super::declared::ColumnKind;
use super::ids::is_missing_marker;

/// Most distinct values of an undeclared column that is taken for a category; with more it is a text.
const MAX_CATEGORY: usize = 1000;
/// One in so many filled cells of an undeclared column may not fit; it then counts as missing.
pub(super) const STRAYS: usize = 20;
/// Rows that a word, category or member must occur in, to be an input of a tower.
pub const LEAST_ROWS: usize = 3;

/// The kind of an undeclared column: the one that the file gives, else the one of its cells. At least one cell is not
/// missing.
pub(super) fn inferred(name: &str, numbers: bool, cells: &[Cell]) -> ColumnKind {
    let mut present = cells.iter().filter(|c| **c != Cell::Missing);
    let mut dims = present.clone().map(|c| if let Cell::Vector(xs) = c { Some(xs.len()) } else { None });
    let first = dims.next().flatten();
    if name == "title" {
        ColumnKind::Text
    } else if numbers {
        ColumnKind::Number
    } else if first.is_some() && dims.all(|d| d == first) {
        ColumnKind::Vector
    } else if present.clone().any(|c| matches!(c, Cell::List(_) | Cell::Vector(_)) || text(c).contains('|')) {
        ColumnKind::Set
    } else if mostly_numbers(present.clone()) {
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

/// Whether at least 95 % of the cells are numbers, apart from those that stand for a missing value. These may be half
/// of the cells.
fn mostly_numbers<'a>(cells: impl Iterator<Item = &'a Cell>) -> bool {
    let (mut numbers, mut markers, mut strays) = (0, 0, 0);
    for cell in cells {
        let count = match cell {
            cell if number(cell).is_some() => &mut numbers,
            Cell::Text(text) if is_missing_marker(text.trim()) => &mut markers,
            _ => &mut strays,
        };
        *count += 1;
    }
    strays * STRAYS <= numbers + strays && markers <= numbers
}

/// Why no tower can use a column; `None` if one can.
pub(super) fn useless(column: &Column) -> Option<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut often = |word| {
        let count = counts.entry(word).or_insert(0);
        *count += 1;
        *count >= LEAST_ROWS
    };
    let rare = || Some(format!("no value of it occurs in {LEAST_ROWS} rows"));
    match column.kind {
        "category" | "set" => {
            let useful = column.values.iter().any(|value| match value {
                Value::Text(text) => often(text),
                Value::Set(members) => members.iter().any(|member| often(member)),
                _ => false,
            });
            if useful { None } else { rare() }
        }
        "number" => {
            let mut numbers = column.values.iter().filter_map(Value::number);
            let first = numbers.next();
            if numbers.any(|x| Some(x) != first) { None } else { Some("it has one value".to_owned()) }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_from_cells() {
        let many: Vec<String> = (0..=MAX_CATEGORY).map(|i| format!("word{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let cases: [(&str, &[&str], ColumnKind); 9] = [
            ("c", &["a|b", "c", ""], ColumnKind::Set),
            ("c", &["1", " 2.5", "-3e4", ""], ColumnKind::Number),
            ("c", &["1", "nan"], ColumnKind::Number),
            ("c", &["1", "nan", "nan"], ColumnKind::Category),
            ("c", &["1", "1e999"], ColumnKind::Category),
            ("c", &["1|2", "3"], ColumnKind::Set),
            ("title", &["1", "2"], ColumnKind::Text),
            ("c", &many, ColumnKind::Text),
            ("c", &many[1..], ColumnKind::Category),
        ];
        for (name, cells, kind) in cases {
            let texts: Vec<Cell> = cells.iter().map(|text| Cell::of((*text).to_owned())).collect();
            assert_eq!(inferred(name, false, &texts), kind, "{:?}", &cells[..2]);
        }
    }

    #[test]
    fn columns_that_no_tower_can_use_are_named() {
        let text = |text: &&str| Value::Text((*text).to_owned());
        let set = |text: &&str| Value::Set(text.split('|').map(str::to_owned).collect());
        let number = |text: &&str| Value::Number(text.parse().unwrap());
        let cases: [(&str, Vec<Value>, Option<&str>); 6] = [
            ("category", ["a", "b", "a", "b"].iter().map(text).collect(), Some("no value of it occurs in 3 rows")),
            ("category", ["a", "b", "a", "a"].iter().map(text).collect(), None),
            ("set", ["a|b", "b|c", "c|a"].iter().map(set).collect(), Some("no value of it occurs in 3 rows")),
            ("set", ["a|b", "b|c", "c|b"].iter().map(set).collect(), None),
            ("number", ["1", "1"].iter().map(number).collect(), Some("it has one value")),
            ("number", ["1", "2"].iter().map(number).collect(), None),
        ];
        for (kind, values, reason) in cases {
            let column = Column { name: "c".into(), kind, values };
            assert_eq!(useless(&column).as_deref(), reason, "{column:?}");
        }
    }
}
