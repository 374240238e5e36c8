//! tract: the only folder that names it.

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

use super::{Graph, ModelRuntime, Shapes, Tensor};
use crate::error::{ErrorKind, Result};
use operators::{Wiring, is_known};
use wire::structure_bytes;

/// Most bytes of a graph.
const MAX_BYTES: usize = 512 << 20;
/// Most nodes of a graph.
const MAX_NODES: usize = 1024;
/// Most bytes of a graph beside its weights.
const MAX_STRUCTURE: usize = 1 << 20;
/// Most numbers of an input, and of what one node gives to the next.
const MAX_NUMBERS: usize = 1 << 26;
/// The graphs of a bundle, ready to run: one request at a time.
pub struct TractRuntime {
    user_tower: Loaded,
    item_tower: Option<Loaded>,
}

/// A graph with its inputs' kinds and shapes.
struct Loaded {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<(Kind, Vec<usize>)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    F32,
    I64,
}

impl TractRuntime {
    /// Loads the graphs.
    ///
    /// # Errors
    /// `limit` or `model` for a graph that is refused: too large, an unknown operator, data outside the file, other inputs.
    pub fn new(user_tower: &[u8], item_tower: Option<&[u8]>, shapes: Shapes) -> Result<TractRuntime> {
        register_kernels();
        let Shapes { dim, len, context, item: slots } = shapes;
        let row = |kind| (kind, vec![1, len]);
        let user = vec![
            (Kind::F32, vec![1, len, dim]),
            row(Kind::I64),
            row(Kind::I64),
            row(Kind::I64),
            row(Kind::I64),
            row(Kind::F32),
            (Kind::I64, vec![1, context]),
            (Kind::F32, vec![1, context]),
        ];
        let item = vec![(Kind::I64, vec![1]), (Kind::I64, vec![1, slots]), (Kind::F32, vec![1, slots])];
        Ok(TractRuntime {
            user_tower: load("user_tower", user_tower, user)?,
            item_tower: item_tower.map(|bytes| load("item_tower", bytes, item)).transpose()?,
        })
    }
}

/// Runs the start-up code that registers tract's matrix kernels. Natively it has run before `main`.
fn register_kernels() {
    #[cfg(target_arch = "wasm32")]
    {
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: the linker makes this function; it takes nothing, and nothing else calls it.
        ONCE.call_once(|| unsafe { __wasm_call_ctors() });
    }
}

fn load(part: &str, bytes: &[u8], inputs: Vec<(Kind, Vec<usize>)>) -> Result<Loaded> {
    if bytes.len() > MAX_BYTES {
        return Err(ErrorKind::Limit { limit: MAX_BYTES as u64, got: bytes.len() as u64 }.at(part));
    }
    if let Some(got) = inputs.iter().map(|(_, shape)| shape.iter().product::<usize>()).find(|n| *n > MAX_NUMBERS) {
        return Err(ErrorKind::Limit { limit: MAX_NUMBERS as u64, got: got as u64 }.at(part));
    }
    let fault = |text: String| ErrorKind::Model(text).at(part);
    let structure = structure_bytes(bytes).ok_or_else(|| fault("not an ONNX file".into()))?;
    if structure > MAX_STRUCTURE {
        return Err(ErrorKind::Limit { limit: MAX_STRUCTURE as u64, got: structure as u64 }.at(part));
    }
    let plan = guarded(|| {
        let proto = Onnx::default().proto_model_for_read(&mut &*bytes).map_err(|e| e.to_string())?;
        check(&proto, inputs.len())?;
        plan(&proto, &inputs).map_err(|e| format!("{e:#}"))
    });
    Ok(Loaded { plan: plan.map_err(fault)?, inputs })
}

/// Checks what the graph says of itself, before tract builds it.
fn check(model: &ModelProto, inputs: usize) -> std::result::Result<(), String> {
    let graph = model.graph.as_ref().ok_or("no graph")?;
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let given = graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).count();
    if given != inputs || graph.output.is_empty() || graph.output.len() > 3 {
        return Err(format!("expected {inputs} inputs and 1 to 3 outputs, got {given} and {}", graph.output.len()));
    }
    if graph.node.len() > MAX_NODES {
        return Err(format!("expected at most {MAX_NODES} nodes, got {}", graph.node.len()));
    }
    if let Some(node) = graph.node.iter().find(|node| !is_known(node)) {
        return Err(format!("the operator `{}` of `{}` is not one of a tower", node.op_type, node.domain));
    }
    // tract would compute what follows from constants alone while it loads, before any shape can be looked at.
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

fn plan(proto: &ModelProto, inputs: &[(Kind, Vec<usize>)]) -> TractResult<Arc<TypedRunnableModel>> {
    let fault = |text: String| TractError::msg(text);
    let graph = proto.graph.as_ref().ok_or_else(|| fault("no graph".into()))?;
    let mut wiring = Wiring::default();
    for tensor in &graph.initializer {
        wiring.constant(tensor)?;
    }
    let given = graph.input.iter().filter(|input| !graph.initializer.iter().any(|t| t.name == input.name));
    for (input, (kind, shape)) in given.zip(inputs) {
        let kind = match kind {
            Kind::F32 => f32::datum_type(),
            Kind::I64 => i64::datum_type(),
        };
        wiring.input(&input.name, kind, shape)?;
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
    // Kernels are chosen and weights packed for them. tract's other passes look for a simpler graph, which takes longer than all else; the
    // trainer writes none that gains by it. The places are those of the version that Cargo.toml pins.
    let mut optimizer = Optimizer::codegen();
    let [constants, _, kernels, _, _, fusion] = &optimizer.passes[..] else { return Err(fault("tract has other passes".into())) };
    optimizer.passes = vec![kernels.clone(), constants.clone(), fusion.clone()];
    optimizer.session().optimize(&mut model)?;
    model.into_runnable()
}

impl ModelRuntime for TractRuntime {
    fn run(&self, graph: Graph, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>> {
        let (part, loaded) = match graph {
            Graph::UserTower => ("user_tower", Some(&self.user_tower)),
            Graph::ItemTower => ("item_tower", self.item_tower.as_ref()),
        };
        let loaded = loaded.ok_or_else(|| ErrorKind::NoModel.at(part))?;
        let fault = |text: String| ErrorKind::Model(text).at(part);
        let shapes = inputs.iter().map(|t| match t {
            Tensor::F32(shape, _) => (Kind::F32, shape),
            Tensor::I64(shape, _) => (Kind::I64, shape),
        });
        if !shapes.eq(loaded.inputs.iter().map(|(kind, shape)| (*kind, shape))) {
            return Err(fault("the inputs have other shapes than the graph's".into()));
        }
        guarded(|| run(loaded, inputs).map_err(|e| format!("{e:#}"))).map_err(fault)
    }
}

fn run(loaded: &Loaded, inputs: &[Tensor]) -> TractResult<Vec<Vec<f32>>> {
    let values: TVec<TValue> = inputs
        .iter()
        .map(|input| {
            Ok(match input {
                Tensor::F32(shape, data) => TractTensor::from_shape(shape, data)?,
                Tensor::I64(shape, data) => TractTensor::from_shape(shape, data)?,
            }
            .into_tvalue())
        })
        .collect::<TractResult<_>>()?;
    let outputs = loaded.plan.run(values)?;
    outputs.iter().map(|o| Ok(o.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())).collect()
}

/// Makes a panic inside tract an error. In WASM a panic is a trap: the page starts the module again.
fn guarded<T>(f: impl FnOnce() -> std::result::Result<T, String>) -> std::result::Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or_else(|_| Err("tract panicked".into()))
}
