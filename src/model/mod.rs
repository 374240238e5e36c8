//! Runs the graphs of a bundle. The one trait is implemented by tract natively, and by an imported function in a page.

pub mod signature;
mod tensor;
#[cfg(feature = "tract")]
mod tract;

pub use signature::Shapes;
pub use tensor::{Element, Tensor, TensorData};
#[cfg(feature = "tract")]
pub use tract::TractRuntime;

use self::signature::{ITEM_TOWER, Signature, USER_TOWER};
use crate::error::Result;

/// A graph of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    /// Computes the visitor's vector from history and context.
    UserTower,
    /// Computes an item's vector and bias from its id and columns.
    ItemTower,
}

impl Graph {
    /// All graphs.
    pub const ALL: [Graph; 2] = [Graph::UserTower, Graph::ItemTower];

    /// The name of the graph: the `role` of its file in the manifest, and its name in JavaScript.
    pub const fn name(self) -> &'static str {
        match self {
            Graph::UserTower => "user_tower",
            Graph::ItemTower => "item_tower",
        }
    }

    /// Its inputs and outputs.
    pub const fn signature(self) -> &'static Signature {
        match self {
            Graph::UserTower => &USER_TOWER,
            Graph::ItemTower => &ITEM_TOWER,
        }
    }

    /// The graph with this name, if there is one.
    pub fn named(name: &str) -> Option<Graph> {
        Graph::ALL.into_iter().find(|graph| graph.name() == name)
    }
}

/// Runs a graph.
pub trait ModelRuntime {
    /// Runs `graph` on the tensors of one request and returns the numbers of each output, row-major. Inputs and outputs
    /// are in the order of [`Graph::signature`].
    ///
    /// # Errors
    /// `no-model` if the graph is not loaded, `model` if the run fails.
    fn run(&self, graph: Graph, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>>;
}
