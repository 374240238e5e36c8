//! The training loop.

mod config;
mod run;

pub use config::Config;
pub use run::{Run, RunCard};

use std::path::Path;

use anyhow::{Result, bail};

use crate::data::Dataset;
use crate::protocols::Split;

/// How a training is carried out; changes nothing of its result.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions {
    /// Continue from the last checkpoint in the folder, where there is one.
    pub resume: bool,
    /// No progress on standard error.
    pub quiet: bool,
}

/// Learns both towers from a split and leaves the run in the folder `out`: the run itself and checkpoints.
///
/// # Errors
/// Where the data gives nothing to learn from, the folder cannot be written, or Ctrl-C stopped it (the last checkpoint is kept).
pub fn train(_data: &Dataset, _split: &Split, _config: &Config, _seed: u64, _out: &Path, _options: TrainOptions) -> Result<Run> {
    bail!("not yet")
}
