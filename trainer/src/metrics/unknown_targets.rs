//! Targets that the trainer did not know.

use super::{Better, Formula, Metric};

/// The number of targets without an event before the bundle was frozen. No list can hold them, so they are misses.
pub const UNKNOWN_TARGETS: Metric = Metric {
    family: "unknown_targets",
    k: None,
    unit: "targets",
    better: Better::Neither,
    formula: Formula::AllLists(|lists| f64::from(lists.unknown_targets)),
};
