//! P2: rating prediction on the split of P1, as in the TensorFlow Recommenders tutorials.

use anyhow::{Result, ensure};

use super::{Protocol, ReportedMetric, Split, p1};
use crate::data::Dataset;
use crate::metrics::{MAE, RMSE};

/// The metric by which settings are chosen.
pub(super) const GOAL: ReportedMetric = ReportedMetric::of(RMSE).of_each_target();

/// The metrics that are reported.
pub(super) fn metrics() -> Vec<ReportedMetric> {
    vec![GOAL, ReportedMetric::of(MAE).of_each_target()]
}

/// Splits the events as P1 does; queries ask for the events that have a rating.
///
/// # Errors
/// No event has a rating.
pub(super) fn split(data: &Dataset, salt: u32) -> Result<Split> {
    ensure!(data.has_ratings(), "{}: p2 predicts ratings, and no event has one", data.name);
    Ok(p1::split(data, Protocol::P2, salt))
}
