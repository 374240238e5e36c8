//! The core's model runtime: a synchronous JavaScript function, which runs the tower module.

use js_sys::{Array, BigInt64Array, Float32Array, Function, Object};
use wasm_bindgen::{JsCast, JsValue};

use super::convert::{get, set};
use crate::error::{ErrorKind, Result};
use crate::model::{Graph, ModelRuntime, Tensor, TensorData};

/// Runs graphs by calling a JavaScript function.
pub struct ImportedRuntime {
    run: Function,
}

impl ImportedRuntime {
    /// A runtime that calls `run(graph: string, inputs: { shape, data }[]): Float32Array[]`.
    pub fn new(run: Function) -> Self {
        ImportedRuntime { run }
    }
}

impl ModelRuntime for ImportedRuntime {
    fn run(&self, graph: Graph, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>> {
        let name = graph.name();
        let outputs = self.run.call2(&JsValue::NULL, &name.into(), &tensors_to_js(inputs)).map_err(|e| {
            let text = get(&e, "message").as_string().unwrap_or_else(|| "the runtime failed".into());
            ErrorKind::Model(text).at(name)
        })?;
        outputs_from_js(outputs)
    }
}

/// Tensors as `{ shape, data }` objects with typed arrays.
fn tensors_to_js(tensors: &[Tensor]) -> Array {
    let one = |tensor: &Tensor| {
        let data: JsValue = match &tensor.data {
            TensorData::F32(data) => Float32Array::from(data.as_slice()).into(),
            TensorData::I64(data) => BigInt64Array::from(data.as_slice()).into(),
        };
        let object = Object::new();
        set(&object, "shape", &tensor.shape.iter().map(|n| JsValue::from_f64(*n as f64)).collect::<Array>().into());
        set(&object, "data", &data);
        JsValue::from(object)
    };
    tensors.iter().map(one).collect()
}

/// Reads outputs from an array of `Float32Array`.
fn outputs_from_js(outputs: JsValue) -> Result<Vec<Vec<f32>>> {
    let fault = || ErrorKind::Model("the runtime gave no array of Float32Array".into()).at("run");
    let outputs: Array = outputs.dyn_into().map_err(|_| fault())?;
    outputs.iter().map(|o| o.dyn_into::<Float32Array>().map(|o| o.to_vec()).map_err(|_| fault())).collect()
}
