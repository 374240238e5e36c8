//! Reads tables of events, items and users into one [`Dataset`], and gets data sets to read.

mod cell;
pub(crate) mod columnar;
mod columns;
mod dataset;
mod declared;
mod delimited;
mod digest;
mod events;
mod fetch;
mod ids;
mod jsonl;
mod long_vec;
mod meet;
pub mod movielens;
mod notes;
mod place;
mod prepared;
mod read;
mod rows;
pub mod synthetic;
mod visitor;
mod write;

pub use dataset::{Column, Dataset, DatasetEvent, Table};
pub(crate) use declared::type_of;
pub(crate) use digest::of as digest;
pub use events::Events;
pub use long_vec::LongVec;
pub use meet::{Cause, Met, shown};
pub use notes::{Notes, TableNotes};
pub use place::place_folder;
pub use prepared::write_tables;
pub use read::{ReadOptions, inspect_folder, read_folder};
pub use visitor::{context_of, event_of};
pub(crate) use write::csv_line;
pub use write::write_slates;
