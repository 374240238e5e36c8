//! Runs the graphs of a bundle. The one trait is implemented by tract natively, and by an imported function in a page.

pub mod signature;
mod tensor;
#[cfg(feature = "tract")]
mod tract;

pub use signature::Shapes;
pub use tensor::{Element, Tensor, TensorData};
#[cfg(feature = "tract")]
pub use tract::TractRuntime;

use self::signature::{ITEM_TOWER, RANKER, Signature, USER_TOWER};
use crate::error::Result;

/// A graph of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    /// Computes the visitor's vector from history and context.
    UserTower,
    /// Computes an item's vector and bias from its id and columns.
    ItemTower,
    /// Scores the candidates that retrieval has found.
    Ranker,
}

impl Graph {
    /// All graphs.
    pub const ALL: [Graph; 3] = [Graph::UserTower, Graph::ItemTower, Graph::Ranker];

    /// The name of the graph: the `role` of its file in the manifest, and its name in JavaScript.
    pub const fn name(self) -> &'static str {
        match self {
            Graph::UserTower => "user_tower",
            Graph::ItemTower => "item_tower",
            Graph::Ranker => "ranker",
        }
    }

    /// The batches that this crate runs, in ascending order: others are padded to one of them, because a runtime
    /// prepares a graph for a fixed batch.
    pub const fn batches(self) -> &'static [usize] {
        match self {
            Graph::UserTower | Graph::ItemTower => &[1],
            Graph::Ranker => &[1, 64, 256],
        }
    }

    /// Its inputs and outputs.
    pub const fn signature(self) -> &'static Signature {
        match self {
            Graph::UserTower => &USER_TOWER,
            Graph::ItemTower => &ITEM_TOWER,
            Graph::Ranker => &RANKER,
        }
    }

    /// The graph with this name, if there is one.
    pub fn named(name: &str) -> Option<Graph> {
        Graph::ALL.into_iter().find(|graph| graph.name() == name)
    }
}

/// Runs a graph.
pub trait ModelRuntime {
    /// Runs `graph` on the tensors of one batch, whose size is one of [`Graph::batches`], and returns the numbers of
    /// each output, row-major. Inputs and outputs are in the order of [`Graph::signature`].
    ///
    /// # Errors
    /// `no-model` if the graph is not loaded, `model` if the run fails.
    fn run(&self, graph: Graph, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>>;
}
