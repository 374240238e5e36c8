//! The item tower and the user tower.

mod encoders;
mod item_tower;
mod params;
mod rating_head;
mod scale;
mod user_tower;

pub use encoders::{Encoder, HEADS};
pub use item_tower::{CatalogRows, ItemTower, encode_catalog};
pub use params::{Parameter, fill_normal, split, split_mut, total};
pub use scale::{Scales, SlotScale, VectorScale};
pub use user_tower::{Activations, UserInput, UserShape, UserTower, event_indices};
