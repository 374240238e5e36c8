//! Figures of several models over the same queries: means, intervals and paired differences, as JSON and as a table.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ExposurePoint;
use crate::measure::Values;
use crate::metrics::Metric;
use crate::protocols::Protocol;

/// Mean of a metric over queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cell {
    /// Mean.
    pub mean: f64,
    /// Standard deviation over queries (n − 1).
    pub sd: f64,
    /// 95 % interval of the mean by the normal approximation, mean ± 1.96 sd/√n, cut to the values' range.
    pub ci95: [f64; 2],
    /// Queries.
    pub n: usize,
}

/// Mean difference of two models over the same queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of first − second.
    pub diff: f64,
    /// 95 % interval, paired by query: diff ± 1.96 sd/√n.
    pub ci95: [f64; 2],
}

impl Cell {
    /// Summary of the values; all zero for none.
    pub fn of(values: &[f64]) -> Cell {
        let (mean, sd) = mean_sd(values);
        let half = half_width(sd, values.len());
        let (low, high) = values.iter().fold((mean, mean), |(low, high), v| (low.min(*v), high.max(*v)));
        Cell { mean, sd, ci95: [(mean - half).max(low), (mean + half).min(high)], n: values.len() }
    }
}

impl Difference {
    /// Of two models' values of one metric, paired by position.
    pub fn of(first: &[f64], second: &[f64]) -> Difference {
        let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
        let (diff, sd) = mean_sd(&differences);
        let half = half_width(sd, differences.len());
        Difference { diff, ci95: [diff - half, diff + half] }
    }
}

fn mean_sd(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (0.0, 0.0);
    }
    // Adding 0 turns −0 into 0.
    let mean = values.iter().sum::<f64>() / n + 0.0;
    let squares = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
    (mean, if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 })
}

fn half_width(sd: f64, n: usize) -> f64 {
    if n == 0 { 0.0 } else { 1.96 * sd / (n as f64).sqrt() }
}

/// The data that was evaluated on.
#[derive(Debug, Clone, Serialize)]
pub struct DataSummary {
    /// Name of the data set.
    pub name: String,
    /// SHA-256 of the content.
    pub sha256: String,
    /// Users with events.
    pub users: usize,
    /// Items of the catalog.
    pub items: usize,
    /// Events.
    pub events: usize,
}

/// Cost by part (`train`, `export`, `evaluate`); a part that was not run is absent.
pub type Cost = BTreeMap<&'static str, f64>;

/// The JSON that `evaluate` and `experiment` write.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The data.
    pub data: DataSummary,
    /// The protocol.
    pub protocol: Protocol,
    /// Folds of P4, salts of P1.
    pub folds: Vec<u32>,
    /// Seeds of the training.
    pub seeds: Vec<u64>,
    /// Figures by model and metric.
    pub models: BTreeMap<String, BTreeMap<String, Cell>>,
    /// Models that have no figures, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, String>,
    /// The protocol's goal: the metric by which settings are chosen.
    pub goal: String,
    /// The goal by model and group of users.
    pub slices: BTreeMap<String, BTreeMap<String, Cell>>,
    /// Share of the top ten of all lists by model and group of items.
    pub exposure: BTreeMap<String, BTreeMap<String, f64>>,
    /// What more exposure of rare items costs, in ascending order of the boost; empty if it was not measured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exposure_curve: Vec<ExposurePoint>,
    /// `foretaste - OTHER` by metric.
    pub paired: BTreeMap<String, BTreeMap<String, Difference>>,
    /// Means of the unquantised vectors; empty if they were not measured.
    pub float: BTreeMap<String, f64>,
    /// Mean wall seconds of one fold and seed.
    pub seconds: Cost,
    /// Mean CPU seconds of one fold and seed.
    pub cpu_seconds: Cost,
    /// Largest resident memory of the process, MB.
    pub peak_mb: f64,
}

/// Name of our own model in reports.
pub const FORETASTE: &str = "foretaste";

impl Report {
    /// Fills in the summaries and paired differences of the models' values.
    pub fn fill(&mut self, models: &BTreeMap<String, Values>) {
        let cells = |values: &Values| values.iter().map(|(metric, v)| (metric.clone(), Cell::of(v))).collect();
        self.models = models.iter().map(|(name, values)| (name.clone(), cells(values))).collect();
        let Some(ours) = models.get(FORETASTE) else { return };
        for (name, values) in models.iter().filter(|(name, _)| *name != FORETASTE) {
            let shared = ours.iter().filter_map(|(metric, v)| Some((metric.clone(), Difference::of(v, values.get(metric)?))));
            self.paired.insert(format!("{FORETASTE} - {name}"), shared.collect());
        }
    }

    /// The metric that the report calls `name`; `None` if the protocol has none of that name.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        self.protocol.metric(name)
    }

    /// Whether one value of a metric is better than another.
    pub fn is_better(&self, metric: &str, value: f64, other: f64) -> bool {
        self.metric(metric).is_some_and(|metric| metric.better.is_better(value, other))
    }

    /// The table for the terminal: one metric a line, each mean with half the width of its interval. With `colour`,
    /// values better than ours are red.
    pub fn table(&self, colour: bool) -> String {
        let metrics: BTreeSet<&String> = self.models.values().flat_map(|m| m.keys()).collect();
        let mut models: Vec<&String> = self.models.keys().collect();
        models.sort_by_key(|name| (*name != FORETASTE, (*name).clone()));
        let mut out = format!("{:<16}", self.protocol.name());
        models.iter().for_each(|name| out.push_str(&format!("{name:>19}")));
        for metric in metrics {
            out.push_str(&format!("\n{metric:<16}"));
            for cells in models.iter().map(|name| &self.models[*name]) {
                let cell = cells.get(metric).map(|c| format!("{:.4} ±{:.4}", c.mean, (c.ci95[1] - c.ci95[0]) / 2.0));
                let cell = format!("{:>19}", cell.unwrap_or_default());
                let ours = self.models.get(FORETASTE).and_then(|cells| cells.get(metric));
                let beaten =
                    cells.get(metric).zip(ours).is_some_and(|(other, ours)| self.is_better(metric, other.mean, ours.mean));
                out.push_str(&if colour && beaten { format!("\x1b[31m{cell}\x1b[0m") } else { cell });
            }
        }
        out.push('\n');
        self.absent.iter().for_each(|(name, why)| out.push_str(&format!("{name}: no figures: {why}\n")));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let cell = Cell::of(&[0.0, 1.0, 1.0, 0.0]);
        assert_eq!((cell.mean, cell.n), (0.5, 4));
        assert!((cell.sd - (1.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(cell.ci95, [0.0, 1.0]);
        let d = Difference::of(&[1.0, 2.0, 3.0], &[0.0, 2.0, 1.0]);
        assert_eq!(d.diff, 1.0);
        assert!((d.ci95[1] - (1.0 + 1.96 / 3.0f64.sqrt())).abs() < 1e-12);
        let mut report = Report {
            data: DataSummary { name: "d".into(), sha256: String::new(), users: 0, items: 0, events: 0 },
            protocol: Protocol::P2,
            folds: vec![],
            seeds: vec![],
            models: BTreeMap::new(),
            absent: BTreeMap::new(),
            goal: "rmse".into(),
            slices: BTreeMap::new(),
            exposure: BTreeMap::new(),
            exposure_curve: vec![],
            paired: BTreeMap::new(),
            float: BTreeMap::new(),
            seconds: BTreeMap::new(),
            cpu_seconds: BTreeMap::new(),
            peak_mb: 0.0,
        };
        assert!(!report.table(false).contains("no figures") && !serde_json::to_string(&report).unwrap().contains("absent"));
        report.absent.insert("svd".into(), "it has diverged".into());
        assert!(report.table(false).ends_with("svd: no figures: it has diverged\n"));
        assert_eq!(Cell::of(&[]), Cell { mean: 0.0, sd: 0.0, ci95: [0.0, 0.0], n: 0 });
    }
}
