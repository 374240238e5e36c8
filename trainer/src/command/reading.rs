//! How a verb reads a data folder.

use foretaste_trainer::data::ReadOptions;

/// The arguments that all verbs with a data folder share.
#[derive(clap::Args)]
pub struct Reading {
    /// Largest share of bad rows of a file that is let pass: 0 none, 1 any.
    #[arg(long, value_name = "SHARE", default_value_t = ReadOptions::default().max_bad, value_parser = share)]
    max_bad: f64,
    /// Megabytes of events that are held in memory: of more than these a temporary file is made, in the folder that TMPDIR names.
    #[arg(long, value_name = "MB", default_value_t = ReadOptions::default().in_memory >> 20)]
    memory: usize,
}

impl Reading {
    /// As the data room takes it.
    pub fn options(&self, quiet: bool) -> ReadOptions {
        ReadOptions { max_bad: self.max_bad, quiet, in_memory: self.memory.saturating_mul(1 << 20) }
    }
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x| (0.0..=1.0).contains(x)).ok_or_else(|| "a number from 0 to 1 expected".to_owned())
}
