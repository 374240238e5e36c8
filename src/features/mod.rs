//! Raw input to numbers: the one encoder, used by the trainer and in the page.

mod columns;
mod encoding;
mod history;
mod query;
mod text;
mod value;

pub use columns::{Column, Kind, Slots};
pub use encoding::{Encoding, EventType, History, TITLE};
pub use history::EncodedHistory;
pub use query::{EncodedQuery, Query};
pub use text::words;
pub(crate) use value::shortest;
pub use value::{Fields, Value};
