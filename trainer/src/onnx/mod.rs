//! ONNX graphs, written from Rust.

mod graph;

pub use graph::{Attribute, Dim, GraphBuilder, Value};
