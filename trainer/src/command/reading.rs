//! The arguments of reading a data folder, which several verbs share.

use foretaste_trainer::data::ReadOptions;

/// The arguments that every verb with a data folder has.
#[derive(clap::Args)]
pub struct Reading {
    /// Largest share of bad rows that a file may have: 0 refuses a file with any bad row, 1 accepts any number. Bad
    /// rows are skipped and printed.
    #[arg(long, value_name = "SHARE", default_value_t = ReadOptions::default().max_bad, value_parser = share)]
    max_bad: f64,
    /// Megabytes of events to hold in memory. If there are more, they go to a temporary file in the folder that TMPDIR
    /// names: slower, with less memory.
    #[arg(long, value_name = "MB", default_value_t = ReadOptions::default().in_memory >> 20)]
    memory: usize,
}

impl Reading {
    /// The options as `data::read_folder` takes them.
    pub fn options(&self, quiet: bool) -> ReadOptions {
        ReadOptions { max_bad: self.max_bad, quiet, in_memory: self.memory.saturating_mul(1 << 20) }
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x| (0.0..=1.0).contains(x)).ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
