//! What a training says while it runs: a bar with the time left, and a line an epoch.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::state::{Phase, State};
use super::validation::Metric;

/// Speaks on standard error, or not at all.
pub(super) struct Progress {
    quiet: bool,
    bar: ProgressBar,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        Progress { quiet, bar: ProgressBar::hidden() }
    }

    /// A phase of at most `epochs`, of which some are done.
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

    pub fn step(&self, loss: f64) {
        self.bar.set_message(format!("{loss:.4}"));
        self.bar.inc(1);
    }

    pub fn epoch(&self, state: &State, loss: f64, metric: Metric) {
        if self.quiet {
            return;
        }
        let validation = match (state.phase, state.best) {
            (Phase::Search, Some(best)) => {
                format!(", best {} on validation {:.4} (epoch {})", metric.name(), metric.value(best), state.best_epoch)
            }
            (Phase::Refit, _) => format!(" of {}", state.best_epoch),
            _ => String::new(),
        };
        self.bar.suspend(|| eprintln!("epoch {:>3}: loss {loss:.4}{validation}", state.epoch));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
