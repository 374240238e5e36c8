//! What a training leaves and an export reads: the folder RUN with `run.json`, `catalog.json` and `towers.safetensors`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use foretaste::bundle::{CatalogFile, RatingRange, TrainedOn};
use foretaste::features::Encoding;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use super::{Config, Epoch};
use crate::data::Dataset;
use crate::files::write_atomically;
use crate::towers::{CatalogRows, ItemTower, Linear, UserShape, UserTower, encode_catalog};

const CARD: &str = "run.json";
const CATALOG: &str = "catalog.json";
const TOWERS: &str = "towers.safetensors";
/// The tensor of the training events.
const COUNTS: &str = "counts";
/// Those of the linear model.
const LINEAR: [&str; 2] = ["linear.inputs", "linear.rows"];

/// Everything of a run but its numbers: `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunCard {
    /// Name of the data set.
    pub name: String,
    /// Licence of the data.
    pub licence: Option<String>,
    /// Settings.
    pub config: Config,
    /// Every constant of the encoding.
    pub encoding: Encoding,
    /// The data and the split.
    pub trained_on: TrainedOn,
    /// Least and greatest rating, where the user tower predicts ratings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratings: Option<RatingRange>,
    /// Figures on the validation part.
    pub metrics: BTreeMap<String, f64>,
    /// What it was learnt from, and what the figures do not say.
    #[serde(default)]
    pub limits: String,
    /// How it went.
    #[serde(default)]
    pub curve: Vec<Epoch>,
    /// Git revision of the folder that it was started in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A finished training.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Everything but the numbers.
    pub card: RunCard,
    /// Ids, titles and columns of all items, in row order.
    pub catalog: CatalogFile,
    /// The item tower.
    pub items: ItemTower,
    /// The user tower.
    pub user: UserTower,
    /// A linear model beside them, where the settings ask for one.
    pub linear: Option<Linear>,
    /// Training events of each item, in row order.
    pub counts: Vec<f32>,
}

impl Run {
    /// Reads the run in a folder.
    ///
    /// # Errors
    /// No finished training there, or files that do not fit one another.
    pub fn load(folder: &Path) -> Result<Run> {
        ensure!(folder.join(CARD).is_file(), "{}: no finished training there (no {CARD})", folder.display());
        let card: RunCard = read_json(&folder.join(CARD))?;
        let catalog: CatalogFile = read_json(&folder.join(CATALOG))?;
        let (dim, encoding) = (card.config.dim, &card.encoding);
        let mut items = ItemTower::zeros(dim, catalog.ids.len(), encoding.item_width(), card.config.untied);
        let mut user =
            UserTower::zeros(UserShape::of(encoding, card.config.encoder, dim, card.config.hidden, card.ratings.is_some()));
        let numbers = Numbers::read(&folder.join(TOWERS))?;
        for (prefix, layout, flat) in [("item", &items.layout, &mut items.numbers), ("user", &user.layout, &mut user.numbers)] {
            let mut at = 0;
            for tensor in layout {
                numbers.copy_to(&format!("{prefix}.{}", tensor.name), &mut flat[at..at + tensor.len()])?;
                at += tensor.len();
            }
        }
        let mut linear = (card.config.linear > 0).then(|| Linear::zeros(card.config.linear, catalog.ids.len()));
        if let Some(linear) = &mut linear {
            numbers.copy_to(LINEAR[0], &mut linear.inputs)?;
            numbers.copy_to(LINEAR[1], &mut linear.rows)?;
        }
        let mut counts = vec![0.0; catalog.ids.len()];
        numbers.copy_to(COUNTS, &mut counts)?;
        Ok(Run { card, catalog, items, user, linear, counts })
    }

    /// The rows of the catalog, those of the linear model beside the tower's.
    pub fn rows(&self) -> CatalogRows {
        let rows = self.items.rows(&encode_catalog(&self.card.encoding, &self.catalog));
        match &self.linear {
            Some(linear) => linear.beside(rows),
            None => rows,
        }
    }

    /// Writes the run; `run.json` comes last, so a folder that has it is whole. Gives its path.
    ///
    /// # Errors
    /// A folder that is not there or cannot be written.
    pub(crate) fn save(&self, folder: &Path) -> Result<PathBuf> {
        let mut numbers = Numbers::default();
        for (prefix, layout, flat) in
            [("item", &self.items.layout, &self.items.numbers), ("user", &self.user.layout, &self.user.numbers)]
        {
            let mut rest = flat.as_slice();
            for tensor in layout {
                let (own, after) = rest.split_at(tensor.len());
                numbers.add(format!("{prefix}.{}", tensor.name), &tensor.shape, own);
                rest = after;
            }
        }
        if let Some(Linear { dim, inputs, rows }) = &self.linear {
            for (name, list) in LINEAR.into_iter().zip([inputs, rows]) {
                numbers.add(name, &[list.len() / dim, *dim], list);
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

/// The catalog file of a data set: every item, titles apart.
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
