//! Evaluation of a bundle through the same `Recommender` that the page runs.

mod cost;
mod open;
mod report;
mod visitor;

pub use cost::{Stopwatch, cpu_seconds, peak_mb};
pub use open::open_bundle;
pub use report::{Cell, Cost, DataSummary, Difference, FORETASTE, Report, Values};
pub use visitor::{context_of, event_of};
