//! The boundary to JavaScript: it converts arguments, calls the core or the tower, and converts results back.
//! Errors are `Error` objects with `code` and `part`.

mod convert;
#[cfg(feature = "wasm-core")]
mod core;
#[cfg(feature = "wasm-core")]
mod imported;
#[cfg(feature = "wasm-tower")]
mod tower;

#[cfg(feature = "wasm-core")]
pub use self::core::Core;
#[cfg(feature = "wasm-tower")]
pub use tower::Tower;
