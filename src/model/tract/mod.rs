//! Runs the graphs with tract. tract is used in no other folder.

mod operators;
mod wire;

use std::collections::HashSet;
use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Datum, Framework, IntoRunnable, IntoTValue, TValue, TVec, Tensor as TractTensor, TractError, TractResult, TypedRunnableModel,
};
use tract_onnx::tract_core::optim::Optimizer;

use super::signature::{Shapes, Signature};
use super::{Element, Graph, ModelRuntime, Tensor, TensorData};
use crate::error::{ErrorKind, Result};
use operators::{Wiring, is_known};
use wire::structure_bytes;

/// Maximum size of an ONNX file, in bytes.
const MAX_BYTES: usize = 512 << 20;
/// Maximum number of nodes in a graph.
const MAX_NODES: usize = 1024;
/// Maximum size of an ONNX file without the raw data of its initializers, in bytes.
const MAX_STRUCTURE: usize = 1 << 20;
/// Maximum number of elements in any input or output of a node.
const MAX_NUMBERS: usize = 1 << 26;

/// The graphs of a bundle, ready to run one request at a time.
pub struct TractRuntime {
    graphs: Vec<(Graph, Loaded)>,
}

/// A graph ready to run, with types and shapes of its inputs.
struct Loaded {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<(Element, Vec<usize>)>,
}

impl TractRuntime {
    /// Loads graphs from the bytes of their ONNX files. A run of a graph that is not among them fails with `no-model`.
    ///
    /// # Errors
    /// `limit` or `model` if a graph is refused: it is too large, has an unknown operator, keeps data outside the file,
    /// or does not have the declared inputs.
    pub fn new<B: AsRef<[u8]>>(graphs: &[(Graph, B)], shapes: Shapes) -> Result<TractRuntime> {
        register_kernels();
        let load = |(graph, bytes): &(Graph, B)| Ok((*graph, load(*graph, bytes.as_ref(), &shapes)?));
        Ok(TractRuntime { graphs: graphs.iter().map(load).collect::<Result<_>>()? })
    }
}

/// Runs the start-up code that registers tract's matrix kernels. In native builds it runs by itself before `main`.
fn register_kernels() {
    #[cfg(target_arch = "wasm32")]
    {
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: the linker defines this function without arguments, and nothing else calls it.
        ONCE.call_once(|| unsafe { __wasm_call_ctors() });
    }
}

fn load(graph: Graph, bytes: &[u8], shapes: &Shapes) -> Result<Loaded> {
    let (part, signature) = (graph.name(), graph.signature());
    if bytes.len() > MAX_BYTES {
        return Err(ErrorKind::Limit { limit: MAX_BYTES as u64, got: bytes.len() as u64 }.at(part));
    }
    if let Some(got) = signature.inputs.iter().map(|port| port.count(shapes)).find(|n| *n > MAX_NUMBERS) {
        return Err(ErrorKind::Limit { limit: MAX_NUMBERS as u64, got: got as u64 }.at(part));
    }
    let fault = |text: String| ErrorKind::Model(text).at(part);
    let structure = structure_bytes(bytes).ok_or_else(|| fault("not an ONNX file".into()))?;
    if structure > MAX_STRUCTURE {
        return Err(ErrorKind::Limit { limit: MAX_STRUCTURE as u64, got: structure as u64 }.at(part));
    }
    let inputs: Vec<_> = signature.inputs.iter().map(|port| (port.element, port.shape(shapes))).collect();
    let plan = guarded(|| {
        let proto = Onnx::default().proto_model_for_read(&mut &*bytes).map_err(|e| e.to_string())?;
        check(&proto, signature)?;
        plan(&proto, &inputs).map_err(|e| format!("{e:#}"))
    });
    Ok(Loaded { plan: plan.map_err(fault)?, inputs })
}

/// Checks the declarations in the graph before tract builds anything.
fn check(model: &ModelProto, signature: &Signature) -> std::result::Result<(), String> {
    let graph = model.graph.as_ref().ok_or("no graph")?;
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let given = graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).count();
    let (inputs, least, most) = (signature.inputs.len(), signature.required, signature.outputs.len());
    if given != inputs || !(least..=most).contains(&graph.output.len()) {
        let got = graph.output.len();
        return Err(format!("expected {inputs} inputs and {least} to {most} outputs, got {given} and {got}"));
    }
    if graph.node.len() > MAX_NODES {
        return Err(format!("expected at most {MAX_NODES} nodes, got {}", graph.node.len()));
    }
    if let Some(node) = graph.node.iter().find(|node| !is_known(node)) {
        return Err(format!("the operator `{}` of `{}` is not one of a tower", node.op_type, node.domain));
    }
    // Nodes that depend only on constants are refused: tract computes them while it loads, before any limit on shapes
    // applies.
    let mut computed: HashSet<&str> = graph.input.iter().map(|i| i.name.as_str()).filter(|i| !constants.contains(i)).collect();
    for node in &graph.node {
        if !node.input.iter().any(|i| computed.contains(i.as_str())) {
            return Err(format!("`{}` does not follow from the inputs", node.name));
        }
        computed.extend(node.output.iter().map(String::as_str));
    }
    if graph.node.iter().flat_map(|n| &n.attribute).any(|a| a.g.is_some() || !a.graphs.is_empty() || a.t.is_some()) {
        return Err("a graph or a tensor inside a node".into());
    }
    for tensor in &graph.initializer {
        if !tensor.external_data.is_empty() || tensor.data_location.is_some_and(|l| l != 0) {
            return Err(format!("`{}` has its data outside the file", tensor.name));
        }
        let numbers = tensor.dims.iter().try_fold(1usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?));
        if numbers.is_none_or(|n| n > MAX_BYTES / 4) {
            return Err(format!("`{}` has the dimensions {:?}", tensor.name, tensor.dims));
        }
    }
    Ok(())
}

fn plan(proto: &ModelProto, inputs: &[(Element, Vec<usize>)]) -> TractResult<Arc<TypedRunnableModel>> {
    let fault = |text: String| TractError::msg(text);
    let graph = proto.graph.as_ref().ok_or_else(|| fault("no graph".into()))?;
    let mut wiring = Wiring::default();
    for tensor in &graph.initializer {
        wiring.constant(tensor)?;
    }
    let given = graph.input.iter().filter(|input| !graph.initializer.iter().any(|t| t.name == input.name));
    for (input, (element, shape)) in given.zip(inputs) {
        let element = match element {
            Element::F32 => f32::datum_type(),
            Element::I64 => i64::datum_type(),
        };
        wiring.input(&input.name, element, shape)?;
    }
    for node in &graph.node {
        let output = wiring.node(node)?;
        let shape = &wiring.model.outlet_fact(output)?.shape;
        let numbers = shape.as_concrete().and_then(|dims| dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)));
        if numbers.is_none_or(|n| n > MAX_NUMBERS) {
            return Err(fault(format!("`{}` would give the shape {shape:?}", node.name)));
        }
    }
    let outputs = graph.output.iter().map(|output| wiring.value(&output.name)).collect::<TractResult<Vec<_>>>()?;
    let mut model = wiring.model;
    model.select_output_outlets(&outputs)?;
    // These passes choose kernels and pack weights for them. tract's other passes look for a simpler graph; they take
    // longer than the rest of the load, and find nothing to simplify in the trainer's graphs. The indices fit the
    // version of tract that Cargo.toml pins.
    let mut optimizer = Optimizer::codegen();
    let [constants, _, kernels, _, _, fusion] = &optimizer.passes[..] else { return Err(fault("tract has other passes".into())) };
    optimizer.passes = vec![kernels.clone(), constants.clone(), fusion.clone()];
    optimizer.session().optimize(&mut model)?;
    model.into_runnable()
}

impl ModelRuntime for TractRuntime {
    fn run(&self, graph: Graph, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>> {
        let part = graph.name();
        let (_, loaded) = self.graphs.iter().find(|(of, _)| *of == graph).ok_or_else(|| ErrorKind::NoModel.at(part))?;
        let fault = |text: String| ErrorKind::Model(text).at(part);
        let given = inputs.iter().map(|tensor| (tensor.data.element(), &tensor.shape));
        if !given.eq(loaded.inputs.iter().map(|(element, shape)| (*element, shape))) {
            return Err(fault("the inputs have other shapes than the graph's".into()));
        }
        guarded(|| run(loaded, inputs).map_err(|e| format!("{e:#}"))).map_err(fault)
    }
}

fn run(loaded: &Loaded, inputs: &[Tensor]) -> TractResult<Vec<Vec<f32>>> {
    let values: TVec<TValue> = inputs
        .iter()
        .map(|input| {
            Ok(match &input.data {
                TensorData::F32(data) => TractTensor::from_shape(&input.shape, data)?,
                TensorData::I64(data) => TractTensor::from_shape(&input.shape, data)?,
            }
            .into_tvalue())
        })
        .collect::<TractResult<_>>()?;
    let outputs = loaded.plan.run(values)?;
    outputs.iter().map(|o| Ok(o.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())).collect()
}

/// Turns a panic inside tract into an error. In WASM a panic is a trap; the page restarts the module after it.
fn guarded<T>(f: impl FnOnce() -> std::result::Result<T, String>) -> std::result::Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or_else(|_| Err("tract panicked".into()))
}
