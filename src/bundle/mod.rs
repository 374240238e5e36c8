//! The bundle: manifest, item files, catalog; everything is checked before anything is used.

mod catalog;
mod manifest;
mod reader;
mod rows;

pub use catalog::{Catalog, CatalogFile, by_number, is_whole};
pub(crate) use manifest::range;
pub use manifest::{FORMAT_VERSION, Features, FileEntry, INPUTS, MAX_DIM, MAX_ROWS_PER_FILE, Manifest, RatingRange, TrainedOn};
#[cfg(feature = "wasm-core")]
pub(crate) use reader::sha256;
pub use reader::{Bundle, BundleReader, DEFAULT_MAX_BYTES, sha256_hex};
#[cfg(test)]
pub(crate) use rows::tests::{rows as rows_for_tests, rows_with_counts};
pub use rows::{BiasCodes, ItemFile, Lift, Lifted, Rows};
