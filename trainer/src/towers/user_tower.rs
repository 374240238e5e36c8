//! History and context to the user's vector.

use foretaste::EncodedQuery;
use foretaste::features::Encoding;

/// Parameters of the user tower.
pub struct UserTower {}

impl UserTower {
    /// The trainer's own forward pass of one query: the vector `[d]`. `vectors` are the rows of the history's items, newest first, `[len, d]`.
    pub fn forward_one(&self, _query: &EncodedQuery, _vectors: &[f32]) -> Vec<f32> {
        todo!()
    }

    /// The tower as ONNX. Inputs, L = `encoding.history.len`, C = `encoding.context_slots()`: `vectors` f32 [batch, L, d]; `types`, `values`,
    /// `gaps`, `runs` i64 [batch, L]; `mask` f32 [batch, L]; `context_slots` i64 [batch, C], `context_weights` f32 [batch, C].
    /// Output: `user` f32 [batch, d].
    pub fn onnx(&self, _encoding: &Encoding) -> Vec<u8> {
        todo!()
    }
}
