//! Raw input to numbers: the one encoder, used by the trainer and in the page.

mod columns;
mod encoding;
mod history;
mod text;
mod value;

pub use columns::{Column, Kind, Slots};
pub use encoding::{Encoding, EventType, History};
pub use history::EncodedHistory;
pub use text::words;
pub use value::{Fields, Value};
