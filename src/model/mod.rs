//! Running a tower: one trait, given by tract natively and by an imported function in the page.

#[cfg(feature = "tract")]
mod tract;

#[cfg(feature = "tract")]
pub use tract::TractRuntime;

use crate::error::Result;

/// Which graph of the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    /// History and context to the user's vector.
    UserTower,
    /// Item id and columns to an item's vector and bias.
    ItemTower,
}

/// The lengths that the inputs of a bundle's graphs have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shapes {
    /// Dimensions d of a vector.
    pub dim: usize,
    /// Events L that the user tower reads.
    pub len: usize,
    /// Slots of the context.
    pub context: usize,
    /// Slots of an item.
    pub item: usize,
}

/// An input of a graph, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Tensor {
    /// 32-bit floats.
    F32(Vec<usize>, Vec<f32>),
    /// 64-bit integers.
    I64(Vec<usize>, Vec<i64>),
}

/// Runs a graph.
pub trait ModelRuntime {
    /// Runs `graph` on `inputs`, in the order of the graph's inputs; gives its outputs in order, row-major.
    ///
    /// # Errors
    /// `model` where the graph is refused or fails.
    fn run(&self, graph: Graph, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>>;
}
