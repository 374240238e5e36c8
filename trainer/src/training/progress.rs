//! Progress of a training: a bar with the time left, a line for each epoch, and records for a tracker.

use std::path::Path;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::curve::{Epoch, Phase};
use super::state::State;
use crate::metrics::Metric;
use crate::tracking::Tracker;

/// Prints progress on standard error unless `quiet`, and passes figures to a tracker if there is one.
pub(super) struct Progress {
    quiet: bool,
    metric: Metric,
    bar: ProgressBar,
    tracker: Option<Tracker>,
}

impl Progress {
    pub fn new(quiet: bool, metric: Metric) -> Self {
        Progress { quiet, metric, bar: ProgressBar::hidden(), tracker: None }
    }

    /// Starts tracking: records the epochs so far and, from now on, each new one.
    pub fn track(&mut self, mut tracker: Tracker, curve: &[Epoch]) -> Result<()> {
        curve.iter().try_for_each(|epoch| tracker.add(epoch.steps, &self.figures(epoch)))?;
        self.tracker = Some(tracker);
        Ok(())
    }

    fn figures(&self, epoch: &Epoch) -> Vec<(String, f64)> {
        let valid = epoch.valid.map(|x| (format!("valid_{}", self.metric.name()), x));
        [(format!("{}_loss", epoch.phase.name()), epoch.loss)].into_iter().chain(valid).collect()
    }

    /// Prints a line.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }

    /// Starts the bar of a phase of at most `epochs` epochs of `steps` steps each; `done` epochs are behind it.
    pub fn phase(&mut self, phase: Phase, epochs: u32, done: u32, steps: usize) {
        if self.quiet {
            return;
        }
        let (name, most) = match phase {
            Phase::Search => ("epochs by validation", "at most "),
            Phase::Refit => ("train + validation  ", ""),
        };
        let template = format!("{name} {{bar:30}} {{pos}}/{{len}} steps, {most}{{eta}} left, loss {{msg}}");
        let style = ProgressStyle::with_template(&template).expect("the template is constant").progress_chars("━╸─");
        self.bar =
            ProgressBar::with_draw_target(Some(u64::from(epochs) * steps as u64), ProgressDrawTarget::stderr()).with_style(style);
        self.bar.set_position(u64::from(done) * steps as u64);
        self.bar.reset_eta();
    }

    /// Reports a step with the epoch's mean loss so far.
    pub fn step(&self, loss: f64) {
        self.bar.set_message(format!("{loss:.4}"));
        self.bar.inc(1);
    }

    /// Reports the last epoch of the curve.
    pub fn epoch(&mut self, state: &State) -> Result<()> {
        let Some(epoch) = state.curve.last() else { return Ok(()) };
        let figures = self.figures(epoch);
        if let Some(tracker) = &mut self.tracker {
            tracker.add(epoch.steps, &figures)?;
        }
        if !self.quiet {
            let validation = match (state.phase, state.best) {
                (Phase::Search, Some(best)) => {
                    let (name, best) = (self.metric.name(), self.metric.value(best));
                    format!(", best {name} on validation {best:.4} (epoch {})", state.best_epoch)
                }
                (Phase::Refit, _) => format!(" of {}", state.best_epoch),
                _ => String::new(),
            };
            self.bar.suspend(|| eprintln!("epoch {:>3}: loss {:.4}{validation}", epoch.epoch, epoch.loss));
        }
        Ok(())
    }

    /// Ends the tracking. `file` describes the finished training.
    pub fn finish(&mut self, file: &Path) -> Result<()> {
        self.tracker.take().map_or(Ok(()), |tracker| tracker.finish(file))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
