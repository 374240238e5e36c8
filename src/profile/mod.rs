//! What the visitor did: events, history, log.

mod event;
mod feedback;
mod log;
mod store;

pub use event::Event;
pub use feedback::{answers, ignored};
pub use log::{EventLog, Impression, LogLine, Slot};
pub use store::Profile;
