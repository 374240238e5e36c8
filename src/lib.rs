//! Recommendations without a server: opens a bundle of static files and recommends on the visitor's device.
//!
//! The way of the data: [`bundle::BundleReader`] takes the files of a bundle and checks them; [`Recommender`] keeps the
//! visitor's [`profile`], encodes it ([`features`]), runs the user tower ([`model`]), scores the catalog ([`kernels`]),
//! selects ([`retrieve`]), and fills a [`slate`] slot by slot with a policy of [`explore`]. The core does no I/O and reads
//! no clock and no global randomness: bytes, time and seeds are arguments.

pub mod bundle;
mod error;
pub mod explore;
pub mod features;
pub mod golden;
mod json;
pub mod kernels;
pub mod model;
pub mod profile;
mod recommender;
mod request;
pub mod retrieve;
pub mod slate;
#[cfg(any(feature = "wasm-core", feature = "wasm-tower"))]
pub mod wasm;

pub use error::{Error, ErrorKind, Result};
pub use explore::Explore;
pub use features::EncodedState;
pub use recommender::{Appraisal, Clock, Recommender, User, VisitorState};
pub use request::{Item, Request, Slate, Timings};

// The unit tests run in a browser too.
#[cfg(all(test, target_arch = "wasm32"))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
