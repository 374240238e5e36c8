//! Tables of events, items and users, read into one [`Dataset`].

mod dataset;
mod read;
mod write;

pub use dataset::{Column, Dataset, Event, Table};
pub use read::{ReadOptions, read_folder};
pub use write::write_slates;
