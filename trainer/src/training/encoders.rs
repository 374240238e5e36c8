//! Chooses what reads the history on validation, if no settings name it: pools, which know the order of events, or a
//! sum, which does not. It is a successive halving of two: the second is given up as soon as it lies far behind.

use std::path::Path;

use anyhow::{Context, Result};

use super::progress::Progress;
use super::state::State;
use super::{Config, TrainOptions, probe};
use crate::data::Dataset;
use crate::files::write_atomically;
use crate::protocols::Split;

/// After so many epochs the second needs this share of the quality that the first has in the end, or it is given up.
const RUNGS: [(u32, f64); 2] = [(10, 0.7), (30, 0.88)];
/// By this factor the second must be better in the end.
const LEAST_GAIN: f64 = 1.005;
/// The folder of the two trainings, below that of the run.
const FOLDER: &str = "encoders";
/// The file that names the choice, beside the checkpoint of the chosen training.
const CHOICE: &str = "encoder.json";

/// Whether a quality is at least a share of another one. Both may be negative: higher is better.
fn reaches(quality: f64, share: f64, other: f64) -> bool {
    quality >= if other > 0.0 { other * share } else { other / share }
}

/// The name of the encoder, as settings have it.
fn name(config: &Config) -> String {
    config.encoder.map_or_else(String::new, |encoder| format!("{encoder:?}").to_lowercase())
}

/// The settings to train with, and whether `out` has a checkpoint to go on from: that of the better of two trainings.
///
/// # Errors
/// The errors of a training; a file that cannot be written.
pub(super) fn choose(
    data: &Dataset,
    split: &Split,
    config: &Config,
    seed: u64,
    out: &Path,
    options: TrainOptions,
) -> Result<(Config, bool)> {
    let (folder, choice) = (out.join(FOLDER), out.join(CHOICE));
    let (first, second) = match config.arms(split.protocol) {
        (first, Some(second)) if !split.valid.is_empty() => (first, second),
        (first, _) => return Ok((first, options.resume)),
    };
    if options.resume && choice.exists() {
        let named = || format!("{}: not a choice of this version", choice.display());
        let chosen = serde_json::from_slice(&std::fs::read(&choice)?).with_context(named)?;
        let chosen = [first, second].into_iter().find(|config| config.encoder == Some(chosen)).with_context(named)?;
        return Ok((chosen, true));
    }
    if !options.resume {
        _ = std::fs::remove_file(&choice);
        _ = std::fs::remove_dir_all(&folder);
    }
    let place = |config: &Config| folder.join(name(config));
    let options = TrainOptions { resume: true, track: None, ..options };
    let run = |config: &Config, epochs: u32| probe(data, split, config, seed, &place(config), epochs, options);
    let (metric, best) = run(&first, first.max_epochs)?;
    let mut quality = f64::NEG_INFINITY;
    let mut epochs = 0;
    for (rung, share) in RUNGS.into_iter().chain([(second.max_epochs, 0.0)]) {
        epochs = rung.min(second.max_epochs);
        quality = run(&second, epochs)?.1;
        if !reaches(quality, share, best) {
            break;
        }
    }
    let is_better = !reaches(best, 1.0 / LEAST_GAIN, quality);
    let chosen = if is_better { &second } else { &first };
    Progress::new(options.quiet, metric).say(&format!(
        "encoder: {}; {} on validation is {:.4} with {}, {:.4} with {} within {epochs} epochs",
        name(chosen),
        metric.name(),
        metric.value(best),
        name(&first),
        metric.value(quality),
        name(&second),
    ));
    State::take_over(&place(chosen), out)?;
    write_atomically(&choice, &serde_json::to_vec(&chosen.encoder)?)?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("{}: cannot be removed", folder.display()))?;
    Ok((chosen.clone(), true))
}

/// Removes the choice once the training is done.
pub(super) fn forget(out: &Path) {
    // Like a checkpoint, it does no harm if it stays.
    _ = std::fs::remove_file(out.join(CHOICE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_hold_for_errors_too() {
        assert!(reaches(0.21, 0.7, 0.3) && !reaches(0.2, 0.7, 0.3));
        // A quality of -0.9 is a root mean square error of .9.
        assert!(reaches(-1.2, 0.7, -0.9) && !reaches(-1.3, 0.7, -0.9));
        assert!(!reaches(f64::NEG_INFINITY, 0.7, -0.9) && reaches(0.0, 0.0, 0.3));
    }
}
