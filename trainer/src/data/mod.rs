//! Tables of events, items and users, read into one [`Dataset`].

mod columns;
mod dataset;
mod declared;
mod delimited;
mod digest;
mod fetch;
mod ids;
pub mod movielens;
mod notes;
mod place;
mod read;
mod rows;
pub mod synthetic;
mod write;

pub use dataset::{Column, Dataset, Event, Table};
pub use notes::{Notes, TableNotes};
pub use place::place_folder;
pub use read::{ReadOptions, inspect_folder, read_folder};
pub use write::write_slates;
