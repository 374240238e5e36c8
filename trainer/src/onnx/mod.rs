//! Writes ONNX files: a graph builder over the official protobuf messages.

mod graph;
#[rustfmt::skip]
#[allow(missing_docs, unused_qualifications, clippy::all)]
mod proto;

pub use graph::{Attribute, GraphBuilder, Value};
