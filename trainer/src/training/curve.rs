//! How a training went, epoch by epoch.

use serde::{Deserialize, Serialize};

/// Part of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Validation chooses the number of epochs.
    Search,
    /// Train and validation, that number of epochs.
    Refit,
}

impl Phase {
    /// Name in files.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Search => "search",
            Phase::Refit => "refit",
        }
    }
}

/// An epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The part that it belongs to.
    pub phase: Phase,
    /// From 1 on in each part.
    pub epoch: u32,
    /// Steps so far in the part.
    pub steps: u64,
    /// Mean loss of its steps.
    pub loss: f64,
    /// The figure on validation after it, where there is one.
    pub valid: Option<f64>,
    /// Half of its 95 % interval over the queries.
    #[serde(default)]
    pub valid_half: Option<f64>,
}
