//! A/B tests: which arm of an experiment earned more, told from logs with assignments.
//!
//! The unit of analysis is the unit of the assignment; all intervals and tests take units as independent draws, each in one arm. Invariant: what
//! happened before a unit's first assignment is no outcome, and what happened after it is no covariate.

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
