//! What the visitor did: events, history, log.

mod event;

pub use event::Event;
