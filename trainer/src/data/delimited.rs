//! Reads comma- or tab-separated values by RFC 4180, and counts lines as an editor does.

use std::io::BufRead;

use anyhow::{Context, Result, bail};

use super::cell::{Cell, Row, Rows};

/// A reader of records.
pub(super) struct Delimited<R> {
    reader: R,
    delimiter: u8,
    /// Number of lines read so far.
    line: u64,
    columns: usize,
}

/// A record: the line that it starts on, and its fields or why they cannot be read.
type Record = (u64, Result<Vec<Vec<u8>>, String>);

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
    /// An empty file; a header that is not UTF-8.
    pub fn rows(reader: R, delimiter: u8) -> Result<Rows> {
        let mut this = Delimited { reader, delimiter, line: 0, columns: 0 };
        let Some((_, header)) = this.record()? else { bail!("empty: a header line expected") };
        let header = header.map_err(|reason| anyhow::anyhow!("header line: {reason}"))?;
        let columns: Vec<String> = header.into_iter().map(String::from_utf8).collect::<Result<_, _>>().context("header line")?;
        this.columns = columns.len();
        Ok(Rows { columns, rows: Box::new(this) })
    }

    /// The next record; empty lines are skipped.
    fn record(&mut self) -> Result<Option<Record>> {
        let mut fields = Vec::new();
        let mut field = Vec::new();
        let mut at = At::Start;
        let mut fault = None;
        let mut start = self.line + 1;
        let mut raw = Vec::new();
        loop {
            raw.clear();
            let n = self.reader.read_until(b'\n', &mut raw).with_context(|| format!("after line {}", self.line))?;
            if n == 0 {
                return match at {
                    At::Quoted => bail!("line {start}: the quotes are not closed"),
                    _ => Ok(None),
                };
            }
            self.line += 1;
            if self.line == 1 && raw.starts_with(b"\xef\xbb\xbf") {
                raw.drain(..3);
            }
            if at != At::Quoted {
                if raw.iter().all(|b| matches!(b, b'\r' | b'\n')) {
                    start = self.line + 1;
                    continue;
                }
                start = self.line;
            }
            let end = raw.len() - raw.ends_with(b"\n") as usize;
            let end = end - raw[..end].ends_with(b"\r") as usize;
            for (i, &byte) in raw.iter().enumerate() {
                match at {
                    At::Quoted if byte == b'"' => at = At::Closed,
                    At::Quoted => field.push(byte),
                    _ if i >= end => break,
                    _ if byte == self.delimiter => {
                        fields.push(std::mem::take(&mut field));
                        at = At::Start;
                    }
                    At::Start if byte == b'"' => at = At::Quoted,
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
                return Ok(Some((start, fault.map_or(Ok(fields), Err))));
            }
        }
    }

    /// The fields of a record as cells.
    fn cells(&self, fields: Vec<Vec<u8>>) -> Result<Vec<Cell>, String> {
        if fields.len() != self.columns {
            return Err(format!("{} fields expected, got {}", self.columns, fields.len()));
        }
        let cell = |field| String::from_utf8(field).map(Cell::of).map_err(|_| "not UTF-8".to_owned());
        fields.into_iter().map(cell).collect()
    }
}

impl<R: BufRead + 'static> Iterator for Delimited<R> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record().transpose()?;
        Some(record.map(|(line, fields)| Row { line, cells: fields.and_then(|f| self.cells(f)) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns, then `line: cells joined by ␟` or `line! reason` for each row; an error that ends the file is the
    /// last entry.
    fn read(text: &[u8]) -> Vec<String> {
        let rows = match Delimited::rows(std::io::Cursor::new(text.to_vec()), b',') {
            Ok(rows) => rows,
            Err(error) => return vec![format!("{error:#}")],
        };
        let mut out = vec![rows.columns.join("␟")];
        out.extend(rows.rows.map(|row| match row {
            Ok(Row { line, cells: Ok(cells) }) => {
                let texts = cells.iter().map(|c| if let Cell::Text(t) = c { t.as_str() } else { "∅" });
                format!("{line}: {}", texts.collect::<Vec<_>>().join("␟"))
            }
            Ok(Row { line, cells: Err(reason) }) => format!("{line}! {reason}"),
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
            (b"a,b\n1\n1,2,3\n\xff,1\n", &["a␟b", "2! 2 fields expected, got 1", "3! 2 fields expected, got 3", "4! not UTF-8"]),
            (b"a,b\n1,\"2\n3,4\n", &["a␟b", "line 2: the quotes are not closed"]),
            (b"a,b\n\"\",\0\n", &["a␟b", "2: ∅␟\0"]),
            (b"", &["empty: a header line expected"]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{:?}", String::from_utf8_lossy(text));
        }
    }
}
