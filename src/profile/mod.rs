//! What the visitor did: events, history, log; and which arm of an experiment the visitor is in.

mod event;
mod experiment;
mod feedback;
mod log;
mod store;

pub use event::Event;
pub use experiment::{Assignment, arm};
pub use feedback::{answers, ignored};
pub use log::{EventLog, Impression, LogLine, Slot};
pub use store::Profile;
