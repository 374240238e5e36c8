//! The item tower and the user tower.
