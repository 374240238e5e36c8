//! The bundle: manifest, item files, catalog; everything is checked before anything is used.

mod catalog;
mod hash;
mod manifest;
mod reader;
mod rows;

pub use catalog::{Catalog, CatalogFile, by_number, is_whole};
#[cfg(feature = "wasm-core")]
pub(crate) use hash::sha256;
pub use hash::sha256_hex;
pub(crate) use hash::short_hash;
pub use manifest::{FORMAT_VERSION, Features, FileEntry, INPUTS, MAX_DIM, MAX_ROWS_PER_FILE, Manifest, RatingRange, TrainedOn};
pub use reader::{Bundle, BundleReader, DEFAULT_MAX_BYTES};
#[cfg(test)]
pub(crate) use rows::tests::{rows as rows_for_tests, rows_with_counts};
pub use rows::{BiasCodes, ItemFile, Lift, Lifted, Rows};
