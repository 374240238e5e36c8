//! What reading a folder found, besides the data.

/// Most bad rows of a file that are named.
pub const NAMED: usize = 20;

/// What was found in one file.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct TableNotes {
    /// Name of the file.
    pub file: String,
    /// Rows under the header.
    pub rows: u64,
    /// Rows left out because something is wrong with them.
    pub bad: u64,
    /// The first 20 of them: `file:line: reason`.
    pub named: Vec<String>,
    /// Rows left out because the exact same row came before.
    pub repeated: u64,
}

/// What was found in a folder.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Notes {
    /// Events, then items and users where there are such files.
    pub tables: Vec<TableNotes>,
    /// Columns without a declared kind, and the kind their cells speak for: `items.price`, `number`.
    pub chosen: Vec<(String, &'static str)>,
    /// Columns left out: without any value.
    pub empty: Vec<String>,
    /// Items of the events that the items table lacks; 0 without that table.
    pub unlisted_items: usize,
    /// Users of the users table without events, left out.
    pub idle_users: usize,
}

impl TableNotes {
    pub(super) fn new(file: String) -> Self {
        TableNotes { file, ..TableNotes::default() }
    }

    pub(super) fn bad_row(&mut self, line: u64, reason: &str) {
        self.bad += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("{}:{line}: {reason}", self.file));
        }
    }

    /// Share of bad rows.
    pub fn bad_share(&self) -> f64 {
        self.bad as f64 / self.rows.max(1) as f64
    }

    /// Notes the repeated rows and counts them on standard error.
    pub(super) fn repeats(&mut self, repeated: u64) {
        self.repeated = repeated;
        if repeated > 0 {
            eprintln!("{}: exact repeats of a row, counted once: {repeated}", self.file);
        }
    }

    /// Names the bad rows on standard error.
    pub(super) fn print(&self) {
        self.named.iter().for_each(|named| eprintln!("{named}"));
        if self.bad > 0 {
            let more = self.bad - self.named.len() as u64;
            let more = if more > 0 { format!(", {more} more than named") } else { String::new() };
            eprintln!("{}: bad rows, left out: {} of {}{more}", self.file, self.bad, self.rows);
        }
    }
}
