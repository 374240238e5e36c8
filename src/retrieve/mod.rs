//! From scores to the best rows.

mod bitmap;
mod find;
mod top_k;

pub use bitmap::Bitmap;
pub use find::find;
pub use top_k::{precedes, top_k};
