//! The tower module's class: `Tower` runs a bundle's graphs with tract.

use js_sys::{Array, BigInt64Array, Float32Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use super::convert::{JsResult, get, to_js_error};
use crate::error::{ErrorKind, Result};
use crate::model::{Graph, ModelRuntime, Shapes, Tensor, TensorData, TractRuntime};

/// The graphs of one bundle, ready to run.
#[wasm_bindgen]
pub struct Tower {
    runtime: TractRuntime,
}

#[wasm_bindgen]
impl Tower {
    /// Loads graphs whose bytes the core has checked. The sizes of their inputs are those that `Core.shapes` returns.
    #[wasm_bindgen(constructor)]
    pub fn new(
        user_tower: Vec<u8>,
        item_tower: Option<Vec<u8>>,
        dim: usize,
        len: usize,
        context: usize,
        item: usize,
    ) -> JsResult<Tower> {
        let shapes = Shapes { dim, len, context, item, ..Shapes::default() };
        let mut graphs = vec![(Graph::UserTower, user_tower)];
        graphs.extend(item_tower.map(|bytes| (Graph::ItemTower, bytes)));
        let runtime = TractRuntime::new(&graphs, shapes).map_err(to_js_error)?;
        Ok(Tower { runtime })
    }

    /// Loads the ranker. `slots` and `heads` are the last two of the shapes that `Core.plan` returns.
    #[wasm_bindgen(js_name = addRanker)]
    pub fn add_ranker(&mut self, ranker: &[u8], slots: usize, heads: usize) -> JsResult<()> {
        self.runtime.add_ranker(ranker, slots, heads).map_err(to_js_error)
    }

    /// Runs a graph and returns its outputs, `Float32Array[]`. `inputs` has an object `{ shape, data }` for each input.
    pub fn run(&self, graph: &str, inputs: &Array) -> JsResult<Array> {
        let outputs =
            graph_of(graph).and_then(|graph| self.runtime.run(graph, &tensors_from_js(inputs)?)).map_err(to_js_error)?;
        Ok(outputs_to_js(&outputs))
    }
}

/// The graph with a name.
fn graph_of(name: &str) -> Result<Graph> {
    Graph::named(name).ok_or_else(|| ErrorKind::Argument(format!("no graph `{name}`")).at("run.graph"))
}

/// Reads tensors from `{ shape, data }` objects.
fn tensors_from_js(inputs: &Array) -> Result<Vec<Tensor>> {
    let one = |(i, input): (usize, JsValue)| {
        let fault = |text: &str| ErrorKind::Argument(text.into()).at(format!("run.inputs/{i}"));
        let shape: Array = get(&input, "shape").dyn_into().map_err(|_| fault("shape is not an array"))?;
        let shape: Vec<usize> = shape.iter().map(|n| n.as_f64().unwrap_or(-1.0) as usize).collect();
        let data = get(&input, "data");
        let (data, len) = if let Some(data) = data.dyn_ref::<Float32Array>() {
            (TensorData::F32(data.to_vec()), data.length())
        } else if let Some(data) = data.dyn_ref::<BigInt64Array>() {
            (TensorData::I64(data.to_vec()), data.length())
        } else {
            return Err(fault("data is neither Float32Array nor BigInt64Array"));
        };
        if shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) != Some(len as usize) {
            return Err(fault("shape and data do not fit"));
        }
        Ok(Tensor { shape, data })
    };
    inputs.iter().enumerate().map(one).collect()
}

/// Outputs as an array of `Float32Array`.
fn outputs_to_js(outputs: &[Vec<f32>]) -> Array {
    outputs.iter().map(|o| JsValue::from(Float32Array::from(o.as_slice()))).collect()
}
