//! The encoder: it turns raw input into the numbers that the towers read. Training and the page run this same code.

mod aggregate;
mod columns;
mod encoding;
mod history;
mod keys;
mod state;
mod text;
mod value;
mod views;

pub use aggregate::Shares;
pub use columns::{Bag, ColumnEncoding, ColumnKind};
use encoding::MAX_HISTORY;
pub(crate) use encoding::check_columns;
pub use encoding::{Encoding, EventType, History, MAX_NAMES, TITLE};
pub use history::{EncodedHistory, RowEvent};
pub(crate) use keys::Keys;
pub use state::EncodedState;
pub(crate) use text::lowercase;
pub use text::words;
pub(crate) use value::shortest;
pub use value::{Fields, Value};
pub use views::{Measure, Over, View, Window};
