//! The training loop: epochs over windows of histories until validation gets no better, then once more over all that may be seen.

mod candidates;
mod config;
mod curve;
mod encoding;
mod example;
mod numbers;
mod progress;
mod ratings;
mod row_events;
mod run;
mod search;
mod state;
mod step;
mod validation;
mod warm;

pub use candidates::{Candidates, Sampler};
pub use config::{Config, Input};
pub use curve::{Epoch, Phase};
pub use numbers::Numbers;
pub use ratings::Ratings;
pub use run::{Run, RunCard, catalog_of};
pub use search::{Space, search};
pub use state::stop_on_ctrl_c;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use foretaste::bundle::{CatalogFile, TrainedOn};
use foretaste::features::{Bag, Encoding};
use serde_json::Value;

use crate::data::Dataset;
use crate::factors::Ease;
use crate::measure::validation_quality;
use crate::protocols::{Sequence, Split};
use crate::random::mix;
use crate::towers::{ItemTower, Linear, UserShape, UserTower, encode_catalog};
use crate::tracking::{Subject, Tracker};
use example::{Visitors, Window};
use progress::Progress;
use state::{Share, State};
use step::Material;
use validation::{Metric, Validation};

/// Epochs where there is nothing to validate on.
const BLIND_EPOCHS: u32 = 10;
/// Items above which no linear model is learnt: its matrix of all pairs would take more than .4 GB.
const LINEAR_ITEMS: usize = 10_000;
/// Shares of a linear model that are tried: logits for one of its scores, of which 1 says that an item is in the history.
const SHARES: [f64; 6] = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0];

/// How a training is carried out; changes nothing of its result.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions<'a> {
    /// Continue from the last checkpoint in the folder, where there is one.
    pub resume: bool,
    /// No progress on standard error.
    pub quiet: bool,
    /// Record it for TensorBoard and MLflow in this folder.
    pub track: Option<&'a Path>,
}

/// Learns both towers from a split and leaves the run in the folder `out`; a checkpoint lies there until it is done.
///
/// The number of epochs is chosen on validation: by NDCG@100, of P2 by the RMSE. Where the protocol says so, the towers are then learnt again from
/// train and validation with that number.
///
/// # Errors
/// Where the data gives nothing to learn from, the folder cannot be written, `resume` meets a checkpoint of other data or settings, or
/// Ctrl-C stopped it (the last checkpoint is kept).
pub fn train(data: &Dataset, split: &Split, config: &Config, seed: u64, out: &Path, options: TrainOptions) -> Result<Run> {
    train_on(None, data, split, config, seed, out, options)
}

/// An earlier run that a training goes on from.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// The run.
    pub run: &'a Run,
    /// Its user tower stays as it is, encoding and all: items are learnt to fit it, and the bundle's graph keeps its bytes.
    pub items_only: bool,
}

/// As [`train`], from what an earlier run has learnt of items, words and everything else that is still there. The settings may differ, but not
/// the dimensions: what has another shape starts anew.
///
/// # Errors
/// As there.
pub fn train_on(
    base: Option<Base>,
    data: &Dataset,
    split: &Split,
    config: &Config,
    seed: u64,
    out: &Path,
    options: TrainOptions,
) -> Result<Run> {
    let config = &fitting(config, data);
    let mut known = Known::new(data, split, config)?;
    if let Some(Base { run, items_only: true }) = base {
        let Encoding { context, history, .. } = run.card.encoding.clone();
        known.encoding = Encoding { context, history, ..known.encoding };
    }
    let trainer = Trainer { base, ..Trainer::new(data, split, config, seed, &known, out)? };
    let mut state = trainer.state(split, options)?;
    let revision = revision();
    let mut progress = Progress::new(options.quiet, trainer.validation.metric());
    if let Some(folder) = options.track {
        progress.track(trainer.tracker(folder, revision.as_deref())?, &state.curve)?;
    }
    if state.phase == Phase::Search {
        trainer.run(&mut state, &split.train, config.max_epochs, &mut progress)?;
        state.share = trainer.share(&state, &split.train)?;
        if let Some(refit) = &split.refit {
            state = trainer.start(split, refit, Phase::Refit)?.after(state);
        }
    }
    if state.phase == Phase::Refit {
        let refit = split.refit.as_ref().context("the checkpoint is of another split")?;
        let epochs = state.best_epoch;
        trainer.run(&mut state, refit, epochs, &mut progress)?;
    }
    let (mut items, user) = state.model();
    let counts = counts(data, split.fitted());
    items.forget_unseen(&counts);
    let mut metrics = BTreeMap::new();
    let best = state.curve.iter().find(|e| e.phase == Phase::Search && e.epoch == state.best_epoch);
    let valid = best.and_then(|e| e.valid.zip(e.valid_half));
    if let Some((valid, half)) = state.share.map(|s| (s.valid, s.valid_half)).or(valid) {
        let name = format!("valid_{}", trainer.validation.metric().name());
        metrics.extend([(format!("{name}_low"), valid - half), (format!("{name}_high"), valid + half), (name, valid)]);
        metrics.insert("epochs".into(), f64::from(state.best_epoch));
    }
    if let Some(Share { share, .. }) = state.share {
        metrics.insert("linear_share".into(), share);
    }
    let linear = trainer.linear(split.fitted(), state.share.map_or(0.0, |s| s.share), &items)?;
    let card = RunCard {
        name: data.name.clone(),
        licence: data.licence.clone(),
        config: config.clone(),
        encoding: known.encoding.clone(),
        trained_on: trainer.trained_on,
        ratings: known.ratings.as_ref().map(|r| r.range),
        metrics,
        limits: limits(data, split, config),
        curve: state.curve,
        revision,
    };
    let counts = counts.into_iter().map(|n| n as f32).collect();
    let run = Run { card, catalog: known.catalog, items, user, linear, counts };
    progress.finish(&run.save(out)?)?;
    State::remove(out);
    Ok(run)
}

/// The first epochs of a training, or more of them: what decides, and the best quality so far. The checkpoint stays in `out`.
fn probe(
    data: &Dataset,
    split: &Split,
    config: &Config,
    seed: u64,
    out: &Path,
    epochs: u32,
    options: TrainOptions,
) -> Result<(Metric, f64)> {
    let config = &fitting(config, data);
    let known = Known::new(data, split, config)?;
    let trainer = Trainer::new(data, split, config, seed, &known, out)?;
    let mut state = trainer.state(split, options)?;
    let metric = trainer.validation.metric();
    trainer.run(&mut state, &split.train, epochs, &mut Progress::new(true, metric))?;
    Ok((metric, state.best.unwrap_or(f64::NEG_INFINITY)))
}

/// What is known before training.
struct Known {
    encoding: Encoding,
    ratings: Option<Ratings>,
    catalog: CatalogFile,
}

impl Known {
    fn new(data: &Dataset, split: &Split, config: &Config) -> Result<Known> {
        let encoding = encoding::fit(data, split.fitted(), config)?;
        let ratings = (config.rating_weight > 0.0).then(|| Ratings::of(split.fitted(), &encoding.history)).flatten();
        Ok(Known { encoding, ratings, catalog: catalog_of(data) })
    }
}

/// What stays the same from phase to phase.
struct Trainer<'a> {
    data: &'a Dataset,
    config: &'a Config,
    seed: u64,
    trained_on: TrainedOn,
    encoding: &'a Encoding,
    bags: Vec<Bag>,
    ratings: Option<&'a Ratings>,
    validation: Validation<'a>,
    out: &'a Path,
    fingerprint: String,
    /// What the training goes on from.
    base: Option<Base<'a>>,
}

impl<'a> Trainer<'a> {
    fn new(data: &'a Dataset, split: &'a Split, config: &'a Config, seed: u64, known: &'a Known, out: &'a Path) -> Result<Self> {
        std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be made", out.display()))?;
        let trained_on =
            TrainedOn { protocol: split.protocol.name().into(), fold: split.fold, data_sha256: data.sha256.clone(), seed };
        let (encoding, ratings) = (&known.encoding, known.ratings.as_ref());
        Ok(Trainer {
            data,
            config,
            seed,
            encoding,
            bags: encode_catalog(encoding, &known.catalog),
            ratings,
            validation: Validation::new(data, split, encoding, ratings)?,
            out,
            fingerprint: serde_json::to_string(&(&trained_on, config))?,
            trained_on,
            base: None,
        })
    }

    /// The checkpoint, where it is asked for and there is one, else the start.
    fn state(&self, split: &Split, options: TrainOptions) -> Result<State> {
        let kept = State::resume(self.out, &self.fingerprint, options.resume)?;
        kept.map_or_else(|| self.start(split, &split.train, Phase::Search), Ok)
    }

    fn tracker(&self, folder: &Path, revision: Option<&str>) -> Result<Tracker> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut params = Vec::new();
        for settings in [serde_json::to_value(self.config)?, serde_json::to_value(&self.trained_on)?] {
            params.extend(settings.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))));
        }
        let name = self.out.file_name().unwrap_or(self.out.as_os_str()).to_string_lossy();
        Tracker::start(folder, &Subject { name: &name, data: &self.data.name, params, revision })
    }

    fn start(&self, split: &Split, sequences: &[Sequence], phase: Phase) -> Result<State> {
        let counts = counts(self.data, sequences);
        let mut items =
            ItemTower::start(self.config.dim, &counts, self.encoding.item_width(), self.config.untied, mix(self.seed, 1));
        if let Some(factors) = self.config.start {
            let quality = validation_quality(self.data, split);
            let start = factors.vectors(self.data.items.len(), split, sequences, self.config.dim, &quality)?;
            items.start_from(&start);
        }
        let shape =
            UserShape::of(self.encoding, self.config.encoder, self.config.dim, self.config.hidden, self.ratings.is_some());
        let mut user = UserTower::start(shape, self.config.pool_rates, mix(self.seed, 2));
        if let Some(ratings) = self.ratings {
            user.start_ratings(ratings.moments, &ratings.by_row);
        }
        if let Some(base) = self.base {
            warm::take_over(base.run, self.encoding, &self.data.items, &mut items, &mut user);
        }
        Ok(State::new(phase, items, user))
    }

    /// Up to so many epochs of the phase; a checkpoint after each.
    fn run(&self, state: &mut State, sequences: &[Sequence], epochs: u32, progress: &mut Progress) -> Result<()> {
        let visitors = Visitors::of(self.data, sequences, self.encoding, self.ratings)?;
        ensure!(visitors.len() > 0, "nothing to learn from: no user has two events of a known meaning");
        let sampler = Sampler::new(&counts(self.data, sequences), self.config.full_softmax_items, self.config.samples);
        let material =
            Material { encoding: self.encoding, config: self.config, visitors: &visitors, bags: &self.bags, sampler: &sampler };
        let is_blind = state.phase == Phase::Search && self.validation.is_empty();
        let most = if is_blind { BLIND_EPOCHS.min(epochs) } else { epochs };
        let steps = batches(&windows(&visitors, self.config.window, 0), self.config).len();
        progress.phase(state.phase, most, state.epoch, steps);
        while state.epoch < most && !self.is_over(state) {
            let loss = self.epoch(state, &material, progress)?;
            let (valid, valid_half) = if state.phase == Phase::Search { self.validate(state) } else { None }.unzip();
            state.curve.push(Epoch { phase: state.phase, epoch: state.epoch, steps: state.steps, loss, valid, valid_half });
            progress.epoch(state)?;
            state.write(self.out, &self.fingerprint)?;
        }
        if state.phase == Phase::Search && self.validation.is_empty() {
            state.best_epoch = state.epoch;
        }
        Ok(())
    }

    fn is_over(&self, state: &State) -> bool {
        state.phase == Phase::Search && state.best.is_some() && state.epoch - state.best_epoch >= self.config.patience
    }

    /// One window of every visitor; gives the mean loss.
    fn epoch(&self, state: &mut State, material: &Material, progress: &Progress) -> Result<f64> {
        let seed = mix(mix(self.seed, 3 + state.phase as u64), u64::from(state.epoch));
        let windows = windows(material.visitors, self.config.window, seed);
        let (mut sum, mut steps) = (0.0, 0.0);
        for (i, batch) in batches(&windows, self.config).into_iter().enumerate() {
            let mut gradient = material.gradient(&state.items, &state.user, batch, mix(mix(seed, 2), i as u64));
            if !gradient.loss.is_finite() {
                bail!("the loss is not finite in epoch {}: a smaller learning_rate may help", state.epoch + 1);
            }
            state.step(&mut gradient, self.config, self.base.is_some_and(|base| base.items_only));
            (sum, steps) = (sum + gradient.loss, steps + 1.0);
            progress.step(sum / steps);
            if state::stop_asked() {
                bail!("stopped in epoch {}; the same command with --resume goes on from its start", state.epoch + 1);
            }
        }
        state.settle(self.config);
        state.epoch += 1;
        Ok(sum / steps)
    }

    /// How much a linear model that was learnt from the same histories counts for best on validation, beside the towers that the phase ends with.
    fn share(&self, state: &State, sequences: &[Sequence]) -> Result<Option<Share>> {
        if self.config.linear == 0 || self.validation.is_empty() {
            return Ok(None);
        }
        let (items, user) = state.model();
        let (rows, parts) = (items.rows(&self.bags), Ease::parts(self.data.items.len(), sequences, self.config.linear)?);
        let judged = |share: f64| {
            let linear = Linear::new(self.config.linear, &parts, share, rows.read());
            let (quality, valid_half) = self.validation.quality(&user, &rows, Some(&linear));
            (quality, Share { share, valid: self.validation.metric().value(quality), valid_half })
        };
        Ok(SHARES.into_iter().map(judged).reduce(|a, b| if b.0 > a.0 { b } else { a }).map(|best| best.1))
    }

    /// The linear model beside the towers, where the settings ask for one.
    fn linear(&self, sequences: &[Sequence], share: f64, items: &ItemTower) -> Result<Option<Linear>> {
        let dim = self.config.linear;
        if dim == 0 {
            return Ok(None);
        }
        let parts = Ease::parts(self.data.items.len(), sequences, dim)?;
        Ok(Some(Linear::new(dim, &parts, share, items.rows(&self.bags).read())))
    }

    /// Judges the towers and gives their figure and half of its interval.
    fn validate(&self, state: &mut State) -> Option<(f64, f64)> {
        if self.validation.is_empty() {
            return None;
        }
        let (items, user) = state.averaged();
        let (quality, half) = self.validation.quality(&user, &items.rows(&self.bags), None);
        state.judge(quality);
        Some((self.validation.metric().value(quality), half))
    }
}

/// The settings that fit the data: a linear model is dense, so large catalogs have none.
fn fitting(config: &Config, data: &Dataset) -> Config {
    Config { linear: if data.items.len() > LINEAR_ITEMS { 0 } else { config.linear }, ..config.clone() }
}

/// For the model card.
fn limits(data: &Dataset, split: &Split, config: &Config) -> String {
    let (users, events) = (split.fitted().len(), split.fitted().iter().map(|s| s.events.len()).sum::<usize>());
    let unseen = counts(data, split.fitted()).iter().filter(|n| **n == 0).count();
    let (items, len) = (data.items.len(), config.history_len);
    format!(
        "Learnt from {events} events of {users} users. {unseen} of {items} items had none: they are known by their columns alone. Of a history the \
         last {len} events are read. The figures are of events that were held back, before the vectors were quantised."
    )
}

/// The git revision of the working folder, where it has one.
fn revision() -> Option<String> {
    let out = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// A window of every visitor, in random order.
fn windows(visitors: &Visitors, most: usize, seed: u64) -> Vec<Window> {
    let mut order: Vec<usize> = (0..visitors.len()).collect();
    order.sort_by_key(|i| (mix(mix(seed, 0), *i as u64), *i));
    order.into_iter().map(|i| visitors.get(i).window(i, most, mix(mix(seed, 1), i as u64))).collect()
}

/// Steps of an epoch that large batches leave.
const LEAST_STEPS: usize = 128;

/// The windows of each step: `batch`, and more until they have `batch_events`, or their part of an epoch of [`LEAST_STEPS`].
fn batches<'a>(windows: &'a [Window], config: &Config) -> Vec<&'a [Window]> {
    let least = config.batch_events.min(windows.iter().map(|w| w.len).sum::<usize>() / LEAST_STEPS);
    let (mut batches, mut rest) = (Vec::new(), windows);
    while !rest.is_empty() {
        let mut events = 0;
        let full = rest.iter().position(|w| {
            events += w.len;
            events >= least
        });
        let (batch, after) = rest.split_at(full.map_or(rest.len(), |i| i + 1).max(config.batch).min(rest.len()));
        batches.push(batch);
        rest = after;
    }
    batches
}

/// Events of each item.
fn counts(data: &Dataset, sequences: &[Sequence]) -> Vec<u32> {
    let mut counts = vec![0; data.items.len()];
    sequences.iter().flat_map(|s| &s.events).for_each(|e| counts[e.item as usize] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_enough_windows_and_events() {
        let sizes = |windows: usize, batch, batch_events| {
            let windows = vec![Window { visitor: 0, start: 0, len: 10 }; windows];
            let config = Config { batch, batch_events, ..Config::default() };
            batches(&windows, &config).into_iter().map(<[Window]>::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(7, 3, 0), [3, 3, 1]);
        assert_eq!(sizes(7, 3, 1000), [3, 3, 1], "few windows make small steps");
        assert_eq!(sizes(1280, 3, 1000), [10; 128]);
        assert_eq!(sizes(1280, 3, 45), [5; 256]);
        assert!(batches(&[], &Config::default()).is_empty());
    }
}
