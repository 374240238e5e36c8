//! The bundle: manifest, item files, catalog. Every file is checked before it is used.

mod catalog;
mod hash;
mod item_file;
mod lift;
mod manifest;
mod neighbours;
mod open;
mod ranker;
mod reader;
mod rows;
mod safetensors;
#[cfg(test)]
pub(crate) mod testing;

pub use catalog::{Catalog, CatalogFile, by_number, is_whole};
#[cfg(feature = "wasm-core")]
pub(crate) use hash::sha256;
pub use hash::sha256_hex;
pub(crate) use hash::short_hash;
pub use item_file::ItemFile;
pub use lift::{BiasCodes, Lift, Lifted};
pub use manifest::{
    FEATURES, FORMAT_VERSION, Features, FileEntry, HISTORY_VECTORS, MAX_DIM, MAX_MANIFEST_BYTES, MAX_ROWS_PER_FILE, Manifest,
    NEIGHBOURS, RANKER, RatingRange, TrainedOn,
};
pub use neighbours::{NARROW_ROWS, NeighbourFile, NeighbourWeights, Neighbours};
pub use open::Graphs;
pub use ranker::{Calibration, FeatureFile, FeatureTables, Head, RankerSpec, Source};
pub use reader::{Bundle, BundleReader, DEFAULT_MAX_BYTES};
pub use rows::Rows;
