//! A/B tests: which arm of an experiment earned more, from logs that record the assignments.
//!
//! The unit of analysis is the unit of assignment: all intervals and tests treat units as independent draws, each in
//! one arm. Invariant: nothing before a unit's first assignment counts as an outcome, and nothing after it as a
//! covariate.

mod cuped;
mod report;
mod sample;
mod sample_ratio;
mod sequential;
mod units;
mod welch;

pub use cuped::{Cuped, cuped};
pub use report::{Arm, Comparison, Report, Setting, report};
pub use sample::Sample;
pub use sample_ratio::{SampleRatio, sample_ratio};
pub use sequential::{Sequential, sequential};
pub use units::{Unit, Units, experiments, units};
pub use welch::{Difference, welch};
