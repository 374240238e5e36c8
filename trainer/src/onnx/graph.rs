//! A graph under construction.

/// Name of a value in the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(pub String);

/// A dimension of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dim {
    /// A fixed length.
    Fixed(usize),
    /// The batch, of any length.
    Batch,
}

/// An attribute of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A whole number.
    Int(i64),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// A number.
    Float(f32),
}

/// Builds a graph node by node, in topological order; opset 17.
pub struct GraphBuilder {}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(_name: &str) -> Self {
        todo!()
    }

    /// Declares an input of 32-bit floats.
    pub fn input_f32(&mut self, _name: &str, _dims: &[Dim]) -> Value {
        todo!()
    }

    /// Declares an input of 64-bit integers.
    pub fn input_i64(&mut self, _name: &str, _dims: &[Dim]) -> Value {
        todo!()
    }

    /// Adds an initializer of 32-bit floats, row-major.
    pub fn constant_f32(&mut self, _name: &str, _shape: &[usize], _data: &[f32]) -> Value {
        todo!()
    }

    /// Adds an initializer of 64-bit integers, row-major.
    pub fn constant_i64(&mut self, _name: &str, _shape: &[usize], _data: &[i64]) -> Value {
        todo!()
    }

    /// Adds a node of one output and gives that output; its name is made from the operator and a counter.
    pub fn node(&mut self, _operator: &str, _inputs: &[&Value], _attributes: &[(&str, Attribute)]) -> Value {
        todo!()
    }

    /// Declares an output: `value` under the given name.
    pub fn output_f32(&mut self, _value: &Value, _name: &str, _dims: &[Dim]) {
        todo!()
    }

    /// The serialized model; the same calls give the same bytes.
    pub fn finish(self) -> Vec<u8> {
        todo!()
    }
}
