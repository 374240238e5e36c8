//! JSON Lines: one object a line.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use anyhow::{Context, Result, bail};
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::cell::{Cell, Row, Rows};

/// The rows of a file. `open` is called twice: the first pass collects the names of all keys, the second reads the
/// values.
///
/// # Errors
/// A file without any object, or one that cannot be read.
pub(super) fn rows<R: BufRead + 'static>(open: impl Fn() -> Result<R>) -> Result<Rows> {
    let mut names = BTreeSet::new();
    let mut first = Lines { reader: open()?, line: 0, raw: Vec::new() };
    while first.advance()? {
        // A line that is not an object is skipped here; the second pass reports it as a bad row.
        names.extend(serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(&first.raw).unwrap_or_default().into_keys());
    }
    let columns: Vec<String> = names.into_iter().collect();
    if columns.is_empty() {
        bail!("no JSON object in it: one a line expected");
    }
    let mut second = Lines { reader: open()?, line: 0, raw: Vec::new() };
    let names = columns.clone();
    let rows = std::iter::from_fn(move || match second.advance() {
        Ok(true) => Some(Ok(Row { line: second.line, cells: cells(&second.raw, &names) })),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    });
    Ok(Rows { columns, rows: Box::new(rows) })
}

/// Reads the lines that are not blank.
struct Lines<R> {
    reader: R,
    line: u64,
    raw: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Reads the next line; returns false at the end of the file.
    fn advance(&mut self) -> Result<bool> {
        loop {
            self.raw.clear();
            let n = self.reader.read_until(b'\n', &mut self.raw).with_context(|| format!("after line {}", self.line))?;
            self.line += 1;
            if self.line == 1 && self.raw.starts_with(b"\xef\xbb\xbf") {
                self.raw.drain(..3);
            }
            if n == 0 || !self.raw.trim_ascii().is_empty() {
                return Ok(n > 0);
            }
        }
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
        Some(raw) if raw.get().trim_start_matches('-').bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Cell::Text(raw.get().to_owned()))
        }
        Some(raw) => serde_json::from_str(raw.get()).map_err(reason).and_then(cell).map_err(|e| format!("{name}: {e}")),
        None => Ok(Cell::Missing),
    };
    columns.iter().map(cell).collect()
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
        let faults: Vec<(u64, &str)> = got[4..].iter().map(|(l, c)| (*l, c.as_ref().unwrap_err().as_str())).collect();
        let expected = [
            (6, "a: nested deeper than a list of values"),
            (7, "not a JSON object: invalid type: sequence, expected a map, column 0"),
            (8, "a: number out of range"),
            (9, "not a JSON object: expected ident, column 2"),
            (10, "a: unexpected end of hex escape"),
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_file_without_objects_is_refused() {
        for text in ["", "\n\n", "1\n", "{}\n"] {
            assert!(rows(|| Ok(std::io::Cursor::new(text))).is_err(), "{text:?}");
        }
    }
}
