//! What was noticed while reading a folder.

use super::{Met, plain};

/// How many bad rows of a file, and how many columns that are not read, are named.
pub const NAMED: usize = 20;

/// What was noticed in one file.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct TableNotes {
    /// Name of the file.
    pub file: String,
    /// Number of rows under the header.
    pub rows: u64,
    /// Number of bad rows, which are left out.
    pub bad: u64,
    /// The first 20 bad rows, as `file:line: reason`.
    pub named: Vec<String>,
    /// Number of rows that are left out because they repeat an earlier row exactly.
    pub repeated: u64,
    /// Columns that are not read.
    pub unread: Vec<String>,
    /// How the file was read, as far as its content decided it: "fields separated by `;`".
    pub told: Vec<String>,
}

/// What was noticed in a folder.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Notes {
    /// One entry for each file: events, then items and users if there are such files.
    pub tables: Vec<TableNotes>,
    /// The columns without a declared kind, and the kind that was inferred from their cells: `items.price`, `number`.
    pub chosen: Vec<(String, &'static str)>,
    /// Columns that are left out because they have no values.
    pub empty: Vec<String>,
    /// Number of items in the events that the items table lacks; 0 without an items table.
    pub unlisted_items: usize,
    /// Number of users in the users table without events; they are left out.
    pub idle_users: usize,
    /// How many ids of one file another one has.
    pub met: Vec<Met>,
    /// What else is worth knowing, a line each.
    pub notes: Vec<String>,
    /// What is likely to be a mistake, a line each.
    pub warnings: Vec<String>,
    /// Print the warnings alone.
    #[serde(skip)]
    pub(super) quiet: bool,
}

impl Notes {
    /// Adds a note, and prints it on standard error unless `quiet`.
    pub(super) fn note(&mut self, text: String) {
        self.detail(text.clone());
        self.notes.push(text);
    }

    /// Prints what is kept in another field on standard error, unless `quiet`.
    pub(super) fn detail(&self, text: String) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Adds a warning and prints it on standard error.
    pub(super) fn warn(&mut self, text: String) {
        eprintln!("warning: {text}");
        self.warnings.push(text);
    }

    /// Adds how two files meet, and prints it on standard error: as a warning if few ids are known, else as a note.
    ///
    /// # Errors
    /// Files that do not belong together ([`Met::check`]); `way_out` is what to do about it.
    pub(super) fn meet(&mut self, met: Met, way_out: &str) -> anyhow::Result<()> {
        met.check().map_err(|error| anyhow::anyhow!("{error}; {way_out}"))?;
        met.say(self.quiet);
        self.met.push(met);
        Ok(())
    }

    /// Says how the file of a table was read, and which of its columns were not.
    pub(super) fn table(&mut self, table: TableNotes) {
        let file = &table.file;
        table.told.iter().for_each(|told| self.detail(format!("{file}: {told}")));
        if !table.unread.is_empty() {
            self.detail(format!("{file}: not read: {}", list(&table.unread)));
        }
        self.tables.push(table);
    }
}

/// Names, separated by commas; of many the first ones.
pub(super) fn list(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(NAMED).map(|name| plain(name)).collect();
    let more = if names.len() > NAMED { format!(" and {} more", names.len() - NAMED) } else { String::new() };
    format!("{}{more}", first.join(", "))
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

    /// The share of bad rows, 0 to 1.
    pub fn bad_share(&self) -> f64 {
        self.bad as f64 / self.rows.max(1) as f64
    }

    /// Records the number of repeated rows and prints it on standard error.
    pub(super) fn repeats(&mut self, repeated: u64) {
        self.repeated = repeated;
        if repeated > 0 {
            eprintln!("{}: exact repeats of a row, counted once: {repeated}", self.file);
        }
    }

    /// Prints the bad rows on standard error.
    pub(super) fn print(&self) {
        self.named.iter().for_each(|named| eprintln!("{named}"));
        if self.bad > 0 {
            let more = self.bad - self.named.len() as u64;
            let more = if more > 0 { format!(", {more} more than named") } else { String::new() };
            eprintln!("{}: bad rows, left out: {} of {}{more}", self.file, self.bad, self.rows);
        }
    }
}
