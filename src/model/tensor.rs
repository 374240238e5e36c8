//! Tensors, the inputs of a graph.

/// Numbers with a shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Lengths of the dimensions, the outermost first.
    pub shape: Vec<usize>,
    /// As many numbers as the product of `shape`.
    pub data: TensorData,
}

/// The numbers of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit integers.
    I64(Vec<i64>),
}

/// The type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32-bit floats.
    F32,
    /// 64-bit integers.
    I64,
}

impl Element {
    /// Bytes of one number.
    #[cfg(feature = "tract")]
    pub(super) fn bytes(self) -> u64 {
        match self {
            Element::F32 => 4,
            Element::I64 => 8,
        }
    }
}

impl TensorData {
    /// The type of the numbers.
    pub fn element(&self) -> Element {
        match self {
            TensorData::F32(_) => Element::F32,
            TensorData::I64(_) => Element::I64,
        }
    }

    /// Drops numbers past `len`, or appends zeros up to it.
    pub(super) fn resize(&mut self, len: usize) {
        match self {
            TensorData::F32(data) => data.resize(len, 0.0),
            TensorData::I64(data) => data.resize(len, 0),
        }
    }
}
