//! The training loop: epochs over windows of histories until validation gets no better, then once more over all that may be seen.

mod candidates;
mod config;
mod encoding;
mod example;
mod numbers;
mod optimizer;
mod progress;
mod ratings;
mod run;
mod state;
mod step;
mod validation;

pub use candidates::{Candidates, Sampler};
pub use config::{Config, Input};
pub use numbers::{Numbers, write_atomically};
pub use optimizer::{Moments, clip};
pub use ratings::Ratings;
pub use run::{Run, RunCard, catalog_of};
pub use state::stop_on_ctrl_c;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use foretaste::bundle::TrainedOn;
use foretaste::features::Slots;

use crate::data::Dataset;
use crate::ops::dropout::mix;
use crate::protocols::{Sequence, Split};
use crate::towers::{ItemTower, UserShape, UserTower, encode_catalog};
use example::{Visitor, Window};
use progress::Progress;
use state::{Phase, State};
use step::Material;
use validation::Validation;

/// Epochs where there is nothing to validate on.
const BLIND_EPOCHS: u32 = 10;

/// How a training is carried out; changes nothing of its result.
#[derive(Debug, Clone, Copy, Default)]
pub struct TrainOptions {
    /// Continue from the last checkpoint in the folder, where there is one.
    pub resume: bool,
    /// No progress on standard error.
    pub quiet: bool,
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
    std::fs::create_dir_all(out).with_context(|| format!("{}: cannot be made", out.display()))?;
    let trained_on =
        TrainedOn { protocol: split.protocol.name().into(), fold: split.fold, data_sha256: data.sha256.clone(), seed };
    let encoding = encoding::fit(data, split.fitted(), config);
    let ratings = (config.rating_weight > 0.0).then(|| Ratings::of(split.fitted(), &encoding.history)).flatten();
    let catalog = catalog_of(data);
    let trainer = Trainer {
        data,
        config,
        seed,
        encoding: &encoding,
        bags: encode_catalog(&encoding, &catalog),
        ratings: ratings.as_ref(),
        validation: Validation::new(data, split, &encoding, ratings.as_ref())?,
        out,
        fingerprint: serde_json::to_string(&(&trained_on, config))?,
    };
    let mut state = match State::resume(out, &trainer.fingerprint, options.resume)? {
        Some(state) => state,
        None => trainer.start(&split.train, Phase::Search),
    };
    let mut progress = Progress::new(options.quiet);
    if state.phase == Phase::Search {
        trainer.run(&mut state, &split.train, &mut progress)?;
        if let Some(refit) = &split.refit {
            let start = trainer.start(refit, Phase::Refit);
            state = start.with_choice_of(&state);
        }
    }
    if state.phase == Phase::Refit {
        trainer.run(&mut state, split.refit.as_ref().context("the checkpoint is of another split")?, &mut progress)?;
    }
    let (mut items, user) = state.model();
    items.forget_unseen(&counts(data, split.fitted()));
    let metrics = match state.best {
        Some(best) => BTreeMap::from([
            (format!("valid_{}", trainer.validation.metric().name()), trainer.validation.metric().value(best)),
            ("epochs".to_owned(), f64::from(state.best_epoch)),
        ]),
        None => BTreeMap::new(),
    };
    let card = RunCard {
        name: data.name.clone(),
        licence: data.licence.clone(),
        config: config.clone(),
        encoding,
        trained_on,
        ratings: ratings.map(|r| r.range),
        metrics,
    };
    let run = Run { card, catalog, items, user };
    run.save(out)?;
    State::remove(out);
    Ok(run)
}

/// What stays the same from phase to phase.
struct Trainer<'a> {
    data: &'a Dataset,
    config: &'a Config,
    seed: u64,
    encoding: &'a foretaste::features::Encoding,
    bags: Vec<Slots>,
    ratings: Option<&'a Ratings>,
    validation: Validation<'a>,
    out: &'a Path,
    fingerprint: String,
}

impl Trainer<'_> {
    fn start(&self, sequences: &[Sequence], phase: Phase) -> State {
        let counts = counts(self.data, sequences);
        let items = ItemTower::start(self.config.dim, &counts, self.encoding.item_width(), self.config.untied, mix(self.seed, 1));
        let shape =
            UserShape::of(self.encoding, self.config.encoder, self.config.dim, self.config.hidden, self.ratings.is_some());
        let mut user = UserTower::start(shape, self.config.pool_rates, mix(self.seed, 2));
        if let Some(ratings) = self.ratings {
            user.start_ratings(ratings.moments, &ratings.by_row);
        }
        State::new(phase, items, user)
    }

    /// Epochs until the phase is over; a checkpoint after each.
    fn run(&self, state: &mut State, sequences: &[Sequence], progress: &mut Progress) -> Result<()> {
        let visitors = example::visitors(self.data, sequences, self.encoding, self.ratings);
        ensure!(!visitors.is_empty(), "nothing to learn from: no user has two events of a known meaning");
        let sampler = Sampler::new(&counts(self.data, sequences), self.config.full_softmax_items, self.config.samples);
        let material =
            Material { encoding: self.encoding, config: self.config, visitors: &visitors, bags: &self.bags, sampler: &sampler };
        let most = match state.phase {
            Phase::Refit => state.best_epoch,
            Phase::Search if self.validation.is_empty() => BLIND_EPOCHS,
            Phase::Search => self.config.max_epochs,
        };
        progress.phase(state.phase, most, state.epoch, visitors.len().div_ceil(self.config.batch));
        while state.epoch < most && !self.is_over(state) {
            let loss = self.epoch(state, &material, progress)?;
            if state.phase == Phase::Search {
                self.validate(state);
            }
            progress.epoch(state, loss, self.validation.metric());
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
        for (i, batch) in windows.chunks(self.config.batch).enumerate() {
            let mut gradient = material.gradient(&state.items, &state.user, batch, mix(mix(seed, 2), i as u64));
            if !gradient.loss.is_finite() {
                bail!("the loss is not finite in epoch {}: a smaller learning_rate may help", state.epoch + 1);
            }
            state.step(&mut gradient, self.config);
            (sum, steps) = (sum + gradient.loss, steps + 1.0);
            progress.step(sum / steps);
            if state::stop_asked() {
                bail!("stopped in epoch {}; the same command with --resume goes on from its start", state.epoch + 1);
            }
        }
        state.epoch += 1;
        Ok(sum / steps)
    }

    fn validate(&self, state: &mut State) {
        if self.validation.is_empty() {
            return;
        }
        let (items, user) = state.averaged();
        state.judge(self.validation.quality(&user, &items.rows(&self.bags)));
    }
}

/// A window of every visitor, in random order.
fn windows(visitors: &[Visitor], most: usize, seed: u64) -> Vec<Window> {
    let mut order: Vec<usize> = (0..visitors.len()).collect();
    order.sort_by_key(|i| (mix(mix(seed, 0), *i as u64), *i));
    order.into_iter().map(|i| visitors[i].window(i, most, mix(mix(seed, 1), i as u64))).collect()
}

/// Events of each item.
fn counts(data: &Dataset, sequences: &[Sequence]) -> Vec<u32> {
    let mut counts = vec![0; data.items.len()];
    sequences.iter().flat_map(|s| &s.events).for_each(|e| counts[e.item as usize] += 1);
    counts
}
