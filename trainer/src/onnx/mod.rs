//! ONNX graphs, written from Rust.

mod graph;
#[allow(missing_docs, clippy::all, unused_qualifications)]
#[rustfmt::skip]
pub mod proto;

pub use graph::{Attribute, Dim, GraphBuilder, OPSET, Value};
