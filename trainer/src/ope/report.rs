//! Everything that a log says about a policy.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Checks, Estimate, Estimator, Examined, Logged, Rejection, Shrinkage, checks, estimate, estimators, examination, slates,
};

/// What a log says about a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Number of slots in the log.
    pub rows: usize,
    /// Number of slates in the log.
    pub slates: usize,
    /// What the logged policy earned.
    pub logged: Earned,
    /// Estimates by name of the estimator; those that the log does not allow are absent.
    pub estimates: BTreeMap<&'static str, Estimate>,
    /// Whether the estimates can be trusted.
    pub checks: Checks,
    /// How often each slot is looked at, relative to the first.
    pub examination: Vec<Examined>,
    /// Results of rejection sampling, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
}

/// Mean rewards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Earned {
    /// Mean reward of a slot.
    pub slot: f64,
    /// Mean reward of a slate.
    pub slate: f64,
}

impl Report {
    /// Evaluates a log; it must have at least one row. Estimators of slates need slates of several slots, and
    /// estimators with a reward model need its predictions in every row. `seed` decides all draws.
    pub fn of(log: &[Logged], shrinkage: Shrinkage, seed: u64) -> Report {
        let modelled = log.iter().all(|row| row.model.is_some());
        let whole = slates(log).any(|slate| slate.len() > 1);
        let fits = |e: &dyn Estimator| (modelled || !e.needs_model()) && (whole || !e.of_slates());
        let all = estimators(shrinkage);
        let fitting = all.iter().map(AsRef::as_ref).filter(|e| fits(*e));
        let (rows, slates) = (log.len(), slates(log).count());
        let earned: f64 = log.iter().map(|row| row.reward).sum();
        let (estimates, infinite): (BTreeMap<_, _>, BTreeMap<_, _>) =
            fitting.map(|e| (e.name(), estimate(e, log, seed))).partition(|(_, found)| found.is_finite());
        let mut checks = checks(log);
        if !infinite.is_empty() {
            let names: Vec<&str> = infinite.into_keys().collect();
            checks.warnings.push(format!("weights are too large for a number: no estimate by {}", names.join(", ")));
        }
        Report {
            rows,
            slates,
            logged: Earned { slot: earned / rows as f64, slate: earned / slates as f64 },
            estimates,
            checks,
            examination: examination(log, seed),
            rejection: None,
        }
    }

    /// The estimates in the order of [`ESTIMATORS`](super::ESTIMATORS).
    pub fn in_order(&self) -> impl Iterator<Item = (&'static str, &Estimate)> {
        super::ESTIMATORS.iter().filter_map(|name| self.estimates.get_key_value(name)).map(|(name, found)| (*name, found))
    }
}
