//! Makes the next version from exported logs: trains the last run further, corrects for how items came to be shown, and
//! checks the result at a gate.

mod gate;
mod logged;
mod versions;

pub use gate::{Bounds, Check, Gate};
pub use logged::{Joined, join};
pub use versions::Versions;

use std::collections::HashSet;

use anyhow::{Result, ensure};

use crate::data::{Dataset, Met};
use crate::export::{Contents, export};
use crate::log::{VisitorLog, items};
use crate::training::{Base, Config, Run, TrainOptions, train_on};
use crate::verify::open_bundle;

/// How an update is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Epochs of training on data and log.
    pub epochs: u32,
    /// Most that one answer weighs, before weights are scaled to a mean of 1. 1 corrects nothing; larger values correct
    /// more, with more variance.
    pub max_weight: f64,
    /// Bounds of the gate.
    pub bounds: Bounds,
    /// Seed of every draw.
    pub seed: u64,
    /// Whether only the items are trained: pages that have the bundle already then fetch no user tower.
    pub items_only: bool,
    /// Whether progress is hidden.
    pub quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { epochs: 5, max_weight: 10.0, bounds: Bounds::default(), seed: 0, items_only: false, quiet: false }
    }
}

/// Result of an update.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Updated {
    /// The new version.
    pub version: u32,
    /// The version it was compared with.
    pub champion: u32,
    /// Number of visitors in the log.
    pub visitors: usize,
    /// Number of their events, without those of unknown items.
    pub events: usize,
    /// Number of log events whose item the data does not have.
    pub unknown: usize,
    /// Results of the checks.
    pub gate: Gate,
    /// Warnings for people, such as visitors that were left out; empty if nothing is wrong.
    pub warnings: Vec<String>,
}

/// Makes the next version from the champion, the data and a log. If it passes the gate, it becomes the challenger.
///
/// The items of `data` are those that visitors may be shown.
///
/// # Errors
/// A log without events of the data's items; errors of training.
pub fn update(versions: &Versions, data: Dataset, log: &[VisitorLog], options: Options) -> Result<Updated> {
    let champion = versions.champion()?;
    let base = Run::load(&versions.of(champion).join("run"))?;
    let known: HashSet<&str> = data.items.iter().map(String::as_str).collect();
    let met = Met::of("items of the logs in the data", items(log), |id| known.contains(id), || known.iter().copied());
    met.check()?;
    let joined = join(data, log, options.max_weight, options.seed)?;
    let events = joined.data.events.len() - joined.data.offsets[joined.first];
    ensure!(events > 0, "no event of the log is about an item of the data ({} are about other items)", joined.unknown);
    let split = gate::split(&joined);
    let config = Config { max_epochs: options.epochs, ..base.card.config.clone() };
    let staging = versions.staging();
    let training = TrainOptions { quiet: options.quiet, ..TrainOptions::default() };
    let on = Base { run: &base, items_only: options.items_only };
    let run = train_on(Some(on), &joined.data, &split, &config, options.seed, &staging.join("run"), training)?;
    export(&run, &staging.join("bundle"), Contents::default())?;
    let (old, new) = (open_bundle(&versions.of(champion).join("bundle"))?, open_bundle(&staging.join("bundle"))?);
    let gate = gate::gate(&joined, &split, &old, &new, options.bounds)?;
    let warnings = (met.known < met.of).then(|| met.to_string()).into_iter().collect();
    let description = format!("From version {champion} and {events} events of {} visitors.", log.len());
    let version = versions.add(&description, Some(&gate))?;
    Ok(Updated { version, champion, visitors: log.len(), events, unknown: joined.unknown, gate, warnings })
}
