//! Builds an ONNX graph node by node.

use foretaste::model::Element;
use foretaste::model::signature::{Axis, Port, Shapes};
use prost::Message;

use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataType;
use super::proto::tensor_shape_proto::{Dimension, dimension};
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

/// The ONNX operator set that the graphs use.
const OPSET: i64 = 17;
/// The version of the ONNX file format that was released with this operator set.
const IR_VERSION: i64 = 8;

/// A value of the graph, identified by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(pub String);

/// An attribute of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Attribute<'a> {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(&'a [i64]),
    /// A string.
    Text(&'a str),
    /// A 32-bit float.
    Float(f32),
}

/// Builds a graph. Nodes are added in topological order.
pub struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        GraphBuilder { graph: GraphProto { name: Some(name.into()), ..GraphProto::default() } }
    }

    /// Declares an input.
    pub fn input(&mut self, port: &Port, shapes: &Shapes) -> Value {
        self.graph.input.push(value_info(port, shapes));
        Value(port.name.into())
    }

    /// Adds an initializer of 32-bit floats, row-major.
    ///
    /// # Panics
    /// If the length of `data` is not the product of `shape`.
    pub fn constant_f32(&mut self, name: &str, shape: &[usize], data: &[f32]) -> Value {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{name}");
        self.constant(name, DataType::Float, shape, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// Adds an initializer of 64-bit integers, row-major.
    ///
    /// # Panics
    /// If the length of `data` is not the product of `shape`.
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

    /// Adds a node with one output and returns that output. The node is named after its operator and the number of
    /// nodes before it.
    pub fn node(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let name = format!("{}_{}", operator.to_lowercase(), self.graph.node.len());
        self.push_node(operator, inputs, &[&name], attributes);
        Value(name)
    }

    /// Adds a node with two outputs and returns the second. The first is omitted.
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

    /// Declares an output of the graph with the value `value`.
    pub fn output(&mut self, port: &Port, value: &Value, shapes: &Shapes) {
        self.push_node("Identity", &[value], &[port.name], &[]);
        self.graph.output.push(value_info(port, shapes));
    }

    /// The serialized model. Equal calls give equal bytes.
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

fn value_info(port: &Port, shapes: &Shapes) -> ValueInfoProto {
    let dim = |axis: &Axis| Dimension {
        value: Some(match axis {
            Axis::Batch => dimension::Value::DimParam("batch".into()),
            axis => dimension::Value::DimValue(shapes.length(*axis) as i64),
        }),
        ..Dimension::default()
    };
    let element = match port.element {
        Element::F32 => DataType::Float,
        Element::I64 => DataType::Int64,
    };
    let tensor = type_proto::Tensor {
        elem_type: Some(element as i32),
        shape: Some(TensorShapeProto { dim: port.axes.iter().map(dim).collect() }),
    };
    let kind = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: Some(port.name.into()), r#type: Some(kind), ..ValueInfoProto::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_reads_back() {
        let mut g = GraphBuilder::new("g");
        let shapes = Shapes { dim: 2, ..Shapes::default() };
        let port = |name| Port { name, element: Element::F32, axes: &[Axis::Batch, Axis::Dim] };
        let x = g.input(&port("x"), &shapes);
        let c = g.constant_f32("c", &[2], &[1.0, 2.0]);
        let y = g.node("Add", &[&x, &c], &[]);
        g.output(&port("y"), &y, &shapes);
        let model = ModelProto::decode(&g.finish()[..]).unwrap();
        let graph = model.graph.unwrap();
        assert_eq!(graph.initializer[0].raw_data.as_deref(), Some(&[0, 0, 0x80, 0x3f, 0, 0, 0, 0x40][..]));
        assert_eq!((graph.node[0].output[0].as_str(), graph.node[1].input[0].as_str()), ("add_0", "add_0"));
        assert_eq!(graph.output[0].name.as_deref(), Some("y"));
    }
}
