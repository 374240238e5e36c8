//! Item id and columns to a vector and a bias.

use foretaste::bundle::CatalogFile;
use foretaste::features::Encoding;

/// Parameters of the item tower.
pub struct ItemTower {}

impl ItemTower {
    /// Vectors `[n, d]` and biases `[n]` of the catalog; row i has the id index i + 1 (0 stands for an unknown id).
    pub fn rows(&self, _encoding: &Encoding, _catalog: &CatalogFile) -> (Vec<f32>, Vec<f32>) {
        todo!()
    }

    /// The tower as ONNX. Inputs: `id` i64 [batch], `slots` i64 [batch, S], `weights` f32 [batch, S], S = `encoding.item_slots()`.
    /// Outputs: `vector` f32 [batch, d], `bias` f32 [batch].
    pub fn onnx(&self, _encoding: &Encoding) -> Vec<u8> {
        todo!()
    }
}
