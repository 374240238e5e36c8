//! The towers: a graph is checked, loaded and run.

use foretaste::model::signature::Port;
use foretaste::model::{Element, Graph, ModelRuntime, TensorData, TractRuntime};

use super::bundle::{packaged_shapes, refused};

/// The user tower.
pub fn user_tower(input: &[u8]) -> bool {
    graph(Graph::UserTower, input)
}

/// The item tower.
pub fn item_tower(input: &[u8]) -> bool {
    graph(Graph::ItemTower, input)
}

/// Loads a graph and runs it on zeros or on small numbers.
fn graph(graph: Graph, input: &[u8]) -> bool {
    let shapes = packaged_shapes();
    let runtime = match TractRuntime::new(&[(graph, input)], shapes) {
        Ok(runtime) => runtime,
        Err(error) => return refused(&error),
    };
    let value = (input.len() % 2) as i64;
    let data = |port: &Port| match port.element {
        Element::F32 => TensorData::F32(vec![value as f32 / 2.0; port.count(&shapes)]),
        Element::I64 => TensorData::I64(vec![value; port.count(&shapes)]),
    };
    let inputs = graph.signature().pack(graph.signature().inputs.iter().map(data).collect(), &shapes);
    if let Err(error) = runtime.run(graph, &inputs) {
        refused(&error);
    }
    true
}
