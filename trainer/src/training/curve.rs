//! The training curve: loss and validation figure of each epoch.

use serde::{Deserialize, Serialize};

/// A phase of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Trains on the train part while validation chooses the number of epochs.
    Search,
    /// Trains again on the train and validation parts, for the chosen number of epochs.
    Refit,
}

impl Phase {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Search => "search",
            Phase::Refit => "refit",
        }
    }
}

/// One epoch of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// The phase that the epoch belongs to.
    pub phase: Phase,
    /// Number of the epoch in its phase, from 1.
    pub epoch: u32,
    /// Steps of the phase up to the end of the epoch.
    pub steps: u64,
    /// Mean loss of the epoch's steps, in nats.
    pub loss: f64,
    /// The validation figure after the epoch, if the phase has validation.
    pub valid: Option<f64>,
    /// Half the width of the figure's 95 % interval over the queries.
    #[serde(default)]
    pub valid_half: Option<f64>,
}
