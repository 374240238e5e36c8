//! The item tower and the user tower.

mod item_tower;
mod user_tower;

pub use item_tower::ItemTower;
pub use user_tower::UserTower;
