//! Fused operations, one per file: forward pass, backward pass, and the ONNX nodes of the forward pass.
//!
//! All are generic over f32 and f64: training runs in f32, and tests compare the backward pass with finite differences
//! in f64. Matrices are row-major slices. A backward function adds to the gradients it is given, unless its comment
//! says that it writes them.

pub mod attention;
pub mod bag;
pub mod decay_pool;
pub mod dropout;
pub mod event;
pub mod gelu;
pub mod gru;
pub mod layer_norm;
pub mod linear;
mod matmul;
pub mod rating_pool;
mod real;
pub mod sum_pool;

pub use matmul::{Op, matmul};
pub use real::Real;

#[cfg(test)]
pub(crate) mod check;
