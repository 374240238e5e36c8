//! All that a log tells of a policy.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Checks, Estimate, Estimator, Examined, Logged, Rejection, Shrinkage, checks, estimate, estimators, examination, slates,
};

/// What a log tells of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Slots of the log.
    pub rows: usize,
    /// Its slates.
    pub slates: usize,
    /// What they earned.
    pub logged: Earned,
    /// By name: those that the log allows.
    pub estimates: BTreeMap<&'static str, Estimate>,
    /// Whether to trust them.
    pub checks: Checks,
    /// How far each slot is looked at, beside the first.
    pub examination: Vec<Examined>,
    /// Stays of the policy's own, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
}

/// Means of what was earned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Earned {
    /// A slot.
    pub slot: f64,
    /// A slate.
    pub slate: f64,
}

impl Report {
    /// Of a log, one row at least. Estimators of slates need slates of several slots, those with a model of rewards need it in all rows.
    pub fn of(log: &[Logged], shrinkage: Shrinkage, seed: u64) -> Report {
        let modelled = log.iter().all(|row| row.model.is_some());
        let slots = log.iter().map(|row| row.slot + 1).max().unwrap_or(1);
        let whole = slates(log).any(|slate| slate.len() > 1);
        let fits = |e: &dyn Estimator| (modelled || !e.needs_model()) && (whole || !e.of_slates());
        let all = estimators(shrinkage, slots);
        let fitting = all.iter().map(AsRef::as_ref).filter(|e| fits(*e));
        let (rows, slates) = (log.len(), slates(log).count());
        let earned: f64 = log.iter().map(|row| row.reward).sum();
        Report {
            rows,
            slates,
            logged: Earned { slot: earned / rows as f64, slate: earned / slates as f64 },
            estimates: fitting.map(|e| (e.name(), estimate(e, log, seed))).collect(),
            checks: checks(log),
            examination: examination(log, seed),
            rejection: None,
        }
    }

    /// The estimates in the order of [`ESTIMATORS`](super::ESTIMATORS).
    pub fn in_order(&self) -> impl Iterator<Item = (&'static str, &Estimate)> {
        super::ESTIMATORS.iter().filter_map(|name| self.estimates.get_key_value(name)).map(|(name, found)| (*name, found))
    }
}
