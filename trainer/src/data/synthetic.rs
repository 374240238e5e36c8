//! Generated events with a known ground truth.

use anyhow::{Result, bail};
use std::path::Path;
/// Terms of use.
pub const LICENCE: &str = "generated, CC0";
/// Size of the data.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub users: u32,
    pub items: u32,
    pub events: u32,
}
impl Default for Size {
    fn default() -> Self {
        Size { users: 1000, items: 600, events: 60_000 }
    }
}
impl Size {
    pub fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
/// x
pub fn write(_size: &Size, _seed: u64, _folder: &Path) -> Result<()> {
    bail!("not yet")
}
