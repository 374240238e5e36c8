//! Tables of events, items and users, read into one [`Dataset`].

mod dataset;

pub use dataset::{Column, Dataset, Event, Table};
