//! What the visitor did and was shown: kept events and the log. And which arm of an experiment the visitor is in.

mod event;
mod experiment;
mod feedback;
mod log;
mod store;

pub use event::Event;
pub use experiment::{Assignment, Experiment};
pub use feedback::{KnownSlates, answers, ignored};
pub use log::{EventLog, Impression, LogLine, Slot};
pub use store::Profile;
