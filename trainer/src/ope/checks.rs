//! Can a log tell of this policy at all?

use serde::Serialize;

use super::Logged;

/// What weights say of a log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checks {
    /// (Σ w)² / Σ w²: as many rows of equal weight would say as much. Kong, A note on importance sampling using standardized weights, 1992.
    pub effective_sample_size: f64,
    /// Its share of the rows.
    pub effective_share: f64,
    /// Largest w.
    pub max_weight: f64,
    /// Mean w: 1, where the log was made by the propensities that it names and has all that the policy in question shows.
    pub mean_weight: f64,
    /// Standard error of the mean.
    pub mean_weight_error: f64,
    /// Smallest propensity.
    pub min_propensity: f64,
    /// Share of the rows that the policy in question would never show.
    pub no_overlap: f64,
    /// What to make of it; empty where nothing is wrong.
    pub warnings: Vec<String>,
}

/// Checks the rows of a log, one at least.
pub fn checks(log: &[Logged]) -> Checks {
    let n = log.len() as f64;
    let sum = |of: &dyn Fn(&Logged) -> f64| log.iter().map(of).sum::<f64>();
    let (weights, squares) = (sum(&Logged::weight), sum(&|row| row.weight() * row.weight()));
    let mean = weights / n;
    let effective = if squares > 0.0 { weights * weights / squares } else { 0.0 };
    let mut found = Checks {
        effective_sample_size: effective,
        effective_share: effective / n,
        max_weight: log.iter().map(Logged::weight).fold(0.0, f64::max),
        mean_weight: mean,
        mean_weight_error: ((squares / n - mean * mean).max(0.0) / n).sqrt(),
        min_propensity: log.iter().map(|row| row.propensity).fold(1.0, f64::min),
        no_overlap: sum(&|row| f64::from(u8::from(row.target == 0.0))) / n,
        warnings: Vec::new(),
    };
    if effective < 100.0 || found.effective_share < 0.01 {
        let text = format!("{effective:.0} rows of equal weight would say as much as these {n}: trust no estimate with weights");
        found.warnings.push(text);
    }
    if found.max_weight > 0.1 * weights && log.len() > 10 {
        found.warnings.push(format!("one row has a tenth of all weight ({:.1})", found.max_weight));
    }
    if (mean - 1.0).abs() > 4.0 * found.mean_weight_error.max(1e-9) {
        found.warnings.push(format!(
            "the mean weight is {mean:.3}, not 1: the propensities are not those of the log, or the policy shows what the log never does"
        ));
    }
    found
}
