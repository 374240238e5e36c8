//! What a training leaves and an export reads.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use foretaste::bundle::{CatalogFile, TrainedOn};
use foretaste::features::Encoding;
use foretaste::golden::GoldenInput;
use serde::{Deserialize, Serialize};

use crate::towers::{ItemTower, UserTower};

/// Everything of a run but its numbers: `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunCard {
    /// Name of the data set.
    pub name: String,
    /// Licence of the data.
    pub licence: Option<String>,
    /// Dimensions of a vector.
    pub dim: usize,
    /// Every constant of the encoding.
    pub encoding: Encoding,
    /// The data and the split.
    pub trained_on: TrainedOn,
    /// Figures on the validation part.
    pub metrics: BTreeMap<String, f64>,
    /// Visitors whose slates become the golden rows.
    pub golden: Vec<GoldenInput>,
}

/// A finished training.
pub struct Run {
    /// Everything but the numbers.
    pub card: RunCard,
    /// Ids, titles and columns of all items, in row order.
    pub catalog: CatalogFile,
    /// The item tower.
    pub items: ItemTower,
    /// The user tower.
    pub user: UserTower,
}

impl Run {
    /// Reads the run in a folder.
    pub fn load(_folder: &Path) -> Result<Run> {
        bail!("not yet")
    }
}
