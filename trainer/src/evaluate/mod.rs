//! Evaluates a bundle through the same `Recommender` that the page runs, and reports the figures beside those of
//! baselines.

mod bundle;
mod cost;
mod examples;
mod experiment;
mod exposure;
mod paired;
mod report;

pub(crate) use bundle::user_of;
pub use bundle::{Vectors, check_fits, measure_bundle, parts};
pub use cost::{Stopwatch, cpu_seconds, peak_mb};
pub use examples::{Example, ExampleItem, examples};
pub use experiment::Experiment;
pub use exposure::{BOOSTS, ExposurePoint, measure_exposure};
pub use paired::Paired;
pub use report::{Cell, Cost, DataSummary, Difference, FORETASTE, Report};
