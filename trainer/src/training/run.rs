//! The run: what a training writes and an export reads. It is a folder with `run.json`, `catalog.json` and
//! `towers.safetensors`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use foretaste::bundle::{CatalogFile, RankerSpec, RatingRange, TrainedOn};
use foretaste::features::{Encoding, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use super::{Config, Epoch, NeighbourSettings, RankerCard};
use crate::data::Dataset;
use crate::files::write_atomically;
use crate::neighbours::Matrix;
use crate::ranker::Ranker;
use crate::towers::{CatalogRows, ItemTower, Parameter, Scales, UserShape, UserTower, encode_catalog};

const CARD: &str = "run.json";
const CATALOG: &str = "catalog.json";
const TOWERS: &str = "towers.safetensors";
/// Name of the tensor with the training events of each item.
const COUNTS: &str = "counts";
/// Names of the tensors of the neighbours: how many each row has, their rows, their weights.
const NEIGHBOURS: [&str; 3] = ["neighbours.counts", "neighbours.rows", "neighbours.weights"];

/// Name of the tensor that turns vectors into those that the ranker learnt from.
const ROTATION: &str = "ranker.rotation";
/// Before the name of a view, the name of the tensor with its values of all items.
const VALUES: &str = "ranker.values.";

/// Everything of a run but its numbers and its catalog: `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunCard {
    /// Name of the data set.
    pub name: String,
    /// Licence of the data.
    pub licence: Option<String>,
    /// Settings of the training.
    pub config: Config,
    /// All constants of the encoding.
    pub encoding: Encoding,
    /// The scales of vector columns. They are part of the graphs.
    #[serde(default, skip_serializing_if = "Scales::is_empty")]
    pub scales: Scales,
    /// Data, split and seed.
    pub trained_on: TrainedOn,
    /// Least and greatest rating, if the user tower predicts ratings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratings: Option<RatingRange>,
    /// How the neighbours are learnt and count, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<NeighbourSettings>,
    /// The ranker, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerCard>,
    /// Figures on the validation part, by name.
    pub metrics: BTreeMap<String, f64>,
    /// The model card's text: what the run was trained on, and what its figures do not say.
    #[serde(default)]
    pub limits: String,
    /// The training curve: every epoch of both phases.
    #[serde(default)]
    pub curve: Vec<Epoch>,
    /// Git revision of the folder in which the training was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A finished training.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Settings, encoding and figures.
    pub card: RunCard,
    /// Ids, titles and columns of all items, in row order.
    pub catalog: CatalogFile,
    /// The item tower.
    pub items: ItemTower,
    /// The user tower.
    pub user: UserTower,
    /// Weights between items, if there are neighbours.
    pub neighbours: Option<Matrix>,
    /// The second stage, if there is one.
    pub ranker: Option<RunRanker>,
    /// Training events of each item, in row order.
    pub counts: Vec<f32>,
}

/// A ranker of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRanker {
    /// Inputs, views and calibration.
    pub card: RankerCard,
    /// The network.
    pub ranker: Ranker,
    /// Turns the vectors of visitors and items into those that it learnt from: `[d, d]`.
    pub rotation: Vec<f32>,
    /// Of each view of items, in their order, the value of each item, or its values for each value of the column of the
    /// context that it is counted by; NaN where one is missing.
    pub values: Vec<Vec<f32>>,
}

impl RunRanker {
    /// The views of items.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        views(&self.card)
    }
}

fn views(card: &RankerCard) -> impl Iterator<Item = &View> {
    card.spec.views.iter().filter(|view| !view.is_of_user())
}

impl Run {
    /// Reads a run from its folder.
    ///
    /// # Errors
    /// The folder has no finished training, or its files do not fit one another.
    pub fn load(folder: &Path) -> Result<Run> {
        ensure!(folder.join(CARD).is_file(), "{}: there is no finished training (no {CARD})", folder.display());
        let card: RunCard = read_json(&folder.join(CARD))?;
        let catalog: CatalogFile = read_json(&folder.join(CATALOG))?;
        let (dim, encoding) = (card.config.dim, &card.encoding);
        let mut items = ItemTower::zeros(dim, catalog.ids.len(), encoding.item_width(), card.config.untied);
        let encoder = card.config.encoder.with_context(|| format!("{}: no encoder", folder.join(CARD).display()))?;
        let mut user = UserTower::zeros(UserShape::of(encoding, encoder, dim, card.config.hidden, card.ratings.is_some()));
        let numbers = Numbers::read(&folder.join(TOWERS))?;
        for (prefix, layout, flat) in [("item", &items.layout, &mut items.numbers), ("user", &user.layout, &mut user.numbers)] {
            copy(&numbers, prefix, layout, flat)?;
        }
        let neighbours = card.neighbours.is_some().then(|| neighbours(&numbers, catalog.ids.len())).transpose()?;
        let ranker = card.ranker.as_ref().map(|card| ranker(&numbers, card, encoding, catalog.ids.len())).transpose()?;
        let mut counts = vec![0.0; catalog.ids.len()];
        numbers.copy_to(COUNTS, &mut counts)?;
        Ok(Run { card, catalog, items, user, neighbours, ranker, counts })
    }

    /// The item vectors of the catalog, in row order.
    pub fn rows(&self) -> CatalogRows {
        self.items.rows(&encode_catalog(&self.card.encoding, &self.card.scales, &self.catalog))
    }

    /// Writes the run and returns the path of `run.json`, which is written last: a folder that has it is whole.
    ///
    /// # Errors
    /// A folder that does not exist or cannot be written.
    pub(crate) fn save(&self, folder: &Path) -> Result<PathBuf> {
        let mut numbers = Numbers::default();
        let ranker = self.ranker.as_ref().map(|r| ("ranker", &r.ranker.layout, &r.ranker.numbers));
        let towers = [("item", &self.items.layout, &self.items.numbers), ("user", &self.user.layout, &self.user.numbers)];
        for (prefix, layout, flat) in towers.into_iter().chain(ranker) {
            let mut rest = flat.as_slice();
            for tensor in layout {
                let (own, after) = rest.split_at(tensor.len());
                numbers.add(format!("{prefix}.{}", tensor.name), &tensor.shape, own);
                rest = after;
            }
        }
        if let Some(Matrix { rows }) = &self.neighbours {
            let counts: Vec<f32> = rows.iter().map(|row| row.len() as f32).collect();
            let (columns, weights): (Vec<f32>, Vec<f32>) =
                rows.iter().flatten().map(|(row, weight)| (*row as f32, *weight)).unzip();
            for (name, list) in NEIGHBOURS.into_iter().zip([counts, columns, weights]) {
                numbers.add(name, &[list.len()], &list);
            }
        }
        if let Some(ranker) = &self.ranker {
            numbers.add(ROTATION, &[ranker.rotation.len()], &ranker.rotation);
            for (view, values) in ranker.views().zip(&ranker.values) {
                numbers.add(format!("{VALUES}{}", view.name), &[values.len()], values);
            }
        }
        numbers.add(COUNTS, &[self.counts.len()], &self.counts);
        numbers.write(&folder.join(TOWERS), None)?;
        write_atomically(&folder.join(CATALOG), &serde_json::to_vec(&self.catalog)?)?;
        let card = folder.join(CARD);
        write_atomically(&card, &serde_json::to_vec_pretty(&self.card)?)?;
        Ok(card)
    }
}

/// Copies the parameters of one network.
fn copy(numbers: &Numbers, prefix: &str, layout: &[Parameter], mut flat: &mut [f32]) -> Result<()> {
    for tensor in layout {
        let own = flat.split_off_mut(..tensor.len()).context("the numbers are fewer than the layout says")?;
        numbers.copy_to(&format!("{prefix}.{}", tensor.name), own)?;
    }
    Ok(())
}

fn ranker(numbers: &Numbers, card: &RankerCard, encoding: &Encoding, items: usize) -> Result<RunRanker> {
    let (mut ranker, mut rotation) = (Ranker::zeros(card.shape), vec![0.0; card.shape.dim * card.shape.dim]);
    copy(numbers, "ranker", &ranker.layout, &mut ranker.numbers)?;
    numbers.copy_to(ROTATION, &mut rotation)?;
    let of = |view: &View| {
        let mut values = vec![0.0; items * RankerSpec::values(view, encoding).unwrap_or(0)];
        numbers.copy_to(&format!("{VALUES}{}", view.name), &mut values)?;
        Ok(values)
    };
    let values = views(card).map(of).collect::<Result<_>>()?;
    Ok(RunRanker { card: card.clone(), ranker, rotation, values })
}

/// The weights between `items` items. Whole numbers up to 2²⁴ are exact as f32; larger catalogs have no neighbours.
fn neighbours(numbers: &Numbers, items: usize) -> Result<Matrix> {
    let mut counts = vec![0.0; items];
    numbers.copy_to(NEIGHBOURS[0], &mut counts)?;
    let count: usize = counts.iter().map(|n| *n as usize).sum();
    let (mut columns, mut weights) = (vec![0.0; count], vec![0.0; count]);
    numbers.copy_to(NEIGHBOURS[1], &mut columns)?;
    numbers.copy_to(NEIGHBOURS[2], &mut weights)?;
    let mut entries = columns.into_iter().map(|row| row as u32).zip(weights);
    Ok(Matrix { rows: counts.into_iter().map(|n| entries.by_ref().take(n as usize).collect()).collect() })
}

/// The catalog of a data set: ids, titles and all other columns of every item, in row order.
pub fn catalog_of(data: &Dataset) -> CatalogFile {
    let columns = data.item_table.columns.iter().filter(|c| c.name != foretaste::features::TITLE);
    CatalogFile {
        ids: data.items.clone(),
        titles: data.titles.clone(),
        columns: columns.map(|c| (c.name.clone(), c.values.clone())).collect(),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{}", path.display()))
}
