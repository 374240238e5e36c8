//! Recommendations without a server: opens a bundle of static files and recommends on the visitor's device.

pub mod bundle;
mod error;
pub mod features;
pub mod model;
pub mod profile;

pub use error::{Error, ErrorKind, Result};
