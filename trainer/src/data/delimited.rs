//! Reads comma- or semicolon-separated values by RFC 4180, and tab-separated values as they stand. Counts lines as an
//! editor does.

use std::io::BufRead;

use anyhow::{Context, Result, bail, ensure};

use super::cell::{Cell, MOST_COLUMNS, Row, Rows};
use super::lines::Lines;
use crate::files::LONGEST_LINE;

/// Which values separated by a character a file has.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Separated {
    /// By commas or semicolons, as the header line has it; fields may be in quotes.
    Comma,
    /// By tabs; quotes are ordinary characters.
    Tab,
}

/// A reader of records.
pub(super) struct Delimited<R> {
    lines: Lines<R>,
    delimiter: u8,
    quotes: bool,
    columns: usize,
}

/// Fields of a record, and where they stand.
struct Record {
    /// The line that the record starts on.
    line: u64,
    /// Over how many lines the longest field in quotes goes.
    field_lines: u64,
    /// The fields, one more than expected at most, or why they cannot be read.
    fields: Result<Vec<Vec<u8>>, String>,
    /// The number of fields.
    count: usize,
}

/// The position of the parser within a field.
#[derive(PartialEq)]
enum At {
    Start,
    Plain,
    Quoted,
    Closed,
}

impl<R: BufRead + 'static> Delimited<R> {
    /// The rows under a header line.
    ///
    /// # Errors
    /// An empty file; a header that is not UTF-8 or has more than [`MOST_COLUMNS`] columns.
    pub fn rows(reader: R, separated: Separated) -> Result<Rows> {
        let quotes = separated == Separated::Comma;
        let mut this = Delimited { lines: Lines::new(reader), delimiter: b'\t', quotes, columns: MOST_COLUMNS };
        if quotes && this.lines.advance_to_text()? {
            this.delimiter = delimiter(&this.lines.raw);
            this.lines.back();
        }
        let Some(header) = this.record()? else { bail!("empty: a header line expected") };
        ensure!(header.count <= MOST_COLUMNS, "{} columns, at most {MOST_COLUMNS} expected", header.count);
        let names = header.fields.map_err(|reason| anyhow::anyhow!("header line: {reason}"))?;
        let columns: Result<Vec<String>, _> = names.into_iter().map(String::from_utf8).collect();
        let columns = columns.context("header line: write the file in UTF-8")?;
        this.columns = columns.len();
        let told = (this.delimiter == b';').then(|| "fields separated by `;`".to_owned());
        Ok(Rows { columns, numbers: Vec::new(), structures: Vec::new(), told, rows: Box::new(this) })
    }

    /// The next record; empty lines are skipped.
    fn record(&mut self) -> Result<Option<Record>> {
        let mut fields = Vec::new();
        let mut field = Vec::new();
        let mut at = At::Start;
        let mut fault = None;
        let (mut line, mut bytes, mut count) = (self.lines.number + 1, 0, 0);
        let (mut opened, mut field_lines) = (0, 1);
        loop {
            if !self.lines.advance()? {
                return match at {
                    At::Quoted => bail!("line {opened}: the quotes are not closed"),
                    _ => Ok(None),
                };
            }
            let (raw, number) = (&self.lines.raw, self.lines.number);
            bytes = raw.len() + if at == At::Quoted { bytes } else { 0 };
            ensure!(bytes <= LONGEST_LINE, "line {opened}: the quotes are not closed within {LONGEST_LINE} bytes");
            if at != At::Quoted {
                if raw.iter().all(|b| matches!(b, b'\r' | b'\n')) {
                    continue;
                }
                line = number;
            }
            let end = raw.len() - raw.ends_with(b"\n") as usize;
            let end = end - raw[..end].ends_with(b"\r") as usize;
            for (i, &byte) in raw.iter().enumerate() {
                match at {
                    At::Quoted if byte == b'"' => {
                        at = At::Closed;
                        field_lines = field_lines.max(number - opened + 1);
                    }
                    At::Quoted => field.push(byte),
                    _ if i >= end => break,
                    _ if byte == self.delimiter => {
                        // Fields beyond the columns are counted and not kept.
                        count += 1;
                        if fields.len() <= self.columns {
                            fields.push(std::mem::take(&mut field));
                        }
                        field.clear();
                        at = At::Start;
                    }
                    At::Start if byte == b'"' && self.quotes => {
                        at = At::Quoted;
                        opened = number;
                    }
                    At::Closed if byte == b'"' => {
                        field.push(byte);
                        at = At::Quoted;
                    }
                    At::Closed => {
                        fault = Some("text after closing quotes".to_owned());
                        at = At::Plain;
                    }
                    _ => {
                        field.push(byte);
                        at = At::Plain;
                    }
                }
            }
            if at != At::Quoted {
                fields.push(field);
                return Ok(Some(Record { line, field_lines, fields: fault.map_or(Ok(fields), Err), count: count + 1 }));
            }
        }
    }

    /// The fields of a record as cells.
    fn cells(&self, fields: Vec<Vec<u8>>, count: usize) -> Result<Vec<Cell>, String> {
        if count != self.columns {
            return Err(format!("{} fields expected, got {count}", self.columns));
        }
        Ok(fields.into_iter().map(Cell::utf8).collect())
    }
}

impl<R: BufRead + 'static> Iterator for Delimited<R> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record().transpose()?;
        Some(record.map(|Record { line, field_lines, fields, count }| {
            let cells = fields.and_then(|fields| self.cells(fields, count));
            Row { line, field_lines, cells }
        }))
    }
}

/// The character between the fields of a header line: a semicolon if it has some outside quotes and no comma.
fn delimiter(header: &[u8]) -> u8 {
    let mut quoted = false;
    let mut semicolon = false;
    for byte in header {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => return b',',
            b';' => semicolon |= !quoted,
            _ => {}
        }
    }
    if semicolon { b';' } else { b',' }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns, then `line: cells joined by ␟` or `line! reason` for each row; an error that ends the file is the
    /// last entry.
    fn read(text: &[u8], separated: Separated) -> Vec<String> {
        let rows = match Delimited::rows(std::io::Cursor::new(text.to_vec()), separated) {
            Ok(rows) => rows,
            Err(error) => return vec![format!("{error:#}")],
        };
        let mut out = vec![rows.columns.join("␟")];
        out.extend(rows.rows.map(|row| match row {
            Ok(Row { line, cells: Ok(cells), .. }) => {
                let text = |cell: &Cell| match cell {
                    Cell::Text(text) => text.clone(),
                    Cell::Opaque(opaque) => format!("({})", opaque.why),
                    _ => "∅".to_owned(),
                };
                format!("{line}: {}", cells.iter().map(text).collect::<Vec<_>>().join("␟"))
            }
            Ok(Row { line, cells: Err(reason), .. }) => format!("{line}! {reason}"),
            Err(error) => format!("{error:#}"),
        }));
        out
    }

    #[test]
    fn reads_rfc_4180() {
        let cases: [(&[u8], &[&str]); 12] = [
            (b"a,b\n1,2\n", &["a␟b", "2: 1␟2"]),
            (b"\xef\xbb\xbfa,b\r\n1,2\r\n3,\r\n", &["a␟b", "2: 1␟2", "3: 3␟∅"]),
            (b"\xef\xbb\xbf\"a\",b\n\xef\xbb\xbf,1\n", &["a␟b", "2: \u{feff}␟1"]),
            (b"a,b\n\n\r\n1,2", &["a␟b", "4: 1␟2"]),
            (b"a,b\n\"x,\"\"y\"\"\",\" z\"\n", &["a␟b", "2: x,\"y\"␟ z"]),
            (b"a,b\n\"x\r\ny\",1\n2,3\n", &["a␟b", "2: x\r\ny␟1", "4: 2␟3"]),
            (b"a,b\nsay \"hi\",1\n", &["a␟b", "2: say \"hi\"␟1"]),
            (b"a,b\n\"x\"y,1\n2,3\n", &["a␟b", "2! text after closing quotes", "3: 2␟3"]),
            (
                b"a,b\n1\n1,2,3\n\xff,1\n",
                &["a␟b", "2! 2 fields expected, got 1", "3! 2 fields expected, got 3", "4: (not UTF-8)␟1"],
            ),
            (b"a,b\n1,\"2\n3,4\n", &["a␟b", "line 2: the quotes are not closed"]),
            (b"a,b\n\"\",\0\n", &["a␟b", "2: ∅␟\0"]),
            (b"", &["empty: a header line expected"]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, Separated::Comma), expected, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn the_header_says_which_character_separates() {
        let cases: [(&[u8], &[&str]); 5] = [
            (b"\xef\xbb\xbf\n\"a,b\";c\n\"1;2\";3,4\n", &["a,b␟c", "3: 1;2␟3,4"]),
            (b"a,b;c\n1,2;3\n", &["a␟b;c", "2: 1␟2;3"]),
            (b"\"a;b\"\n1;2\n", &["a;b", "2: 1;2"]),
            (b"a\n1\n", &["a", "2: 1"]),
            (b"a;b\n1,2\n", &["a␟b", "2! 2 fields expected, got 1"]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, Separated::Comma), expected, "{:?}", String::from_utf8_lossy(text));
        }
        let told = |text: &'static [u8]| Delimited::rows(text, Separated::Comma).unwrap().told;
        assert_eq!((told(b"a;b\n").as_deref(), told(b"a,b\n")), (Some("fields separated by `;`"), None));
    }

    #[test]
    fn tabs_have_no_quotes() {
        let text = b"a\t\"b\"\r\n\"x\ty\"\n12\"\t\"\"\n";
        assert_eq!(read(text, Separated::Tab), ["a␟\"b\"", "2: \"x␟y\"", "3: 12\"␟\"\""]);
    }

    #[test]
    fn the_lines_of_a_field_in_quotes_are_counted() {
        let text = b"a,b\n1,\"x\n\ny\"\n\"p\nq\",\"r\"\n1,2\n";
        let rows = Delimited::rows(text.as_slice(), Separated::Comma).unwrap().rows;
        let lines: Vec<(u64, u64)> = rows.map(|row| row.map(|row| (row.line, row.field_lines)).unwrap()).collect();
        assert_eq!(lines, [(2, 3), (5, 2), (7, 1)]);
    }

    #[test]
    fn lines_columns_and_fields_are_bounded() {
        let long = vec![b'x'; LONGEST_LINE + 1];
        assert_eq!(read(&long, Separated::Comma), [format!("line 1: a line of more than {LONGEST_LINE} bytes")]);
        let open = [b"a,b\n1,\"".to_vec(), b"y\n".repeat(LONGEST_LINE / 2)].concat();
        let expected = format!("line 2: the quotes are not closed within {LONGEST_LINE} bytes");
        assert_eq!(read(&open, Separated::Comma)[..2], ["a␟b", &expected]);
        let wide = b",".repeat(MOST_COLUMNS);
        assert_eq!(read(&wide, Separated::Comma), ["8193 columns, at most 8192 expected"]);
        let more = [b"a,b\n".as_slice(), &wide].concat();
        assert_eq!(read(&more, Separated::Comma), ["a␟b", "2! 2 fields expected, got 8193"]);
    }
}
