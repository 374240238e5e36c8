//! Dot products of a query with many rows. The scalar file defines the result.

mod quantize;
pub mod scalar;

pub use quantize::{QuantizedQuery, quantize_row};
