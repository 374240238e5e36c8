//! A graph under construction.

use std::collections::BTreeSet;

use prost::Message;

use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// Version of the operators: the first with `LayerNormalization`.
pub const OPSET: i64 = 17;
/// Version of the file format that goes with [`OPSET`].
const IR_VERSION: i64 = 8;

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
pub struct GraphBuilder {
    graph: GraphProto,
    names: BTreeSet<String>,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        GraphBuilder { graph: GraphProto { name: Some(name.into()), ..GraphProto::default() }, names: BTreeSet::new() }
    }

    /// Declares an input of 32-bit floats.
    pub fn input_f32(&mut self, name: &str, dims: &[Dim]) -> Value {
        self.input(name, DataType::Float, dims)
    }

    /// Declares an input of 64-bit integers.
    pub fn input_i64(&mut self, name: &str, dims: &[Dim]) -> Value {
        self.input(name, DataType::Int64, dims)
    }

    fn input(&mut self, name: &str, kind: DataType, dims: &[Dim]) -> Value {
        let value = self.name(name);
        self.graph.input.push(value_info(&value.0, kind, dims));
        value
    }

    /// Adds an initializer of 32-bit floats, row-major.
    ///
    /// # Panics
    /// If `data` has not as many numbers as `shape` says.
    pub fn constant_f32(&mut self, name: &str, shape: &[usize], data: &[f32]) -> Value {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{name}");
        self.constant(name, DataType::Float, shape, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// Adds an initializer of 64-bit integers, row-major.
    ///
    /// # Panics
    /// If `data` has not as many numbers as `shape` says.
    pub fn constant_i64(&mut self, name: &str, shape: &[usize], data: &[i64]) -> Value {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{name}");
        self.constant(name, DataType::Int64, shape, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn constant(&mut self, name: &str, kind: DataType, shape: &[usize], raw: Vec<u8>) -> Value {
        let value = self.name(name);
        self.graph.initializer.push(TensorProto {
            name: Some(value.0.clone()),
            data_type: Some(kind as i32),
            dims: shape.iter().map(|n| *n as i64).collect(),
            raw_data: Some(raw),
            ..TensorProto::default()
        });
        value
    }

    /// Adds a node of one output and gives that output; its name is made from the operator and a counter.
    pub fn node(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let output = self.name(&format!("{operator}_{}", self.graph.node.len()));
        self.push(operator, inputs, attributes, &output);
        output
    }

    fn push(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)], output: &Value) {
        self.graph.node.push(NodeProto {
            name: Some(output.0.clone()),
            op_type: Some(operator.into()),
            input: inputs.iter().map(|v| v.0.clone()).collect(),
            output: vec![output.0.clone()],
            attribute: attributes.iter().map(|(name, a)| attribute(name, a)).collect(),
            ..NodeProto::default()
        });
    }

    /// Declares an output: `value` under the given name.
    pub fn output_f32(&mut self, value: &Value, name: &str, dims: &[Dim]) {
        let output = self.name(name);
        self.push("Identity", &[value], &[], &output);
        self.graph.output.push(value_info(&output.0, DataType::Float, dims));
    }

    /// The serialized model; the same calls give the same bytes.
    pub fn finish(self) -> Vec<u8> {
        let model = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("foretaste".into()),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    /// Takes a name; one that is taken gets a number, for a graph names every value once.
    fn name(&mut self, name: &str) -> Value {
        let mut free = name.to_owned();
        let mut number = 2;
        while !self.names.insert(free.clone()) {
            free = format!("{name}.{number}");
            number += 1;
        }
        Value(free)
    }
}

fn attribute(name: &str, attribute: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto { name: Some(name.into()), ..AttributeProto::default() };
    match attribute {
        Attribute::Int(i) => {
            proto.set_type(AttributeType::Int);
            proto.i = Some(*i);
        }
        Attribute::Ints(ints) => {
            proto.set_type(AttributeType::Ints);
            proto.ints = ints.clone();
        }
        Attribute::Float(f) => {
            proto.set_type(AttributeType::Float);
            proto.f = Some(*f);
        }
    }
    proto
}

fn value_info(name: &str, kind: DataType, dims: &[Dim]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension};
    let dimension = |dim: &Dim| Dimension {
        value: Some(match dim {
            Dim::Fixed(n) => dimension::Value::DimValue(*n as i64),
            Dim::Batch => dimension::Value::DimParam("batch".into()),
        }),
        ..Dimension::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dimension).collect() };
    let tensor = type_proto::Tensor { elem_type: Some(kind as i32), shape: Some(shape) };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..ValueInfoProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled() -> Vec<u8> {
        let mut g = GraphBuilder::new("scaled");
        let x = g.input_f32("x", &[Dim::Batch, Dim::Fixed(2)]);
        let scale = g.constant_f32("scale", &[], &[0.5]);
        let axis = g.constant_i64("axis", &[1], &[-1]);
        let y = g.node("Mul", &[&x, &scale], &[]);
        let y = g.node("ReduceSum", &[&y, &axis], &[("keepdims", Attribute::Int(0))]);
        g.output_f32(&y, "sum", &[Dim::Batch]);
        g.finish()
    }

    #[test]
    fn what_was_said_is_in_the_bytes() {
        assert_eq!(scaled(), scaled());
        let model = ModelProto::decode(scaled().as_slice()).unwrap();
        assert_eq!((model.ir_version(), model.opset_import[0].version()), (8, 17));
        let graph = model.graph.unwrap();
        let operators: Vec<&str> = graph.node.iter().map(|n| n.op_type()).collect();
        assert_eq!(operators, ["Mul", "ReduceSum", "Identity"]);
        assert_eq!(graph.node[1].input, ["Mul_0", "axis"]);
        assert_eq!(graph.node[1].attribute[0].i(), 0);
        assert_eq!((graph.output[0].name(), graph.input[0].name()), ("sum", "x"));
        assert_eq!(graph.initializer[0].raw_data(), 0.5f32.to_le_bytes());
        assert_eq!(graph.initializer[1].raw_data(), (-1i64).to_le_bytes());
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let mut g = GraphBuilder::new("twice");
        let names = [g.input_f32("x", &[]), g.constant_f32("x", &[], &[1.0]), g.constant_f32("x", &[], &[1.0])].map(|v| v.0);
        assert_eq!(names, ["x", "x.2", "x.3"]);
    }
}
