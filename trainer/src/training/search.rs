//! The search of settings: a random search over declared ranges, judged by validation. After each round only the best
//! third of the trials continues, with three times as many epochs.
//!
//! Bergstra and Bengio, Random search for hyper-parameter optimization, 2012; Jamieson and Talwalkar, Non-stochastic
//! best arm identification and hyperparameter optimization (successive halving), 2016.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::state::State;
use super::{Config, TrainOptions, probe};
use crate::data::Dataset;
use crate::files::write_atomically;
use crate::protocols::Split;
use crate::random::{mix, unit};

/// One trial of this many continues, with this many times the epochs.
const KEPT: usize = 3;
/// Number of trials if the settings name none.
const TRIALS: usize = 18;
/// Folder of the trials' checkpoints while the search runs.
const FOLDER: &str = "trials";
/// File with the list of trials and their figures, best first.
const LIST: &str = "search.json";

/// The values that a setting may take.
#[derive(Debug, Clone, PartialEq)]
enum Range {
    /// One of these values, each equally likely.
    Choice(Vec<Value>),
    /// A number between two others, drawn uniformly, or with `log` uniformly in the logarithm. `whole` rounds it.
    Between { low: f64, high: f64, log: bool, whole: bool },
}

/// The ranges to draw settings from: the table `[search]` of a settings file.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    trials: usize,
    ranges: Vec<(String, Range)>,
}

/// A trial, for `search.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Trial {
    /// Number of the trial in the order of the draws. Trial 0 has the settings as they are.
    trial: usize,
    /// The settings that were drawn.
    settings: Table,
    /// Largest number of epochs that the trial was given.
    epochs: u32,
    /// The trial's best figure on validation.
    valid: f64,
}

impl Space {
    /// Reads the table `[search]` of a settings file. Without the file or the table it has ranges that suit most data.
    ///
    /// # Errors
    /// A file that cannot be read, or a range that is not one; the error names the setting.
    pub fn read(file: Option<&Path>) -> Result<Space> {
        const USUAL: &str = "learning_rate = { log = [5e-4, 5e-3] }\nbatch = { choice = [8, 16, 32, 64] }\ndropout = { between = [0.1, 0.5] }\n\
            next_weight = { choice = [0.3, 0.5, 0.7, 1.0] }\naverage = { choice = [0.98, 0.99, 0.995] }";
        let Some(file) = file else { return Space::of(&toml::from_str(USUAL)?) };
        let named = || format!("{}", file.display());
        let settings: Table = toml::from_str(&std::fs::read_to_string(file).with_context(named)?).with_context(named)?;
        match settings.get("search") {
            Some(Value::Table(table)) => Space::of(table).with_context(named),
            Some(_) => bail!("{}: search: expected a table of ranges", file.display()),
            None => Space::read(None),
        }
    }

    fn of(table: &Table) -> Result<Space> {
        let mut space = Space { trials: TRIALS, ranges: Vec::new() };
        for (name, value) in table {
            if name == "trials" {
                let trials = value.as_integer().and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=10_000).contains(n));
                space.trials = trials.with_context(|| format!("search.trials: expected 1 to 10000, got {}", shown(value)))?;
                continue;
            }
            let kinds = "{ choice = [values] }, { between = [low, high] } or { log = [low, high] }";
            let range = range_of(value).with_context(|| format!("search.{name}: expected {kinds}, got {}", shown(value)))?;
            space.ranges.push((name.clone(), range));
        }
        ensure!(!space.ranges.is_empty(), "search: no ranges");
        Ok(space)
    }

    /// Draws the settings of a trial. Trial 0 draws none, so the given settings take part in the search.
    fn draw(&self, trial: usize, seed: u64) -> Table {
        if trial == 0 {
            return Table::new();
        }
        let value = |(i, (name, range)): (usize, &(String, Range))| {
            let draw = mix(mix(seed, trial as u64), i as u64);
            let unit = unit(draw);
            let value = match range {
                Range::Choice(values) => values[(draw % values.len() as u64) as usize].clone(),
                Range::Between { low, high, log, whole } => {
                    let x = match log {
                        true => libm::exp(libm::log(*low) + unit * (libm::log(*high) - libm::log(*low))),
                        false => low + unit * (high - low),
                    };
                    if *whole { Value::Integer(x.round() as i64) } else { Value::Float(x) }
                }
            };
            (name.clone(), value)
        };
        self.ranges.iter().enumerate().map(value).collect()
    }
}

/// A value as text for messages.
pub(super) fn shown(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Reads a range; `None` if the value is not one.
fn range_of(value: &Value) -> Option<Range> {
    let table = value.as_table().filter(|table| table.len() == 1)?;
    let (kind, values) = table.iter().next()?;
    let values = values.as_array().filter(|values| !values.is_empty())?;
    if kind == "choice" {
        return Some(Range::Choice(values.clone()));
    }
    let number = |v: &Value| v.as_float().or(v.as_integer().map(|n| n as f64)).filter(|x| x.is_finite());
    let [low, high] = values.as_slice() else { return None };
    let whole = low.is_integer() && high.is_integer();
    let (low, high, log) = (number(low)?, number(high)?, kind == "log");
    (low < high && (kind == "between" || log && low > 0.0)).then_some(Range::Between { low, high, log, whole })
}

/// Number of epochs of each round; the last round has all epochs. Each round has a third of the trials of the round
/// before.
fn rounds(trials: usize, epochs: u32) -> Vec<u32> {
    let thirds = trials.max(1).ilog(KEPT).min(epochs.max(1).ilog(KEPT as u32));
    (0..=thirds).rev().map(|i| (epochs / (KEPT as u32).pow(i)).max(1)).collect()
}

/// Searches the space, starting from the settings `config`, and returns the best settings. Only the validation part is
/// used.
///
/// The best trial's checkpoint is left in `out`, so that a training with `resume` continues from it. `out/search.json`
/// lists the trials. With `options.resume` an unfinished search continues, and a finished one is read from that list.
///
/// # Errors
/// Drawn settings that are out of their range, a split without validation, and the errors of [`super::train`].
pub fn search(
    data: &Dataset,
    split: &Split,
    (config, space): (&Config, &Space),
    seed: u64,
    out: &Path,
    options: TrainOptions,
) -> Result<Config> {
    ensure!(!split.valid.is_empty(), "no events are held back, so settings cannot be chosen on validation");
    let folder = out.join(FOLDER);
    if !options.resume && folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("{}: cannot be removed", folder.display()))?;
    }
    let list = out.join(LIST);
    if options.resume && !folder.exists() && list.exists() {
        // The search is finished: only the training is resumed.
        let done: Vec<Trial> = serde_json::from_slice(&std::fs::read(&list)?).with_context(|| format!("{}", list.display()))?;
        let best = done.first().with_context(|| format!("{}: no trials", list.display()))?;
        return config.with(&best.settings);
    }
    let place = |trial: usize| -> PathBuf { folder.join(trial.to_string()) };
    let drawn: Vec<(Table, Config)> = (0..space.trials)
        .map(|trial| {
            let settings = space.draw(trial, mix(seed, 4));
            let config = config.with(&settings).with_context(|| format!("search, trial {trial}"))?;
            Ok((settings, config))
        })
        .collect::<Result<_>>()?;
    let mut left: Vec<usize> = (0..drawn.len()).collect();
    let mut best: Vec<Trial> = Vec::new();
    let quiet = TrainOptions { quiet: true, resume: true, ..TrainOptions::default() };
    for (round, epochs) in rounds(drawn.len(), config.max_epochs).into_iter().enumerate() {
        if round > 0 {
            left.truncate(left.len().div_ceil(KEPT));
        }
        let mut results = Vec::new();
        for trial in &left {
            let (settings, config) = &drawn[*trial];
            let epochs = epochs.min(config.max_epochs);
            let (metric, quality) = probe(data, split, config, seed, &place(*trial), epochs, quiet)?;
            let valid = metric.value(quality);
            if !options.quiet {
                let (name, count) = (metric.name(), left.len());
                let settings: String = settings.iter().map(|(key, value)| format!(", {key} {}", shown(value))).collect();
                eprintln!("round {}, {count} trials of {epochs} epochs: {name} {valid:.4}, trial {trial}{settings}", round + 1);
            }
            results.push((quality, Trial { trial: *trial, settings: settings.clone(), epochs, valid }));
        }
        results.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.trial.cmp(&b.1.trial)));
        left = results.iter().map(|(_, trial)| trial.trial).collect();
        // Results of later rounds come first, best first in each round. Earlier results of the same trials are dropped.
        let (_, results): (Vec<f64>, Vec<Trial>) = results.into_iter().unzip();
        best.retain(|old| !left.contains(&old.trial));
        best.splice(0..0, results);
    }
    write_atomically(&list, &serde_json::to_vec_pretty(&best)?)?;
    State::take_over(&place(left[0]), out)?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("{}: cannot be removed", folder.display()))?;
    Ok(drawn[left[0]].1.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(text: &str) -> Result<Space> {
        Space::of(&toml::from_str(text).unwrap())
    }

    #[test]
    fn draws_stay_in_their_ranges_and_are_repeatable() {
        let space = space(
            "trials = 5\nbatch = { between = [4, 8] }\nclip = { log = [0.1, 10.0] }\nencoder = { choice = [\"gru\", \"mean\"] }",
        )
        .unwrap();
        assert_eq!((space.trials, space.draw(0, 1)), (5, Table::new()));
        let (mut low, mut batches) = (0, std::collections::BTreeSet::new());
        for trial in 1..=1000 {
            let drawn = space.draw(trial, 1);
            assert_eq!(drawn, space.draw(trial, 1));
            let (batch, clip) = (drawn["batch"].as_integer().unwrap(), drawn["clip"].as_float().unwrap());
            assert!((4..=8).contains(&batch) && (0.1..=10.0).contains(&clip));
            assert!(Config::default().with(&drawn).is_ok());
            batches.insert(batch);
            low += usize::from(clip < 1.0);
        }
        assert_eq!(batches.len(), 5);
        assert!((400..600).contains(&low), "about half of the logarithms lie below 0: {low}");
    }

    #[test]
    fn invalid_ranges_are_refused_by_name() {
        for text in [
            "dim = 3",
            "dim = { choice = [] }",
            "dim = { between = [3, 1] }",
            "dim = { log = [0.0, 1.0] }",
            "dim = { x = [1, 2] }",
        ] {
            assert!(format!("{:#}", space(text).unwrap_err()).contains("search.dim"), "{text}");
        }
        assert!(space("trials = 0\ndim = { choice = [1] }").is_err() && space("trials = 3").is_err());
    }

    #[test]
    fn the_last_round_has_all_epochs() {
        assert_eq!(rounds(18, 30), [3, 10, 30]);
        assert_eq!((rounds(1, 30), rounds(100, 2), rounds(3, 3)), (vec![30], vec![2], vec![1, 3]));
    }
}
