//! The training loop. It runs epochs over windows of histories until validation stops improving, then trains again on
//! all events that the protocol allows.

mod candidates;
mod config;
mod curve;
mod encoders;
mod encoding;
mod example;
mod neighbours;
mod numbers;
mod progress;
mod ranker;
mod ratings;
mod rivals;
mod row_events;
mod run;
mod search;
mod state;
mod step;
mod validation;
mod warm;

pub use candidates::{Candidates, Sampler};
pub use config::{Config, InputKind};
pub use curve::{Epoch, Phase};
pub use neighbours::{NeighbourChoice, NeighbourSettings};
pub use numbers::Numbers;
pub use ranker::{AskedValues, LossChoice, Outcome, RankerCard, RankerChoice, Replayed, Step, of_visitor, replay};
pub use ratings::Ratings;
pub use run::{Run, RunCard, RunRanker, catalog_of};
pub use search::{Space, search};
pub use state::stop_on_ctrl_c;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use foretaste::bundle::{CatalogFile, NeighbourWeights, Neighbours, TrainedOn};
use foretaste::features::{Bag, Encoding};
use serde_json::Value;

use crate::data::Dataset;
use crate::measure::validation_quality;
use crate::metrics::Metric;
use crate::neighbours::Matrix;
use crate::protocols::{Sequence, Split};
use crate::random::mix;
use crate::towers::{ItemTower, Scales, SlotScale, UserShape, UserTower, encode_catalog};
use crate::tracking::{Subject, Tracker};
use example::{Visitors, Window};
use progress::Progress;
use ranker::{Comparison, Stage};
use rivals::Rival;
use state::{LearntRanker, Settled, State};
use step::Material;
use validation::Validation;

/// Number of epochs if there is nothing to validate on.
const BLIND_EPOCHS: u32 = 10;
/// Larger catalogs get no neighbours: a run keeps their rows as f32.
const NEIGHBOUR_ITEMS: usize = 1 << 24;

/// Options of how to carry out a training. They do not change its result.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions<'a> {
    /// Continue from the last checkpoint in the folder, if there is one.
    pub resume: bool,
    /// Print no progress on standard error.
    pub quiet: bool,
    /// Compare with cheap models on validation, and say which is best.
    pub rivals: bool,
    /// Record the training for TensorBoard and MLflow in this folder.
    pub track: Option<&'a Path>,
}

/// Trains both towers on a split and writes the run to the folder `out`, which has a checkpoint until the training is
/// done.
///
/// Validation chooses the number of epochs and, if the settings name none, the encoder, by NDCG@100 or, for P2, by
/// RMSE. If the split has a `refit` part, the towers are then trained again on train and validation for that number of
/// epochs. Equal data, settings and seed give equal bytes.
///
/// # Errors
/// - The data gives nothing to learn from, or the loss becomes infinite or NaN.
/// - The folder cannot be written.
/// - `resume` is set and the checkpoint belongs to other data, settings or seed.
/// - Ctrl-C stopped the training. The last checkpoint is kept.
pub fn train(data: &Dataset, split: &Split, config: &Config, seed: u64, out: &Path, options: TrainOptions) -> Result<Run> {
    let (config, resume) = encoders::choose(data, split, config, seed, out, options)?;
    let run = train_on(None, data, split, &config, seed, out, TrainOptions { resume, ..options })?;
    encoders::forget(out);
    Ok(run)
}

/// An earlier run that a training starts from.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// The earlier run.
    pub run: &'a Run,
    /// Keep its user tower and its encoding of histories and context. Only items are trained, to fit that tower, so the
    /// graph of the user tower in the bundle keeps its bytes.
    pub items_only: bool,
}

/// Trains like [`train`], but starts from an earlier run: items, words and every other number that still has the same
/// meaning keep what that run has learned. The settings may differ; tensors whose shape differs start anew.
///
/// # Errors
/// Same errors as [`train`].
pub fn train_on(
    base: Option<Base>,
    data: &Dataset,
    split: &Split,
    config: &Config,
    seed: u64,
    out: &Path,
    options: TrainOptions,
) -> Result<Run> {
    let config = &config.arms(split.protocol).0;
    let mut known = Fitted::new(data, split, config)?;
    if let Some(Base { run, items_only: true }) = base {
        let Encoding { context, history, .. } = run.card.encoding.clone();
        known.encoding = Encoding { context, history, ..known.encoding };
    }
    if let Some(Base { run, .. }) = base {
        warm::take_over_scales(run, &known.encoding, &mut known.scales);
    }
    if config.ranker != RankerChoice::None && base.is_none() {
        ranker::check(data, &known.encoding)?;
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
        state.neighbours = Some(trainer.settle(&state, split, options.rivals, &mut progress)?);
        state.ranker = trainer.rank(&state, split, &mut progress)?;
        if let Some(refit) = &split.refit {
            state = trainer.start(split, refit, Phase::Refit)?.after(state);
        }
    }
    if state.phase == Phase::Refit {
        let refit = split.refit.as_ref().context("the checkpoint belongs to another split")?;
        let epochs = state.best_epoch;
        trainer.run(&mut state, refit, epochs, &mut progress)?;
    }
    let (mut items, user) = state.model();
    let counts = counts(data, split.fitted());
    items.forget_unseen(&counts);
    let mut metrics = BTreeMap::new();
    let best = state.curve.iter().find(|e| e.phase == Phase::Search && e.epoch == state.best_epoch);
    let valid = best.and_then(|e| e.valid.zip(e.valid_half));
    let settled = state.neighbours.context("the checkpoint has no neighbours")?;
    let metric = trainer.validation.metric().name();
    if let Some((valid, half)) = settled.valid.or(valid) {
        let name = format!("valid_{metric}");
        metrics.extend([(format!("{name}_low"), valid - half), (format!("{name}_high"), valid + half), (name, valid)]);
        metrics.insert("epochs".into(), f64::from(state.best_epoch));
    }
    if let (Some((alone, _)), Some(settings)) = (valid, &settled.settings) {
        metrics.insert(format!("valid_{metric}_towers"), alone);
        metrics.insert("neighbours_share".into(), f64::from(settings.weights.share));
    }
    let neighbours = settled.settings.as_ref().map(|settings| trainer.neighbours(settings, split.fitted())).transpose()?;
    let values = |learnt: &LearntRanker| ranker::shipped_values(data, &known.encoding, &learnt.card.spec.views, split.fitted());
    let ranker = state.ranker.map(|learnt| {
        let values = values(&learnt);
        learnt.behind(&items.rows(&trainer.bags), values)
    });
    if let Some(ranker) = &ranker {
        metrics.extend([("ranker_calibration_error".to_owned(), ranker.card.ece)]);
    }
    let card = RunCard {
        name: data.name.clone(),
        licence: data.licence.clone(),
        config: config.clone(),
        encoding: known.encoding.clone(),
        scales: known.scales.clone(),
        trained_on: trainer.trained_on,
        ratings: known.ratings.as_ref().map(|r| r.range),
        neighbours: settled.settings,
        ranker: ranker.as_ref().map(|ranker| ranker.card.clone()),
        metrics,
        limits: limits(data, split, config) + &settled.rival.map_or_else(String::new, |rival| rival.warning()),
        curve: state.curve,
        revision,
    };
    let counts = counts.into_iter().map(|n| n as f32).collect();
    let run = Run { card, catalog: known.catalog, items, user, neighbours, ranker, counts };
    progress.finish(&run.save(out)?)?;
    State::remove(out);
    Ok(run)
}

/// Runs the search phase up to `epochs` epochs and returns the validation metric with the best quality so far. The
/// checkpoint stays in `out`, so a later call with more epochs can resume.
fn probe(
    data: &Dataset,
    split: &Split,
    config: &Config,
    seed: u64,
    out: &Path,
    epochs: u32,
    options: TrainOptions,
) -> Result<(Metric, f64)> {
    let known = Fitted::new(data, split, config)?;
    let trainer = Trainer::new(data, split, config, seed, &known, out)?;
    let mut state = trainer.state(split, options)?;
    let metric = trainer.validation.metric();
    trainer.run(&mut state, &split.train, epochs, &mut Progress::new(options.quiet, metric))?;
    Ok((metric, state.best.unwrap_or(f64::NEG_INFINITY)))
}

/// Encoding, scales, ratings and catalog, which are fitted to the data before the first step.
struct Fitted {
    encoding: Encoding,
    scales: Scales,
    ratings: Option<Ratings>,
    catalog: CatalogFile,
}

impl Fitted {
    fn new(data: &Dataset, split: &Split, config: &Config) -> Result<Fitted> {
        let (encoding, scales) = encoding::fit(data, split.fitted(), config)?;
        let weight = config.rating_weight;
        let ratings = if weight > 0.0 { Ratings::of(split.fitted(), &encoding.history) } else { None };
        if weight > 0.0 && ratings.is_none() {
            let why = "the events have no two different ratings to learn from";
            ensure!(!data.has_ratings(), "rating_weight is {weight}, but {why}: set it to 0");
            eprintln!("warning: rating_weight is {weight}, but {why}: no ratings will be predicted");
        }
        Ok(Fitted { encoding, scales, ratings, catalog: catalog_of(data) })
    }
}

/// The parts of a training that both phases share.
struct Trainer<'a> {
    data: &'a Dataset,
    config: &'a Config,
    seed: u64,
    trained_on: TrainedOn,
    encoding: &'a Encoding,
    bags: Vec<Bag>,
    /// The scale of the context's slots.
    context_scale: SlotScale,
    ratings: Option<&'a Ratings>,
    validation: Validation<'a>,
    out: &'a Path,
    /// Data, split, settings and seed as text: a checkpoint with another fingerprint is refused.
    fingerprint: String,
    /// The earlier run that the training starts from.
    base: Option<Base<'a>>,
}

impl<'a> Trainer<'a> {
    fn new(data: &'a Dataset, split: &'a Split, config: &'a Config, seed: u64, known: &'a Fitted, out: &'a Path) -> Result<Self> {
        std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be created", out.display()))?;
        let trained_on =
            TrainedOn { protocol: split.protocol.name().into(), fold: split.fold, data_sha256: data.sha256.clone(), seed };
        let (encoding, ratings) = (&known.encoding, known.ratings.as_ref());
        let context_scale = known.scales.context_slots(encoding);
        Ok(Trainer {
            data,
            config,
            seed,
            encoding,
            bags: encode_catalog(encoding, &known.scales, &known.catalog),
            ratings,
            validation: Validation::new(data, split, encoding, &context_scale, ratings)?,
            context_scale,
            out,
            fingerprint: serde_json::to_string(&(&trained_on, config))?,
            trained_on,
            base: None,
        })
    }

    /// Returns the checkpoint if `options.resume` is set and there is one, else the start of the search phase.
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
        let encoder = self.config.encoder.context("the settings name no encoder")?;
        let shape = UserShape::of(self.encoding, encoder, self.config.dim, self.config.hidden, self.ratings.is_some());
        let mut user = UserTower::start(shape, self.config.pool_rates, mix(self.seed, 2));
        if let Some(ratings) = self.ratings {
            user.start_ratings(ratings.moments, &ratings.by_row);
        }
        if let Some(base) = self.base {
            warm::take_over(base.run, self.encoding, &self.data.items, &mut items, &mut user);
        }
        Ok(State::new(phase, items, user))
    }

    /// Runs the phase until it has `epochs` epochs or validation stops improving, and writes a checkpoint after each
    /// epoch.
    fn run(&self, state: &mut State, sequences: &[Sequence], epochs: u32, progress: &mut Progress) -> Result<()> {
        let visitors = Visitors::of(self.data, sequences, self.encoding, &self.context_scale, self.ratings)?;
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
            let (valid, valid_half) = if state.phase == Phase::Search { self.validate(state)? } else { None }.unzip();
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

    /// Runs one epoch, which has one window of every visitor, and returns the mean loss of its steps.
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
                bail!(
                    "stopped in epoch {}; the same command with --resume continues from the start of that epoch",
                    state.epoch + 1
                );
            }
        }
        state.settle(self.config);
        state.epoch += 1;
        Ok(sum / steps)
    }

    /// Chooses the neighbours on validation; those of an earlier run are learnt as they were. Then compares with cheap
    /// models, if asked.
    fn settle(&self, state: &State, split: &Split, rivals: bool, progress: &mut Progress) -> Result<Settled> {
        let (items, user) = state.model();
        let rows = items.rows(&self.bags);
        let histories = neighbours::histories(self.data, &split.train, &self.encoding.history);
        let kept = self.base.map(|base| base.run.card.neighbours.clone());
        let settings = match kept {
            Some(settings) => settings.map(|settings| settings.fitted_to(&self.encoding.history)),
            None if self.data.items.len() > NEIGHBOUR_ITEMS => None,
            None => {
                let (choice, history) = (self.config.neighbours, &self.encoding.history);
                let chosen =
                    neighbours::choose((&user, &rows), &self.validation, &histories, history, choice, |text| progress.say(text))?;
                progress.say(&chosen.why);
                chosen.settings
            }
        };
        let learn = |settings: &NeighbourSettings| {
            settings.learnt.fit(self.data.items.len(), &histories)?.cut(settings.entries).shipped()
        };
        let shipped = settings.as_ref().map(learn).transpose()?;
        let neighbours = shipped.as_ref().zip(settings.as_ref().map(|settings| &settings.weights));
        let (mut valid, mut rival) = (None, None);
        if neighbours.is_some() && !self.validation.is_empty() {
            let (quality, half) = self.validation.quality(&user, &rows, neighbours)?;
            valid = Some((self.validation.metric().value(quality), half));
        }
        if rivals {
            rival = rivals::best(self.data, split, &self.validation, self.validation.own_gain(&user, &rows, neighbours))?;
        }
        if let Some(Rival { name, valid, ours }) = &rival {
            let metric = self.validation.metric().name();
            progress.say(&format!("best cheap model: {name}, {metric} on validation {valid:.4}, ours {ours:.4}"));
        }
        Ok(Settled { settings, valid, rival })
    }

    /// Learns rankers behind towers that did not see the ranker's labels, and chooses one on validation, or none.
    fn rank(&self, state: &State, split: &Split, progress: &mut Progress) -> Result<Option<LearntRanker>> {
        if self.config.ranker == RankerChoice::None {
            return Ok(None);
        }
        if self.validation.is_empty() || self.validation.predicts_ratings() {
            progress.say("ranker: none, for there is no ranking to choose it by");
            return Ok(None);
        }
        if self.base.is_some() {
            progress.say("ranker: none, for the towers start from ones that know its labels");
            return Ok(None);
        }
        let settings = state.neighbours.as_ref().and_then(|settled| settled.settings.as_ref());
        let history = &self.encoding.history;
        let learn = |sequences: &[Sequence]| -> Result<Option<Neighbours>> {
            let of = |settings: &NeighbourSettings| {
                let histories = neighbours::histories(self.data, sequences, history);
                settings.learnt.fit(self.data.items.len(), &histories)?.cut(settings.entries).shipped()
            };
            settings.map(of).transpose()
        };
        fn weighted<'n>(
            neighbours: &'n Option<Neighbours>,
            settings: Option<&'n NeighbourSettings>,
        ) -> Option<(&'n Neighbours, &'n NeighbourWeights)> {
            neighbours.as_ref().zip(settings.map(|settings| &settings.weights))
        }
        let known = ranker::without_labels(&split.train);
        progress.say("training the towers without the labels of the ranker");
        let (items, user) = self.blind(split, &known, state.best_epoch, progress)?;
        let (rows, known) = (items.rows(&self.bags), learn(&known)?);
        let before = Stage { user: &user, rows: &rows, neighbours: weighted(&known, settings) };
        let (items, user) = state.model();
        let (all_rows, all) = (items.rows(&self.bags), learn(&split.train)?);
        let after = Stage { user: &user, rows: &all_rows, neighbours: weighted(&all, settings) };
        let comparison = Comparison {
            data: self.data,
            encoding: self.encoding,
            scale: &self.context_scale,
            validation: &self.validation,
            queries: &split.valid,
            train: &split.train,
            choice: (self.config.ranker, self.config.ranker_loss),
            seed: mix(self.seed, 7),
        };
        let chosen = comparison.choose(&before, &after, |text| progress.say(text))?;
        progress.say(&chosen.why);
        Ok(chosen.ranker.map(|(card, ranker)| LearntRanker { card, ranker, vectors: rows.vectors.clone() }))
    }

    /// Towers trained on other sequences for a number of epochs.
    fn blind(&self, split: &Split, known: &[Sequence], epochs: u32, progress: &Progress) -> Result<(ItemTower, UserTower)> {
        let mut state = self.start(split, known, Phase::Search)?;
        let visitors = Visitors::of(self.data, known, self.encoding, &self.context_scale, self.ratings)?;
        let sampler = Sampler::new(&counts(self.data, known), self.config.full_softmax_items, self.config.samples);
        let material =
            Material { encoding: self.encoding, config: self.config, visitors: &visitors, bags: &self.bags, sampler: &sampler };
        while visitors.len() > 0 && state.epoch < epochs {
            self.epoch(&mut state, &material, progress)?;
        }
        Ok(state.averaged())
    }

    /// Learns the neighbours.
    fn neighbours(&self, settings: &NeighbourSettings, sequences: &[Sequence]) -> Result<Matrix> {
        settings.learnt.fit(self.data.items.len(), &neighbours::histories(self.data, sequences, &self.encoding.history))
    }

    /// Validates the averaged towers, keeps them if they are the best so far, and returns the figure and half the width
    /// of its 95 % interval.
    fn validate(&self, state: &mut State) -> Result<Option<(f64, f64)>> {
        if self.validation.is_empty() {
            return Ok(None);
        }
        let (items, user) = state.averaged();
        let (quality, half) = self.validation.quality(&user, &items.rows(&self.bags), None)?;
        state.judge(quality);
        Ok(Some((self.validation.metric().value(quality), half)))
    }
}

/// The model card's text on what was learned from and what the figures do not say.
fn limits(data: &Dataset, split: &Split, config: &Config) -> String {
    let (users, events) = (split.fitted().len(), split.fitted().iter().map(|s| s.events.len()).sum::<usize>());
    let unseen = counts(data, split.fitted()).iter().filter(|n| **n == 0).count();
    let (items, len) = (data.items.len(), config.history_len);
    format!(
        "Learnt from {events} events of {users} users. {unseen} of {items} items had none: they are known by their columns alone. Of a history the \
         last {len} events are read. The figures are of events that were held back, before the vectors were quantised."
    )
}

/// The git revision of the working folder, if it has one.
fn revision() -> Option<String> {
    let out = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().ok().filter(|out| out.status.success())?;
    Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// One window of every visitor, of at most `most` events, in random order.
fn windows(visitors: &Visitors, most: usize, seed: u64) -> Vec<Window> {
    let mut order: Vec<usize> = (0..visitors.len()).collect();
    order.sort_by_key(|i| (mix(mix(seed, 0), *i as u64), *i));
    order.into_iter().map(|i| visitors.get(i).window(i, most, mix(mix(seed, 1), i as u64))).collect()
}

/// `batch_events` enlarges batches only as far as an epoch keeps this many steps.
const LEAST_STEPS: usize = 128;

/// Cuts the windows into the batches of an epoch. A batch holds at least `batch` windows and `batch_events` events;
/// fewer events are enough if an epoch would otherwise have less than [`LEAST_STEPS`] steps.
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

/// Number of events of each item, by catalog row.
fn counts(data: &Dataset, sequences: &[Sequence]) -> Vec<u32> {
    let mut counts = vec![0; data.items.len()];
    sequences.iter().flat_map(|s| &s.events).for_each(|e| counts[e.item as usize] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_enough_windows_and_events() {
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
