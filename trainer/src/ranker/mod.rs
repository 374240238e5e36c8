//! The second stage: orders what retrieval found, by features of visitor, item and moment.

mod align;
mod calibration;
mod context;
mod fit;
mod importance;
mod loss;
mod network;
mod store;
mod tables;
mod values;
mod views;

pub use align::{rotation, turned};
pub use calibration::{Bin, calibrate, ece, probability, reliability};
pub use context::EventSlots;
pub use fit::{Group, HeadKind, Material, Settings};
pub use importance::{Importance, permuted, slots_of, suspicious};
pub use loss::RankerLoss;
pub use network::{Candidates, Network, Ranker, RankerShape};
pub use store::{StoreOutcome, stored_values, write_store};
pub use tables::{Counted, ItemTables};
pub use values::{FeatureValue, values_at};
pub use views::views_of;
