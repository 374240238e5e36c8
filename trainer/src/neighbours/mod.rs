//! Item-to-item neighbours: what those who had an item turn to, learnt by counting or in closed form.
//!
//! The towers generalise, neighbours memorise, and their scores are added (Cheng et al., Wide & deep learning for
//! recommender systems, 2016).

mod graph;
mod matrix;

pub use graph::{Graph, graph};
pub use matrix::Matrix;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::factors::Ease;

/// Entries that are kept of a row until it is known how many are shipped.
pub const MOST_ENTRIES: usize = 64;

/// How the weights between items are learnt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "family")]
pub enum Family {
    /// Counts of what follows what.
    Graph(Graph),
    /// EASE, whose order is none: its entries of largest absolute value, signed.
    Ease {
        /// λ, the weight of the ridge.
        lambda: f32,
    },
}

impl Family {
    /// Learns the weights between `items` items from histories of item rows, oldest first. A row has at most
    /// [`MOST_ENTRIES`]; the largest entry of a row is 1 on average.
    ///
    /// # Errors
    /// Too many items for EASE, whose matrix is dense.
    pub fn fit(&self, items: usize, histories: &[Vec<u32>]) -> Result<Matrix> {
        let matrix = match self {
            Family::Graph(settings) => graph(items, histories, settings),
            Family::Ease { lambda } => Matrix::of_dense(&Ease::weights(items, histories, *lambda)?, items),
        };
        Ok(matrix.scaled())
    }
}
