//! Simulates the feedback loop: round after round, visitors with known tastes see slates and click, and the towers
//! learn from the clicks.
//!
//! Each visitor has a device of its own: the [`Recommender`](foretaste::Recommender) that a page runs, with its
//! profile, log and posterior. Each round begins by training the towers further on all clicks so far. So a policy pays
//! for what it explores and gains from what it learns. The ground truth is that of the generated data
//! (`data::synthetic`): taste depends on moods and turns round outside favourite categories, so no dot product can
//! express it. Tastes drift, items are released over the rounds, and the probability of a click depends on the
//! position.

mod measure;
mod outcome;
mod site;
mod society;

pub use measure::Round;
pub use outcome::{FIGURES, Outcome, OverSeeds};
pub use site::Site;

use std::path::Path;

use anyhow::Result;
use foretaste::Request;

use crate::data::Dataset;
use crate::export::{Contents, export};
use crate::protocols::{Protocol, Split, histories};
use crate::training::{Base, Config, Run, TrainOptions, train_on};
use crate::verify::open_bundle;

/// Size of a simulation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Visitors per round.
    pub users: u32,
    /// Items in total; half of them are released during the rounds.
    pub items: u32,
    /// Items that a visitor meets before the first round.
    pub met: u32,
    /// Rounds of serving and learning.
    pub rounds: u32,
    /// Slates per visitor and round.
    pub slates: u32,
    /// How far tastes move per round, in standard deviations of tastes: 0 keeps them, 1 draws them anew.
    pub drift: f64,
    /// Share of visitors replaced each round by newcomers without a history: 0 (nobody) to 1 (everybody).
    pub newcomers: f64,
}

impl Setting {
    /// Newcomers per round after the first.
    fn come(&self) -> u32 {
        (self.newcomers * f64::from(self.users)).round() as u32
    }
}

impl Default for Setting {
    fn default() -> Self {
        Setting { users: 300, items: 1000, met: 60, rounds: 20, slates: 2, drift: 0.1, newcomers: 0.0 }
    }
}

/// Epochs of the first training, and of each later one, which continues from the last.
const EPOCHS: [u32; 2] = [30, 6];

/// Runs a policy and returns one [`Round`] per round.
///
/// Equal seeds give equal visitors, items and first clicks, whatever the policy. Runs and bundles are written to
/// `folder`.
///
/// # Errors
/// Errors of training and of the policy.
pub fn simulate(setting: Setting, policy: &Request, seed: u64, folder: &Path) -> Result<Vec<Round>> {
    let mut site = Site::new(setting, seed);
    let (mut run, mut rounds): (Option<Run>, Vec<Round>) = (None, Vec::new());
    for round in 0..setting.rounds {
        site.begin(round);
        let learnt = learn(run.as_ref(), &site.data(), seed, &folder.join("run"))?;
        export(&learnt, &folder.join("bundle"), Contents::default())?;
        run = Some(learnt);
        let mut recommender = open_bundle(&folder.join("bundle"))?;
        let found = site.serve(&mut recommender, policy, rounds.last())?;
        rounds.push(found);
    }
    Ok(rounds)
}

/// Trains on all clicks of a site; continues from `base` if it is given. Writes the run to `out`.
///
/// # Errors
/// Errors of training.
pub fn learn(base: Option<&Run>, data: &Dataset, seed: u64, out: &Path) -> Result<Run> {
    let config = Config {
        dim: 32,
        hidden: 64,
        history_len: 100,
        history_cap: site::KEPT,
        batch: 4,
        batch_events: 0,
        warm_up: 20,
        max_epochs: EPOCHS[usize::from(base.is_some())],
        ..Config::default()
    };
    let train = histories(data, |_| true);
    let split = Split { protocol: Protocol::All, fold: None, train, valid: vec![], refit: None, test: vec![] };
    let base = base.map(|run| Base { run, items_only: false });
    train_on(base, data, &split, &config, seed, out, TrainOptions { quiet: true, ..TrainOptions::default() })
}
