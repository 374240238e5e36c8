//! The lines of a text file, counted as an editor does.

use std::io::BufRead;

use anyhow::{Context, Result};

use crate::files::{LONGEST_LINE, read_line};

/// Reads a file line by line.
pub(super) struct Lines<R> {
    reader: R,
    /// Number of the line in `raw`; the first is 1.
    pub number: u64,
    /// The line with its line feed, without the byte order mark of a file.
    pub raw: Vec<u8>,
    /// Whether the line in `raw` is to be read again.
    again: bool,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Lines { reader, number: 0, raw: Vec::new(), again: false }
    }

    /// Reads the next line; returns false at the end of the file.
    ///
    /// # Errors
    /// A file that cannot be read to its end, a line longer than [`LONGEST_LINE`]. The error names the line.
    pub fn advance(&mut self) -> Result<bool> {
        if std::mem::take(&mut self.again) {
            return Ok(true);
        }
        self.raw.clear();
        let n = read_line(&mut self.reader, &mut self.raw, LONGEST_LINE).with_context(|| format!("line {}", self.number + 1))?;
        self.number += 1;
        if self.number == 1 && self.raw.starts_with(b"\xef\xbb\xbf") {
            self.raw.drain(..3);
        }
        Ok(n > 0)
    }

    /// Reads the next line that is not blank; returns false at the end of the file.
    ///
    /// # Errors
    /// Same errors as [`advance`](Self::advance).
    pub fn advance_to_text(&mut self) -> Result<bool> {
        while self.advance()? {
            if !self.raw.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the next call of [`advance`](Self::advance) return the same line again.
    pub fn back(&mut self) {
        self.again = true;
    }
}
