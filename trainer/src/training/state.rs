//! The state of a training between two steps, and the checkpoint that stores it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::curve::{Epoch, Phase};
use super::numbers::Numbers;
use super::ranker::RankerCard;
use super::rivals::Rival;
use super::run::RunRanker;
use super::step::Gradient;
use super::{Config, NeighbourSettings};
use crate::optimizer::{Moments, clip, decay, parts};
use crate::ranker::{Ranker, rotation};
use crate::towers::{CatalogRows, ItemTower, Parameter, UserShape, UserTower};

static STOP: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C end a training between two steps, so that its last checkpoint stays. A second Ctrl-C ends the process
/// at once.
pub fn stop_on_ctrl_c() {
    // An error means that an earlier call has set this handler already.
    _ = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
}

/// Whether Ctrl-C was pressed.
pub(super) fn stop_asked() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Everything that the next steps depend on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub phase: Phase,
    /// Epochs done in this phase.
    pub epoch: u32,
    /// Steps done in this phase.
    pub steps: u64,
    /// The epoch with the best validation; in the refit phase, the number of epochs to run.
    pub best_epoch: u32,
    /// Best quality on validation: higher is better.
    pub best: Option<f64>,
    pub items: ItemTower,
    pub user: UserTower,
    /// The epochs of both phases so far.
    pub curve: Vec<Epoch>,
    /// The neighbours, once they have been chosen.
    pub neighbours: Option<Settled>,
    /// The ranker, if one was chosen.
    pub ranker: Option<LearntRanker>,
    moments: [Moments; 2],
    /// Numbers of the item and the user tower at the best validation.
    best_numbers: Option<[Vec<f32>; 2]>,
}

/// The neighbours that were chosen, or none, with the validation figure that they give.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Settled {
    /// `None`: no neighbours.
    pub settings: Option<NeighbourSettings>,
    /// The validation figure of towers and neighbours with half the width of its 95 % interval; `None` without
    /// validation.
    pub valid: Option<(f64, f64)>,
    /// The best cheap model, if any were compared.
    pub rival: Option<Rival>,
}

/// A chosen ranker with the item vectors that it learnt from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LearntRanker {
    pub card: RankerCard,
    pub ranker: Ranker,
    /// `[items, d]`.
    pub vectors: Vec<f32>,
}

impl LearntRanker {
    /// The ranker behind other towers, whose items have these rows. `values` are those of the views of items.
    pub fn behind(self, rows: &CatalogRows, values: Vec<Vec<f32>>) -> RunRanker {
        let rotation = rotation(&rows.vectors, &self.vectors, self.card.shape.dim);
        RunRanker { card: self.card, ranker: self.ranker, rotation, values }
    }
}

/// The JSON text of a checkpoint, beside its tensors.
#[derive(Serialize, Deserialize)]
struct Note {
    fingerprint: String,
    phase: Phase,
    epoch: u32,
    steps: u64,
    best_epoch: u32,
    best: Option<f64>,
    curve: Vec<Epoch>,
    neighbours: Option<Settled>,
    #[serde(default)]
    ranker: Option<RankerCard>,
    dim: usize,
    items: usize,
    item_slots: usize,
    untied: bool,
    user: UserShape,
}

impl State {
    /// The state before the first step of a phase.
    pub fn new(phase: Phase, items: ItemTower, user: UserTower) -> Self {
        let moments = [Moments::start(&items.numbers), Moments::start(&user.numbers)];
        State {
            phase,
            epoch: 0,
            steps: 0,
            best_epoch: 0,
            best: None,
            curve: Vec::new(),
            neighbours: None,
            ranker: None,
            items,
            user,
            moments,
            best_numbers: None,
        }
    }

    /// Takes over what the phase before has chosen (number of epochs, quality, neighbours, ranker) and its curve.
    pub fn after(self, chosen: State) -> Self {
        let State { best_epoch, best, curve, neighbours, ranker, .. } = chosen;
        State { best_epoch, best, curve, neighbours, ranker, ..self }
    }

    /// Moves the towers one step of AdamW against the gradient. `items_only` leaves the user tower as it is. The
    /// gradient is clipped in place.
    pub fn step(&mut self, gradient: &mut Gradient, config: &Config, items_only: bool) {
        if items_only {
            gradient.user.fill(0.0);
        }
        if config.frozen {
            self.items.freeze_ids(&mut gradient.items);
        }
        let all = 0..gradient.items.len();
        let touched = gradient.touched.as_deref().unwrap_or(std::slice::from_ref(&all));
        let mut parts = parts(&mut gradient.items, touched);
        parts.push(&mut gradient.user);
        clip(&mut parts, config.clip);
        self.steps += 1;
        let rate = config.learning_rate * (self.steps as f64 / config.warm_up.max(1) as f64).min(1.0);
        let [items, user] = &mut self.moments;
        if config.weight_decay > 0.0 {
            let keep = (1.0 - rate * config.weight_decay) as f32;
            let is_frozen = |tensor: &Parameter| config.frozen && tensor.name.ends_with("ids");
            decay(&mut self.items.numbers, matrices(&self.items.layout, is_frozen), touched, keep);
            if !items_only {
                let all = 0..self.user.numbers.len();
                decay(&mut self.user.numbers, matrices(&self.user.layout, |_| false), &[all], keep);
            }
        }
        match &gradient.touched {
            None => items.step(&mut self.items.numbers, &gradient.items, self.steps, rate, config.average),
            Some(touched) => {
                let step = (self.steps, rate, config.average);
                items.step_sparse(touched, &mut self.items.numbers, &gradient.items, step);
            }
        }
        if !items_only {
            user.step(&mut self.user.numbers, &gradient.user, self.steps, rate, config.average);
        }
    }

    /// Ends an epoch: brings the averages of numbers that sparse steps skipped up to the last step.
    pub fn settle(&mut self, config: &Config) {
        self.moments[0].settle(&self.items.numbers, self.steps, config.average);
    }

    fn towers(&self, items: &[f32], user: &[f32]) -> (ItemTower, UserTower) {
        (ItemTower { numbers: items.to_vec(), ..self.items.clone() }, UserTower { numbers: user.to_vec(), ..self.user.clone() })
    }

    /// The towers with the running averages of their weights.
    pub fn averaged(&self) -> (ItemTower, UserTower) {
        self.towers(&self.moments[0].average, &self.moments[1].average)
    }

    /// Keeps the averaged weights if their quality is the best so far.
    pub fn judge(&mut self, quality: f64) {
        if self.best.is_none_or(|best| quality > best) {
            (self.best, self.best_epoch) = (Some(quality), self.epoch);
            self.best_numbers = Some(self.moments.each_ref().map(|m| m.average.clone()));
        }
    }

    /// The towers that the phase ends with: the best on validation, or the averaged ones if there was no validation.
    pub fn model(&self) -> (ItemTower, UserTower) {
        match &self.best_numbers {
            Some([items, user]) => self.towers(items, user),
            None => self.averaged(),
        }
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join("checkpoint.safetensors")
    }

    /// Writes the checkpoint. `fingerprint` names data, split, settings and seed.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path, fingerprint: &str) -> Result<()> {
        let mut numbers = Numbers::default();
        for (name, list) in self.lists() {
            numbers.add(name, &[list.len()], list);
        }
        let note = Note {
            fingerprint: fingerprint.into(),
            phase: self.phase,
            epoch: self.epoch,
            steps: self.steps,
            best_epoch: self.best_epoch,
            best: self.best,
            curve: self.curve.clone(),
            neighbours: self.neighbours.clone(),
            ranker: self.ranker.as_ref().map(|learnt| learnt.card.clone()),
            dim: self.items.dim,
            items: self.items.layout[0].shape[0] - 1,
            item_slots: self.items.layout[1].shape[0],
            untied: !self.items.layout[4].is_empty(),
            user: self.user.shape,
        };
        numbers.write(&Self::path(folder), Some(serde_json::to_string(&note)?))
    }

    /// All lists of numbers by their names in the checkpoint.
    fn lists(&self) -> Vec<(&'static str, &Vec<f32>)> {
        let [i, u] = &self.moments;
        let mut lists = vec![
            ("item", &self.items.numbers),
            ("item.first", &i.first),
            ("item.second", &i.second),
            ("item.average", &i.average),
            ("user", &self.user.numbers),
            ("user.first", &u.first),
            ("user.second", &u.second),
            ("user.average", &u.average),
        ];
        if let Some([items, user]) = &self.best_numbers {
            lists.extend([("item.best", items), ("user.best", user)]);
        }
        if let Some(learnt) = &self.ranker {
            lists.extend([("ranker", &learnt.ranker.numbers), ("ranker.vectors", &learnt.vectors)]);
        }
        lists
    }

    /// Reads the checkpoint of a folder; `None` if there is none or `asked` is false.
    ///
    /// # Errors
    /// The checkpoint has another fingerprint: it belongs to other data, settings or seed. Or it cannot be read.
    pub fn resume(folder: &Path, fingerprint: &str, asked: bool) -> Result<Option<State>> {
        let path = Self::path(folder);
        if !asked || !path.is_file() {
            return Ok(None);
        }
        let named = || format!("{}: not a checkpoint of this version", path.display());
        let numbers = Numbers::read(&path)?;
        let note: Note = serde_json::from_str(numbers.note.as_deref().unwrap_or("")).with_context(named)?;
        ensure!(
            note.fingerprint == fingerprint,
            "{}: the checkpoint belongs to other data, settings or seed; train without --resume, or into another folder",
            path.display()
        );
        let items = ItemTower::zeros(note.dim, note.items, note.item_slots, note.untied);
        let mut state = State {
            epoch: note.epoch,
            steps: note.steps,
            best_epoch: note.best_epoch,
            best: note.best,
            curve: note.curve,
            neighbours: note.neighbours,
            ..State::new(note.phase, items, UserTower::zeros(note.user))
        };
        if numbers.has("item.best") {
            state.best_numbers = Some([state.items.numbers.clone(), state.user.numbers.clone()]);
        }
        state.ranker = note.ranker.map(|card| {
            let vectors = vec![0.0; note.items * note.dim];
            LearntRanker { ranker: Ranker::zeros(card.shape), card, vectors }
        });
        let State { items, user, moments: [i, u], best_numbers, ranker, .. } = &mut state;
        let mut lists = vec![
            ("item", &mut items.numbers),
            ("item.first", &mut i.first),
            ("item.second", &mut i.second),
            ("item.average", &mut i.average),
            ("user", &mut user.numbers),
            ("user.first", &mut u.first),
            ("user.second", &mut u.second),
            ("user.average", &mut u.average),
        ];
        if let Some([items, user]) = best_numbers {
            lists.extend([("item.best", items), ("user.best", user)]);
        }
        if let Some(learnt) = ranker {
            lists.extend([("ranker", &mut learnt.ranker.numbers), ("ranker.vectors", &mut learnt.vectors)]);
        }
        for (name, list) in lists {
            numbers.copy_to(name, list).with_context(named)?;
        }
        Ok(Some(state))
    }

    /// Moves the checkpoint of one folder to another.
    ///
    /// # Errors
    /// The checkpoint cannot be moved.
    pub fn take_over(from: &Path, to: &Path) -> Result<()> {
        let (from, to) = (Self::path(from), Self::path(to));
        std::fs::rename(&from, &to).with_context(|| format!("{}: cannot be moved", from.display()))
    }

    /// Removes the checkpoint of a folder.
    pub fn remove(folder: &Path) {
        // If it cannot be removed it does no harm: `run.json` shows that the training is done.
        _ = std::fs::remove_file(Self::path(folder));
    }
}

/// The ranges of all tensors with two or more dimensions that are not frozen. Only these decay. Gains, biases and rates
/// have one number for each dimension or item and do not decay.
fn matrices(layout: &[Parameter], is_frozen: impl Fn(&Parameter) -> bool) -> impl Iterator<Item = Range<usize>> {
    layout
        .iter()
        .scan(0, |at, tensor| {
            let start = *at;
            *at += tensor.len();
            Some((tensor, start..*at))
        })
        .filter(move |(tensor, _)| tensor.shape.len() > 1 && !is_frozen(tensor))
        .map(|(_, range)| range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::towers::Encoder;

    #[test]
    fn a_checkpoint_restores_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let shape = UserShape { encoder: Encoder::Gru, dim: 2, hidden: 3, rows: [2, 2, 2, 1], context: 4, rates: true };
        let mut state = State::new(
            Phase::Search,
            ItemTower::start(2, &[1, 2], 1, true, 5),
            UserTower::start(shape, Config::default().pool_rates, 6),
        );
        let gradient = |state: &State| Gradient {
            loss: 1.0,
            items: vec![0.5; state.items.numbers.len()],
            user: vec![-0.5; state.user.numbers.len()],
            touched: None,
        };
        state.step(&mut gradient(&state), &Config::default(), false);
        state.epoch = 1;
        state.neighbours = Some(Settled { settings: None, valid: Some((0.25, 0.01)), rival: None });
        state.judge(0.25);
        state.curve.push(Epoch {
            phase: Phase::Search,
            epoch: 1,
            steps: 1,
            loss: 0.1,
            valid: Some(0.25),
            valid_half: Some(0.01),
        });
        state.step(&mut gradient(&state), &Config::default(), false);
        // A step with `items_only`.
        let before = state.clone();
        state.step(&mut gradient(&state), &Config { weight_decay: 0.1, ..Config::default() }, true);
        assert!(state.user == before.user && state.moments[1] == before.moments[1] && state.items != before.items);
        // A frozen step keeps the items' own vectors: two items and the unknown one, of two dimensions.
        let mut frozen = State::new(Phase::Search, state.items.clone(), state.user.clone());
        frozen.step(&mut gradient(&state), &Config { weight_decay: 0.1, frozen: true, ..Config::default() }, false);
        let (old, new) = (&state.items.numbers, &frozen.items.numbers);
        assert!(old[..6] == new[..6] && old[6..8] != new[6..8] && state.user != frozen.user);
        // A sparse step of one item moves its row, its bias and all columns.
        let before = state.clone();
        let touched = Some(state.items.touched(&[2]));
        state.step(&mut Gradient { touched, ..gradient(&state) }, &Config { weight_decay: 0.1, ..Config::default() }, false);
        state.settle(&Config::default());
        let (old, new) = (&before.items.numbers, &state.items.numbers);
        let moved: Vec<usize> = (0..old.len()).filter(|i| old[*i] != new[*i]).collect();
        assert_eq!(moved, state.items.touched(&[2]).into_iter().flatten().collect::<Vec<_>>());
        state.write(folder.path(), "x").unwrap();
        assert_eq!(State::resume(folder.path(), "x", true).unwrap(), Some(state));
        assert_eq!(State::resume(folder.path(), "x", false).unwrap(), None);
        assert!(State::resume(folder.path(), "y", true).unwrap_err().to_string().contains("other data, settings or seed"));
    }
}
