//! Runs the graphs with tract. tract is used in no other folder.

mod cost;
mod gather;
#[cfg(test)]
mod hostile;
mod limits;
mod operators;
mod quiet;
mod wire;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::Onnx;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Datum, Framework, IntoRunnable, IntoTValue, TValue, TVec, Tensor as TractTensor, TractError, TractResult, TypedModel,
    TypedRunnableModel,
};
use tract_onnx::tract_core::optim::Optimizer;

use super::signature::{Shapes, Signature};
use super::{Element, Graph, ModelRuntime, Tensor, TensorData};
use crate::error::{ErrorKind, Result};
use cost::{Cost, peak};
use limits::{FILE_BYTES, NODES, STEPS, STRUCTURE_BYTES, VALUE_BYTES};
use operators::{Wiring, is_known};
use quiet::caught;
use wire::structure_bytes;

/// The graphs of a bundle, ready to run one batch at a time.
pub struct TractRuntime {
    graphs: Vec<(Graph, Loaded)>,
    shapes: Shapes,
}

/// A checked graph with its plans, one a batch. The one for the smallest batch is there from the start, the others are
/// made when they are first needed.
struct Loaded {
    /// What further plans are made from; `None` if there are none.
    proto: Option<ModelProto>,
    plans: Mutex<Vec<Arc<Plan>>>,
}

/// A graph ready to run, with types and shapes of its inputs.
struct Plan {
    model: Arc<TypedRunnableModel>,
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
        let mut runtime = TractRuntime { graphs: Vec::new(), shapes };
        graphs.iter().try_for_each(|(graph, bytes)| runtime.add(*graph, bytes.as_ref()))?;
        Ok(runtime)
    }

    /// Loads a ranker that reads `slots` slots a candidate and has `heads` outputs. It may follow the towers.
    ///
    /// # Errors
    /// Same errors as [`TractRuntime::new`].
    pub fn add_ranker(&mut self, bytes: &[u8], slots: usize, heads: usize) -> Result<()> {
        (self.shapes.ranker, self.shapes.heads) = (slots, heads);
        self.add(Graph::Ranker, bytes)
    }

    fn add(&mut self, graph: Graph, bytes: &[u8]) -> Result<()> {
        self.graphs.push((graph, load(graph, bytes, &self.shapes)?));
        Ok(())
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
    let part = graph.name();
    within(graph, "bytes of the file", FILE_BYTES, bytes.len() as u64)?;
    let structure = structure_bytes(bytes).ok_or_else(|| ErrorKind::Model("not an ONNX file".into()).at(part))?;
    within(graph, "bytes beside the weights", STRUCTURE_BYTES, structure as u64)?;
    let decoded = caught(|| Onnx::default().proto_model_for_read(&mut &*bytes).map_err(failed));
    Loaded::new(graph, decoded.map_err(|kind| kind.at(part))?, shapes)
}

impl Loaded {
    /// Checks a graph and prepares it to run its smallest batch.
    fn new(graph: Graph, proto: ModelProto, shapes: &Shapes) -> Result<Loaded> {
        let smallest = prepared(graph, &proto, &Shapes { batch: graph.batches()[0], ..*shapes })?;
        Ok(Loaded { proto: (graph.batches().len() > 1).then_some(proto), plans: Mutex::new(vec![Arc::new(smallest)]) })
    }

    /// The plan for a batch; `None` if the graph is not run with this one.
    fn plan(&self, graph: Graph, shapes: &Shapes) -> Result<Option<Arc<Plan>>> {
        // A thread that panicked while it held the lock left whole plans.
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.iter().find(|plan| plan.inputs[0].1[0] == shapes.batch) {
            return Ok(Some(plan.clone()));
        }
        let Some(proto) = self.proto.as_ref().filter(|_| graph.batches().contains(&shapes.batch)) else { return Ok(None) };
        let plan = Arc::new(prepared(graph, proto, shapes)?);
        plans.push(plan.clone());
        Ok(Some(plan))
    }
}

/// Checks a graph and prepares it to run one batch.
fn prepared(graph: Graph, proto: &ModelProto, shapes: &Shapes) -> Result<Plan> {
    let (signature, refused) = (graph.signature(), |kind: ErrorKind| kind.at(graph.name()));
    let input_bytes = signature.inputs.iter().map(|port| port.element.bytes() * port.count(shapes) as u64).sum();
    within(graph, "bytes of inputs", VALUE_BYTES, input_bytes)?;
    let inputs: Vec<_> = signature.inputs.iter().map(|port| (port.element, port.shape(shapes))).collect();
    let wired = caught(|| {
        check(proto, signature).map_err(ErrorKind::Model)?;
        let model = wired(proto, &inputs).map_err(failed)?;
        let cost = Cost::of(&model).map_err(failed)?;
        Ok((model, cost))
    });
    let (model, cost) = wired.map_err(refused)?;
    within(graph, "steps of a run", STEPS, cost.steps)?;
    within(graph, "bytes of moved constants", VALUE_BYTES, cost.moved)?;
    let plan = caught(|| plan(model).map_err(failed)).map_err(refused)?;
    within(graph, "bytes of values", VALUE_BYTES, peak(&plan).saturating_add(cost.moved))?;
    Ok(Plan { model: plan, inputs })
}

fn within(graph: Graph, what: &str, limit: u64, got: u64) -> Result<()> {
    match got > limit {
        true => Err(ErrorKind::Limit { limit, got }.at(format!("{}/{what}", graph.name()))),
        false => Ok(()),
    }
}

fn failed(error: TractError) -> ErrorKind {
    ErrorKind::Model(format!("{error:#}"))
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
    if graph.node.len() as u64 > NODES {
        return Err(format!("expected at most {NODES} nodes, got {}", graph.node.len()));
    }
    if let Some(node) = graph.node.iter().find(|node| !is_known(node)) {
        return Err(format!("the operator `{}` of `{}` is not one of a tower", node.op_type, node.domain));
    }
    if graph.node.iter().flat_map(|n| &n.attribute).any(|a| a.g.is_some() || !a.graphs.is_empty() || a.t.is_some()) {
        return Err("a graph or a tensor inside a node".into());
    }
    for tensor in &graph.initializer {
        if !tensor.external_data.is_empty() || tensor.data_location.is_some_and(|l| l != 0) {
            return Err(format!("`{}` has its data outside the file", tensor.name));
        }
        let numbers = tensor.dims.iter().try_fold(1usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?));
        if numbers.is_none_or(|n| n as u64 > FILE_BYTES / 4) {
            return Err(format!("`{}` has the dimensions {:?}", tensor.name, tensor.dims));
        }
    }
    Ok(())
}

/// The nodes of the graph in tract's terms. Nothing is computed yet.
fn wired(proto: &ModelProto, inputs: &[(Element, Vec<usize>)]) -> TractResult<TypedModel> {
    let graph = proto.graph.as_ref().ok_or_else(|| TractError::msg("no graph"))?;
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
        wiring.node(node)?;
    }
    let outputs = graph.output.iter().map(|output| wiring.value(&output.name)).collect::<TractResult<Vec<_>>>()?;
    let mut model = wiring.model;
    model.select_output_outlets(&outputs)?;
    Ok(model)
}

fn plan(mut model: TypedModel) -> TractResult<Arc<TypedRunnableModel>> {
    // These passes choose kernels and pack weights for them. tract's other passes look for a simpler graph; they take
    // longer than the rest of the load, and find nothing to simplify in the trainer's graphs. The indices fit the
    // version of tract that Cargo.toml pins.
    let mut optimizer = Optimizer::codegen();
    let [constants, _, kernels, _, _, fusion] = &optimizer.passes[..] else {
        return Err(TractError::msg("tract has other passes"));
    };
    optimizer.passes = vec![kernels.clone(), constants.clone(), fusion.clone()];
    optimizer.session().optimize(&mut model)?;
    // tract would run these number by number, a thousand times slower than by a kernel.
    match model.nodes().iter().find(|node| node.op.name().starts_with("EinSum")) {
        Some(node) => Err(TractError::msg(format!("`{}` is no product of matrices", node.name))),
        None => model.into_runnable(),
    }
}

impl ModelRuntime for TractRuntime {
    fn run(&self, graph: Graph, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>> {
        let part = graph.name();
        let (_, loaded) = self.graphs.iter().find(|(of, _)| *of == graph).ok_or_else(|| ErrorKind::NoModel.at(part))?;
        let fault = |text: String| ErrorKind::Model(text).at(part);
        let batch = inputs.first().and_then(|tensor| tensor.shape.first()).copied().unwrap_or_default();
        let plan = loaded.plan(graph, &Shapes { batch, ..self.shapes })?;
        let is_as = |tensor: &Tensor, (element, shape): &(Element, Vec<usize>)| {
            tensor.data.element() == *element && tensor.shape == *shape
        };
        let fits = |plan: &Arc<Plan>| {
            inputs.len() == plan.inputs.len() && inputs.iter().zip(&plan.inputs).all(|(tensor, input)| is_as(tensor, input))
        };
        let plan = plan.filter(fits).ok_or_else(|| fault("the inputs have other shapes than the graph's".into()))?;
        caught(|| run(&plan, inputs).map_err(failed)).map_err(|kind| kind.at(part))
    }
}

fn run(plan: &Plan, inputs: &[Tensor]) -> TractResult<Vec<Vec<f32>>> {
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
    let outputs = plan.model.run(values)?;
    outputs.iter().map(|o| Ok(o.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())).collect()
}
