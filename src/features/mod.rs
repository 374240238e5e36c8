//! Raw input to numbers: the one encoder, used by the trainer and in the page.

mod columns;
mod encoding;
mod history;
mod state;
mod text;
mod value;

pub use columns::{Bag, ColumnEncoding, ColumnKind};
pub use encoding::{Encoding, EventType, History, TITLE};
pub use history::{EncodedHistory, RowEvent};
pub use state::EncodedState;
pub use text::words;
pub(crate) use value::shortest;
pub use value::{Fields, Value};
