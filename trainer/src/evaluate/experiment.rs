//! Figures of several models over folds and seeds, gathered into one report.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{BOOSTS, Cell, DataSummary, ExposurePoint, FORETASTE, Report, Stopwatch, peak_mb};
use crate::baselines;
use crate::data::Dataset;
use crate::measure::{Figures, Values, measure, measure_ratings};
use crate::protocols::{Protocol, Split};

/// Collects the figures of an experiment, fold by fold; the seeds of a fold are added together.
pub struct Experiment<'a> {
    data: &'a Dataset,
    protocol: Protocol,
    folds: Vec<u32>,
    seeds: Vec<u64>,
    /// By model: the figures of each fold.
    models: BTreeMap<String, Vec<Figures>>,
    /// By model without figures: why it has none.
    absent: BTreeMap<String, String>,
    /// By fold: our figures with unquantised vectors.
    float: Vec<Figures>,
    /// By fold: our figures with each of [`BOOSTS`].
    boosted: Vec<Vec<Figures>>,
    /// What each part of the work cost.
    cost: BTreeMap<&'static str, PartCost>,
}

/// What the runs of one part of the work cost together.
#[derive(Default)]
struct PartCost {
    wall_seconds: f64,
    cpu_seconds: f64,
    runs: u32,
}

impl<'a> Experiment<'a> {
    /// An experiment without figures.
    pub fn new(data: &'a Dataset, protocol: Protocol) -> Self {
        Experiment {
            data,
            protocol,
            folds: vec![],
            seeds: vec![],
            models: BTreeMap::new(),
            absent: BTreeMap::new(),
            float: vec![],
            boosted: vec![],
            cost: BTreeMap::new(),
        }
    }

    /// Whether no figures have been added.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// Runs a part of the work and adds what it cost.
    ///
    /// # Errors
    /// Those of `run`.
    pub fn timed<T>(&mut self, part: &'static str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let watch = Stopwatch::start();
        let result = run()?;
        let (wall, cpu) = watch.seconds();
        let cost = self.cost.entry(part).or_default();
        cost.wall_seconds += wall;
        cost.cpu_seconds += cpu;
        cost.runs += 1;
        Ok(result)
    }

    /// Adds our figures on a fold, one for each seed: of the shipped bundle, and with unquantised vectors.
    pub fn add_ours(&mut self, fold: Option<u32>, seeds: &[u64], shipped: &[Figures], float: &[Figures]) {
        self.folds.extend(fold);
        self.seeds = seeds.to_vec();
        self.add_part(FORETASTE, shipped);
        self.float.push(mean(float));
    }

    /// Adds the figures of a part of the bundle on a fold, one for each seed.
    pub fn add_part(&mut self, name: &str, figures: &[Figures]) {
        self.models.entry(name.into()).or_default().push(mean(figures));
    }

    /// Adds the results of [`super::measure_exposure`] on a fold, one for each seed.
    pub fn add_exposure(&mut self, seeds: &[Vec<Figures>]) {
        let points = seeds.iter().map(Vec::len).min().unwrap_or(0);
        let point = |i: usize| mean(&seeds.iter().map(|figures| figures[i].clone()).collect::<Vec<_>>());
        self.boosted.push((0..points).map(point).collect());
    }

    /// Fits the named baselines on a fold and adds their figures. One that diverges has figures of no fold; the report
    /// says so.
    ///
    /// # Errors
    /// Those of [`baselines::fit`]; a split that asks nobody.
    pub fn add_baselines(&mut self, names: &[String], split: &Split) -> Result<()> {
        let asked = split.asked()?;
        for name in names {
            if self.absent.contains_key(name) {
                continue;
            }
            let figures = if self.protocol == Protocol::P2 {
                let model = baselines::ratings::fit(name, self.data, split)?;
                measure_ratings(self.data, asked, |query| Ok(model.predict(query)))
            } else {
                let model = baselines::fit(name, self.data, split)?;
                measure(self.data, split, asked, |query| Ok(model.scores(query)))
            };
            match figures {
                Ok(figures) => self.models.entry(name.clone()).or_default().push(figures),
                Err(why) => {
                    self.models.remove(name);
                    self.absent.insert(name.clone(), format!("{why:#}"));
                }
            }
        }
        Ok(())
    }

    /// The report over all folds: means and intervals are over the queries of all folds together.
    pub fn report(&self) -> Report {
        let join = |folds: &[Figures], pick: fn(&Figures) -> &Values| {
            let mut values = Values::new();
            for figures in folds {
                pick(figures).iter().for_each(|(metric, v)| values.entry(metric.clone()).or_default().extend(v));
            }
            values
        };
        let joined = |folds: &[Figures]| join(folds, |figures| &figures.values);
        let cells = |values: Values| values.iter().map(|(name, v)| (name.clone(), Cell::of(v))).collect();
        let cost = |pick: fn(&PartCost) -> f64| {
            self.cost.iter().map(|(part, cost)| (*part, pick(cost) / f64::from(cost.runs))).collect()
        };
        let mut report = Report {
            data: DataSummary {
                name: self.data.name.clone(),
                sha256: self.data.sha256.clone(),
                users: self.data.users.len(),
                items: self.data.items.len(),
                events: self.data.events.len(),
            },
            protocol: self.protocol,
            folds: self.folds.clone(),
            seeds: self.seeds.clone(),
            models: BTreeMap::new(),
            absent: self.absent.clone(),
            goal: self.protocol.goal().name(),
            slices: self.models.iter().map(|(name, folds)| (name.clone(), cells(join(folds, |f| &f.slices)))).collect(),
            exposure: self
                .models
                .iter()
                .map(|(name, folds)| (name.clone(), mean_of(folds.iter().map(|f| &f.exposure))))
                .collect(),
            exposure_curve: self.exposure_curve(),
            paired: BTreeMap::new(),
            float: joined(&self.float).iter().map(|(metric, v)| (metric.clone(), Cell::of(v).mean)).collect(),
            seconds: cost(|c| c.wall_seconds),
            cpu_seconds: cost(|c| c.cpu_seconds),
            peak_mb: peak_mb(),
        };
        report.fill(&self.models.iter().map(|(name, folds)| (name.clone(), joined(folds))).collect());
        for (name, folds) in &self.models {
            let cells = report.models.get_mut(name).expect("filled above");
            for metric in folds[0].overall.keys() {
                let values: Vec<f64> = folds.iter().map(|f| f.overall[metric]).collect();
                cells.insert(metric.clone(), Cell::of(&values));
            }
        }
        report
    }

    fn exposure_curve(&self) -> Vec<ExposurePoint> {
        let goal = self.protocol.goal().name();
        let of = |(i, boost): (usize, f64)| {
            let folds: Vec<&Figures> = self.boosted.iter().filter_map(|points| points.get(i)).collect();
            (!folds.is_empty()).then(|| ExposurePoint::of(boost, &goal, &folds))
        };
        BOOSTS.into_iter().enumerate().filter_map(of).collect()
    }
}

/// The mean over seeds, query by query, so that the intervals of the report are over queries.
fn mean(figures: &[Figures]) -> Figures {
    let n = figures.len() as f64;
    let mut out = figures[0].clone();
    let average = |values: &mut Values, pick: fn(&Figures) -> &Values| {
        for (name, values) in values {
            for (i, value) in values.iter_mut().enumerate() {
                *value = figures.iter().map(|f| pick(f)[name][i]).sum::<f64>() / n;
            }
        }
    };
    average(&mut out.values, |f| &f.values);
    average(&mut out.slices, |f| &f.slices);
    out.overall = mean_of(figures.iter().map(|f| &f.overall));
    out.exposure = mean_of(figures.iter().map(|f| &f.exposure));
    out
}

/// The mean of each named figure, over the maps that have it.
fn mean_of<'a>(figures: impl Iterator<Item = &'a BTreeMap<String, f64>>) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, value) in figures.flatten() {
        let (sum, n) = sums.entry(name.clone()).or_default();
        (*sum, *n) = (*sum + value, *n + 1.0);
    }
    sums.into_iter().map(|(name, (sum, n))| (name, sum / n)).collect()
}
