//! The allowed rows, their scores, and the best of them; similar items; items by title.

mod bitmap;
mod find;
mod score;
mod search;
mod similar;
mod sums;
mod top_k;

pub use bitmap::Bitmap;
pub use find::find;
pub use score::Scorer;
pub use search::{Effort, check_vector, merged, search, search_part};
pub use similar::similar;
pub use sums::Sums;
pub use top_k::{TopK, precedes, top_k};
