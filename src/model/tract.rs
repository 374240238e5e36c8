//! tract: the only file that names it.

use super::{Graph, ModelRuntime, Tensor};
use crate::bundle::Manifest;
use crate::error::{ErrorKind, Result};

/// The graphs of a bundle, ready to run.
pub struct TractRuntime {}

impl TractRuntime {
    /// Loads the graphs; the manifest gives the shapes.
    ///
    /// # Errors
    /// `limit` or `model` for a graph that is refused.
    pub fn new(_user_tower: &[u8], _item_tower: Option<&[u8]>, _manifest: &Manifest) -> Result<TractRuntime> {
        Err(ErrorKind::NoModel.at("user_tower"))
    }
}

impl ModelRuntime for TractRuntime {
    fn run(&self, _graph: Graph, _inputs: &[Tensor]) -> Result<Vec<Vec<f32>>> {
        Err(ErrorKind::NoModel.at("user_tower"))
    }
}
