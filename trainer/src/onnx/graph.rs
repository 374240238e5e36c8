//! A graph under construction.

use prost::Message;

use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataType;
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

/// Operator set of the graphs.
const OPSET: i64 = 17;
/// Version of the file format that came with it.
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attribute<'a> {
    /// A whole number.
    Int(i64),
    /// Whole numbers.
    Ints(&'a [i64]),
    /// A word.
    Text(&'a str),
    /// A number.
    Float(f32),
}

/// Builds a graph node by node, in topological order; opset 17.
pub struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        GraphBuilder { graph: GraphProto { name: Some(name.into()), ..GraphProto::default() } }
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
        self.graph.input.push(value_info(name, kind, dims));
        Value(name.into())
    }

    /// Adds an initializer of 32-bit floats, row-major.
    ///
    /// # Panics
    /// If shape and data do not fit.
    pub fn constant_f32(&mut self, name: &str, shape: &[usize], data: &[f32]) -> Value {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{name}");
        self.constant(name, DataType::Float, shape, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// Adds an initializer of 64-bit integers, row-major.
    ///
    /// # Panics
    /// If shape and data do not fit.
    pub fn constant_i64(&mut self, name: &str, shape: &[usize], data: &[i64]) -> Value {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{name}");
        self.constant(name, DataType::Int64, shape, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    fn constant(&mut self, name: &str, kind: DataType, shape: &[usize], raw: Vec<u8>) -> Value {
        self.graph.initializer.push(TensorProto {
            name: Some(name.into()),
            dims: shape.iter().map(|d| *d as i64).collect(),
            data_type: Some(kind as i32),
            raw_data: Some(raw),
            ..TensorProto::default()
        });
        Value(name.into())
    }

    /// Adds a node of one output and gives that output; its name is made from the operator and a counter.
    pub fn node(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let name = format!("{}_{}", operator.to_lowercase(), self.graph.node.len());
        self.push_node(operator, inputs, &[&name], attributes);
        Value(name)
    }

    /// Adds a node whose first output is left out, and gives the second.
    pub fn second(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let name = format!("{}_{}", operator.to_lowercase(), self.graph.node.len());
        self.push_node(operator, inputs, &["", &name], attributes);
        Value(name)
    }

    fn push_node(&mut self, operator: &str, inputs: &[&Value], outputs: &[&str], attributes: &[(&str, Attribute)]) {
        let attribute = |(name, value): &(&str, Attribute)| {
            let named = AttributeProto { name: Some((*name).into()), ..AttributeProto::default() };
            match value {
                Attribute::Int(i) => AttributeProto { r#type: Some(AttributeType::Int as i32), i: Some(*i), ..named },
                Attribute::Ints(ints) => {
                    AttributeProto { r#type: Some(AttributeType::Ints as i32), ints: ints.to_vec(), ..named }
                }
                Attribute::Text(text) => {
                    AttributeProto { r#type: Some(AttributeType::String as i32), s: Some(text.as_bytes().to_vec()), ..named }
                }
                Attribute::Float(f) => AttributeProto { r#type: Some(AttributeType::Float as i32), f: Some(*f), ..named },
            }
        };
        self.graph.node.push(NodeProto {
            name: outputs.last().map(|name| (*name).into()),
            op_type: Some(operator.into()),
            input: inputs.iter().map(|v| v.0.clone()).collect(),
            output: outputs.iter().map(|name| (*name).into()).collect(),
            attribute: attributes.iter().map(attribute).collect(),
            ..NodeProto::default()
        });
    }

    /// Declares an output: `value` under the given name.
    pub fn output_f32(&mut self, value: &Value, name: &str, dims: &[Dim]) {
        self.push_node("Identity", &[value], &[name], &[]);
        self.graph.output.push(value_info(name, DataType::Float, dims));
    }

    /// The serialized model; the same calls give the same bytes.
    pub fn finish(self) -> Vec<u8> {
        ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("foretaste".into()),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
            graph: Some(self.graph),
            ..ModelProto::default()
        }
        .encode_to_vec()
    }
}

fn value_info(name: &str, kind: DataType, dims: &[Dim]) -> ValueInfoProto {
    let dim = |dim: &Dim| Dimension {
        value: Some(match dim {
            Dim::Fixed(n) => dimension::Value::DimValue(*n as i64),
            Dim::Batch => dimension::Value::DimParam("batch".into()),
        }),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(kind as i32),
        shape: Some(TensorShapeProto { dim: dims.iter().map(dim).collect() }),
    };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.into()), r#type: Some(kind), ..ValueInfoProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_reads_back() {
        let mut g = GraphBuilder::new("g");
        let x = g.input_f32("x", &[Dim::Batch, Dim::Fixed(2)]);
        let c = g.constant_f32("c", &[2], &[1.0, 2.0]);
        let y = g.node("Add", &[&x, &c], &[]);
        g.output_f32(&y, "y", &[Dim::Batch, Dim::Fixed(2)]);
        let model = ModelProto::decode(&g.finish()[..]).unwrap();
        let graph = model.graph.unwrap();
        assert_eq!(graph.initializer[0].raw_data.as_deref(), Some(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40][..]));
        assert_eq!((graph.node[0].output[0].as_str(), graph.node[1].input[0].as_str()), ("add_0", "add_0"));
        assert_eq!(graph.output[0].name.as_deref(), Some("y"));
    }
}
