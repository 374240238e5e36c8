//! Checks of whether a log can say anything about a policy.

use serde::Serialize;

use super::Logged;

/// What the weights w = target / propensity say about a log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checks {
    /// (Σ w)² / Σ w²: the number of rows of equal weight that would be as informative. Kong, A note on importance
    /// sampling using standardized weights, 1992.
    pub effective_sample_size: f64,
    /// The effective sample size divided by the number of rows.
    pub effective_share: f64,
    /// The largest w.
    pub max_weight: f64,
    /// The mean of w. It is 1 if the propensities are those of the log and the log shows everything that the evaluated
    /// policy shows.
    pub mean_weight: f64,
    /// Standard error of the mean of w.
    pub mean_weight_error: f64,
    /// The smallest propensity.
    pub min_propensity: f64,
    /// The share of rows whose item the evaluated policy would never show.
    pub no_overlap: f64,
    /// Warnings for people; empty if nothing is wrong.
    pub warnings: Vec<String>,
}

/// Checks the rows of a log; there must be at least one.
pub fn checks(log: &[Logged]) -> Checks {
    let n = log.len() as f64;
    let sum = |of: &dyn Fn(&Logged) -> f64| log.iter().map(of).sum::<f64>();
    let most = log.iter().map(Logged::weight).fold(0.0, f64::max);
    // Sums over w / `most`, because the square of a large w may be infinite.
    let scaled = |row: &Logged| if most > 0.0 { row.weight() / most } else { 0.0 };
    let (weights, squares) = (sum(&scaled), sum(&|row| scaled(row) * scaled(row)));
    let share = weights / n;
    let mean = most * share;
    let effective = if squares > 0.0 { weights * weights / squares } else { 0.0 };
    let mut found = Checks {
        effective_sample_size: effective,
        effective_share: effective / n,
        max_weight: most,
        mean_weight: mean,
        mean_weight_error: most * ((squares / n - share * share).max(0.0) / n).sqrt(),
        min_propensity: log.iter().map(|row| row.propensity).fold(1.0, f64::min),
        no_overlap: sum(&|row| f64::from(u8::from(row.target == 0.0))) / n,
        warnings: Vec::new(),
    };
    if effective < 100.0 || found.effective_share < 0.01 {
        let text = format!("{effective:.0} rows of equal weight would say as much as these {n}: trust no estimate with weights");
        found.warnings.push(text);
    }
    if most > 0.0 && 0.1 * weights < 1.0 && log.len() > 10 {
        found.warnings.push(format!("one row has a tenth of all weight ({:.1})", found.max_weight));
    }
    if (mean - 1.0).abs() > 4.0 * found.mean_weight_error.max(1e-9) {
        found.warnings.push(format!(
            "the mean weight is {mean:.3}, not 1: the propensities are not those of the log, or the policy shows what the log never does"
        ));
    }
    found
}
