//! JSON Lines: one object a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::BufRead;

use anyhow::{Result, bail};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::cell::{Cell, LONGEST_LIST, MOST_COLUMNS, Row, Rows};
use super::lines::Lines;

/// The rows of a file. `open` is called twice: the first pass collects the names of all keys, the second reads the
/// values.
///
/// # Errors
/// A file without any object, one with more than [`MOST_COLUMNS`] different keys, or one that cannot be read.
pub(super) fn rows<R: BufRead + 'static>(open: impl Fn() -> Result<R>) -> Result<Rows> {
    let mut names = BTreeSet::new();
    let mut first = Lines::new(open()?);
    while first.advance_to_text()? {
        // A line that is not an object is skipped here; the second pass reports it as a bad row.
        let mut keys = BTreeSet::new();
        let mut object = serde_json::Deserializer::from_slice(&first.raw);
        let too_many = |keys: &BTreeSet<String>| keys.len() > MOST_COLUMNS;
        if Keys(&mut keys).deserialize(&mut object).and_then(|()| object.end()).is_ok() {
            names.append(&mut keys);
        }
        if too_many(&names) || too_many(&keys) {
            bail!("line {}: more than {MOST_COLUMNS} different keys", first.number);
        }
    }
    let columns: Vec<String> = names.into_iter().collect();
    if columns.is_empty() {
        bail!("no JSON object in it: one a line expected");
    }
    let mut second = Lines::new(open()?);
    let names = columns.clone();
    let rows = std::iter::from_fn(move || match second.advance_to_text() {
        Ok(true) => Some(Ok(Row { line: second.number, field_lines: 1, cells: cells(&second.raw, &names) })),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    });
    Ok(Rows { columns, numbers: Vec::new(), structures: Vec::new(), told: None, rows: Box::new(rows) })
}

/// Collects the keys of an object; ends with an error once they are more than [`MOST_COLUMNS`].
struct Keys<'a>(&'a mut BTreeSet<String>);

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            self.0.insert(key);
            if self.0.len() > MOST_COLUMNS {
                return Err(serde::de::Error::custom("too many keys"));
            }
        }
        Ok(())
    }
}

fn cells(raw: &[u8], columns: &[String]) -> Result<Vec<Cell>, String> {
    // The message already names the line of the file and the key, so the position that serde adds is cut off.
    let text = |error: serde_json::Error| error.to_string();
    let object: BTreeMap<String, &RawValue> = serde_json::from_slice(raw)
        .map_err(|e| format!("not a JSON object: {}", text(e).replace(" at line 1 column", ", column")))?;
    let reason = |error| text(error).split(" at line").next().unwrap_or_default().to_owned();
    let cell = |name: &String| match object.get(name) {
        // A whole number is kept as it is written, because an id may have more digits than a number type can hold.
        Some(raw) if raw.get().trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) => Cell::Text(raw.get().to_owned()),
        // Looked at before it is parsed, because a parsed list takes many times the bytes of its text.
        Some(raw) if raw.get().starts_with('[') && raw.get().bytes().filter(|b| *b == b',').count() >= LONGEST_LIST => {
            Cell::opaque(format!("longer than {LONGEST_LIST} values"), raw.get().as_bytes().to_vec())
        }
        Some(raw) => {
            let read = serde_json::from_str(raw.get()).map_err(reason).and_then(cell);
            read.unwrap_or_else(|why| Cell::opaque(why, raw.get().as_bytes().to_vec()))
        }
        None => Cell::Missing,
    };
    Ok(columns.iter().map(cell).collect())
}

fn cell(value: Value) -> Result<Cell, String> {
    match value {
        Value::Array(values) if !values.is_empty() && values.iter().all(Value::is_number) => {
            Ok(Cell::Vector(values.iter().filter_map(Value::as_f64).collect()))
        }
        Value::Array(values) => {
            let texts: Result<Vec<String>, String> =
                values.into_iter().map(|v| scalar(v).map(Option::unwrap_or_default)).collect();
            Ok(Cell::list(texts?))
        }
        value => Ok(scalar(value)?.map_or(Cell::Missing, Cell::of)),
    }
}

/// A value as text, numbers in their shortest form; `None` for null.
fn scalar(value: Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(b) => Ok(Some(b.to_string())),
        Value::Number(n) if n.is_f64() => Ok(n.as_f64().map(|x| x.to_string())),
        Value::Number(n) => Ok(Some(n.to_string())),
        Value::String(text) => Ok(Some(text)),
        Value::Array(_) | Value::Object(_) => Err("nested deeper than a list of values".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_cells() {
        let text = concat!(
            "\u{feff}{\"b\":\"x\",\"a\":1}\r\n\n",
            "{\"a\":[\"p\",\"q\"],\"c\":[1,2.5]}\n{\"a\":123456789012345678901234,\"b\":null,\"c\":true}\n{\"a\":5.0,\"b\":\"\",\"c\":[]}\n",
            "{\"a\":{}}\n[1]\n{\"a\":1e999}\nnonsense\n{\"a\":\"\\ud800\"}"
        );
        let rows = rows(|| Ok(std::io::Cursor::new(text))).unwrap();
        assert_eq!(rows.columns, ["a", "b", "c"]);
        let got: Vec<(u64, Result<Vec<Cell>, String>)> = rows.rows.map(|r| r.map(|r| (r.line, r.cells)).unwrap()).collect();
        let text = |t: &str| Cell::Text(t.to_owned());
        let list = Cell::List(vec!["p".into(), "q".into()]);
        assert_eq!(got[0], (1, Ok(vec![text("1"), text("x"), Cell::Missing])));
        assert_eq!(got[1], (3, Ok(vec![list, Cell::Missing, Cell::Vector(vec![1.0, 2.5])])));
        assert_eq!(got[2], (4, Ok(vec![text("123456789012345678901234"), Cell::Missing, text("true")])));
        assert_eq!(got[3], (5, Ok(vec![text("5"), Cell::Missing, Cell::Missing])));
        let why = |cells: &Result<Vec<Cell>, String>| match cells {
            Ok(cells) => match &cells[0] {
                Cell::Opaque(opaque) => format!("a is {}", opaque.why),
                other => panic!("{other:?}"),
            },
            Err(why) => why.clone(),
        };
        let faults: Vec<(u64, String)> = got[4..].iter().map(|(line, cells)| (*line, why(cells))).collect();
        let expected = [
            (6, "a is nested deeper than a list of values"),
            (7, "not a JSON object: invalid type: sequence, expected a map, column 0"),
            (8, "a is number out of range"),
            (9, "not a JSON object: expected ident, column 2"),
            (10, "a is unexpected end of hex escape"),
        ]
        .map(|(line, why)| (line, why.to_owned()));
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_file_without_objects_is_refused() {
        for text in ["", "\n\n", "1\n", "{}\n"] {
            assert!(rows(|| Ok(std::io::Cursor::new(text))).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        let list = |members: usize| format!("{{\"a\":[1{}]}}", ",1".repeat(members - 1));
        for (members, fits) in [(LONGEST_LIST, true), (LONGEST_LIST + 1, false)] {
            let text = list(members);
            let cells =
                rows(move || Ok(std::io::Cursor::new(text.clone()))).unwrap().rows.next().unwrap().unwrap().cells.unwrap();
            assert_eq!(matches!(&cells[0], Cell::Vector(xs) if xs.len() == members), fits);
            assert_eq!(matches!(cells[0], Cell::Opaque(_)), !fits);
        }
    }

    #[test]
    fn keys_are_bounded() {
        let object = |keys: usize| format!("{{{}}}\n", (0..keys).map(|i| format!("\"k{i}\":1")).collect::<Vec<_>>().join(","));
        let error = |text: String| rows(|| Ok(std::io::Cursor::new(text.clone()))).err().map(|e| e.to_string());
        assert_eq!(error(object(MOST_COLUMNS)), None);
        let expected = Some("line 1: more than 8192 different keys".to_owned());
        assert_eq!(error(object(MOST_COLUMNS + 1)), expected);
        assert_eq!(error(object(MOST_COLUMNS + 1).replace("}", "")), expected, "a line that is no object");
        let lines: String = (0..=MOST_COLUMNS).map(|i| format!("{{\"k{i}\":1}}\n")).collect();
        assert_eq!(error(lines), Some("line 8193: more than 8192 different keys".to_owned()));
    }
}
