//! Translates the ONNX operators that towers use, and no others, to nodes of tract's typed model.
//!
//! The operators are those of operator set 17, <https://onnx.ai/onnx/operators/>. All input shapes are known before the
//! first node, so each node can be wired as soon as it is read. tract's own reader is not used, because its shape
//! inference takes as long as the rest of the load and its registry keeps every operator in the WASM module. Axes and
//! shapes that ONNX gives as an input are read from the initializers.

use std::collections::HashMap;

use tract_onnx::pb::{NodeProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::Tensor as TractTensor;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Gather, Slice, TypedConcat};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::math;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer, RmsNorm, Softmax, SoftmaxKind, sigmoid};

use super::cost::numbers;
use super::gather::CheckedGather;
use super::limits::VALUE_BYTES;

/// A model that grows node by node.
#[derive(Default)]
pub(super) struct Wiring<'a> {
    pub model: TypedModel,
    constants: HashMap<&'a str, Arc<TractTensor>>,
    values: HashMap<&'a str, OutletId>,
}

impl<'a> Wiring<'a> {
    /// Adds an input of the graph.
    pub fn input(&mut self, name: &'a str, kind: DatumType, shape: &[usize]) -> TractResult<()> {
        let source = self.model.add_source(name, kind.fact(shape))?;
        self.values.insert(name, source);
        Ok(())
    }

    /// Reads an initializer of 32-bit floats or 64-bit integers.
    pub fn constant(&mut self, proto: &'a TensorProto) -> TractResult<()> {
        let shape: Vec<usize> = proto.dims.iter().map(|d| usize::try_from(*d)).collect::<Result<_, _>>()?;
        let raw = &proto.raw_data[..];
        let tensor = match DataType::try_from(proto.data_type) {
            Ok(DataType::Float) if raw.is_empty() => TractTensor::from_shape(&shape, &proto.float_data)?,
            Ok(DataType::Float) => TractTensor::from_shape(&shape, &read_numbers(raw, f32::from_le_bytes)?)?,
            Ok(DataType::Int64) if raw.is_empty() => TractTensor::from_shape(&shape, &proto.int64_data)?,
            Ok(DataType::Int64) => TractTensor::from_shape(&shape, &read_numbers(raw, i64::from_le_bytes)?)?,
            _ => bail!("`{}` has numbers of the kind {}", proto.name, proto.data_type),
        };
        self.constants.insert(&proto.name, tensor.into_arc_tensor());
        Ok(())
    }

    /// The value with this name. A constant is added to the model when it is first used.
    pub fn value(&mut self, name: &'a str) -> TractResult<OutletId> {
        if let Some(value) = self.values.get(name) {
            return Ok(*value);
        }
        let constant = self.constants.get(name).with_context(|| format!("no value `{name}`"))?.clone();
        let fact = TypedFact::try_from(constant.clone())?;
        // `add_const` would compare each constant with all before it, number by number.
        let node = self.model.add_node(name, Const::new(constant)?, tvec![fact])?;
        let value = self.fitting(node.into())?;
        self.values.insert(name, value);
        Ok(value)
    }

    /// Adds a node and returns its output.
    pub fn node(&mut self, node: &'a NodeProto) -> TractResult<OutletId> {
        let wire = wire_of(&node.op_type).with_context(|| unknown(node))?;
        let name = node.output.iter().find(|name| !name.is_empty()).context("a node without an output")?;
        let computed = |name: &String| self.values.get(name.as_str()).is_some_and(|v| !self.model.node(v.node).op_is::<Const>());
        ensure!(node.input.iter().any(computed), "`{name}` does not follow from the inputs");
        let value = wire(self, node, name).with_context(|| format!("`{name}`"))?;
        ensure!(self.values.insert(name, value).is_none(), "two values `{name}`");
        Ok(value)
    }

    fn inputs(&mut self, node: &'a NodeProto, count: usize) -> TractResult<TVec<OutletId>> {
        ensure!(node.input.len() == count, "expected {count} inputs, got {}", node.input.len());
        node.input.iter().map(|name| self.value(name)).collect()
    }

    /// The first input, which is a computed value, and the integers of the second, which is a constant.
    fn input_and_numbers(&mut self, node: &'a NodeProto) -> TractResult<(OutletId, Vec<i64>)> {
        let [input, constant] = &node.input[..] else { bail!("expected 2 inputs, got {}", node.input.len()) };
        let tensor = self.constants.get(constant.as_str()).with_context(|| format!("`{constant}` is no constant"))?;
        let numbers = tensor.try_as_plain_ram()?.as_slice::<i64>()?.to_vec();
        Ok((self.value(input)?, numbers))
    }

    fn rank(&self, of: OutletId) -> TractResult<usize> {
        Ok(self.model.outlet_fact(of)?.rank())
    }

    fn shape(&self, of: OutletId) -> TractResult<TVec<usize>> {
        let dims = self.model.outlet_fact(of)?.shape.as_concrete().context("a shape that is not known")?;
        Ok(dims.into())
    }

    fn wire(&mut self, name: impl Into<String>, op: impl Into<Box<dyn TypedOp>>, inputs: &[OutletId]) -> TractResult<OutletId> {
        let value = self.model.wire_node(name, op, inputs)?[0];
        self.fitting(value)
    }

    /// Adds an operation on two values, after broadcasting their shapes.
    fn binary(&mut self, name: &str, op: impl Into<Box<dyn TypedOp>>, a: OutletId, b: OutletId) -> TractResult<OutletId> {
        let value = wire_with_rank_broadcast(name, &mut self.model, op, &[a, b])?[0];
        self.fitting(value)
    }

    /// Refuses a value that is larger than all values together may be, or that has no number: a mean or a softmax of
    /// nothing, and a table without rows.
    fn fitting(&self, value: OutletId) -> TractResult<OutletId> {
        let fact = self.model.outlet_fact(value)?;
        let fits = (1..=VALUE_BYTES / 4).contains(&numbers(fact)) || fact.konst.is_some() && numbers(fact) > 0;
        ensure!(fits, "`{}` would have the shape {:?}", self.model.node(value.node).name, fact.shape);
        Ok(value)
    }

    /// Adds an Einstein sum such as `mk,kn->mn`. The lengths of the axes are checked here, because tract does not check
    /// them.
    fn product(&mut self, name: impl Into<String>, equation: &str, inputs: &[OutletId]) -> TractResult<OutletId> {
        let (given, wanted) = equation.split_once("->").context("expected `->`")?;
        let given: Vec<&str> = given.split(',').collect();
        ensure!(
            given.len() == inputs.len() && equation.chars().all(|c| c.is_ascii_alphabetic() || ",->".contains(c)),
            "{equation}"
        );
        let mut lengths: Vec<(char, usize)> = Vec::new();
        let once = |axes: &str| axes.chars().enumerate().all(|(i, axis)| axes.chars().take(i).all(|other| other != axis));
        ensure!(given.iter().all(|axes| once(axes)) && once(wanted), "an axis twice in one place of {equation}");
        ensure!(wanted.chars().all(|axis| given.iter().any(|axes| axes.contains(axis))), "{equation} makes an axis of nothing");
        for (axes, input) in given.iter().zip(inputs) {
            let shape = self.shape(*input)?;
            ensure!(self.model.outlet_fact(*input)?.datum_type == f32::datum_type(), "expected floats");
            ensure!(axes.chars().count() == shape.len(), "`{axes}` names other axes than those of {shape:?}");
            for (axis, length) in axes.chars().zip(shape) {
                match lengths.iter().find(|(other, _)| *other == axis) {
                    // An axis of length 1 broadcasts, unless it is summed over.
                    Some((_, other)) => {
                        let repeated = wanted.contains(axis) && (length == 1 || *other == 1);
                        ensure!(*other == length || repeated, "`{axis}` of {equation} is {other} and {length}");
                    }
                    None => lengths.push((axis, length)),
                }
            }
        }
        self.wire(name, EinSum::new(equation.parse()?, f32::datum_type()), inputs)
    }

    fn number(&mut self, name: String, number: f32) -> TractResult<OutletId> {
        self.model.add_const(name, tensor0(number))
    }

    /// Applies changes of axes one after the other.
    fn reaxed(&mut self, name: &str, mut x: OutletId, changes: impl IntoIterator<Item = AxisOp>) -> TractResult<OutletId> {
        for (i, change) in changes.into_iter().enumerate() {
            x = self.wire(format!("{name}.axes_{i}"), change, &[x])?;
        }
        Ok(x)
    }

    /// Adds the sum over the axes, times a factor. The axes stay, with a length of 1.
    fn sum(&mut self, name: &str, x: OutletId, axes: TVec<usize>, factor: Option<f32>) -> TractResult<OutletId> {
        let sum = self.wire(format!("{name}.sum"), Reduce::new(axes, Reducer::Sum), &[x])?;
        let Some(factor) = factor else { return Ok(sum) };
        let factor = self.number(format!("{name}.factor"), factor)?;
        self.binary(&format!("{name}.mean"), math::mul(), sum, factor)
    }
}

fn read_numbers<T, const N: usize>(raw: &[u8], read: fn([u8; N]) -> T) -> TractResult<Vec<T>> {
    let (chunks, rest) = raw.as_chunks::<N>();
    ensure!(rest.is_empty(), "a part of a number");
    Ok(chunks.iter().map(|bytes| read(*bytes)).collect())
}

fn unknown(node: &NodeProto) -> String {
    format!("the operator `{}` of `{}` is not one of a tower", node.op_type, node.domain)
}

type Wire = for<'a> fn(&mut Wiring<'a>, &'a NodeProto, &'a str) -> TractResult<OutletId>;

/// Whether the operator is allowed in a bundle's graph.
pub(super) fn is_known(node: &NodeProto) -> bool {
    node.domain.is_empty() && wire_of(&node.op_type).is_some()
}

fn wire_of(operator: &str) -> Option<Wire> {
    /// An element-wise operation.
    macro_rules! each {
        ($op:expr) => {
            |w, node, name| {
                let inputs = w.inputs(node, 1)?;
                w.wire(name, $op, &inputs)
            }
        };
    }
    macro_rules! binary {
        ($op:expr) => {
            |w, node, name| {
                let inputs = w.inputs(node, 2)?;
                w.binary(name, $op, inputs[0], inputs[1])
            }
        };
    }
    let wire: Wire = match operator {
        "Add" => binary!(math::add()),
        "Sub" => binary!(math::sub()),
        "Mul" => binary!(math::mul()),
        "Div" => div,
        "Neg" => each!(math::neg()),
        "Erf" => each!(math::erf()),
        "Exp" => each!(math::exp()),
        "Sqrt" => each!(math::sqrt()),
        "Tanh" => each!(math::tanh()),
        "Sigmoid" => each!(sigmoid()),
        "Relu" => relu,
        "Identity" => |w, node, _| Ok(w.inputs(node, 1)?[0]),
        "MatMul" => matmul,
        "Einsum" => einsum,
        "Gemm" => gemm,
        "Gather" => gather,
        "Concat" => concat,
        "Softmax" => softmax,
        "Reshape" => reshape,
        "Transpose" => transpose,
        "Unsqueeze" => unsqueeze,
        "Squeeze" => squeeze,
        "ReduceSum" => |w, node, name| reduce(w, node, name, false),
        "ReduceMean" => |w, node, name| reduce(w, node, name, true),
        "LayerNormalization" => layer_normalization,
        "GRU" => gru,
        _ => return None,
    };
    Some(wire)
}

/// Resolves an axis. A negative axis counts from the end.
fn axis(axis: i64, rank: usize) -> TractResult<usize> {
    let from_start = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(from_start).ok().filter(|axis| *axis < rank).with_context(|| format!("no axis {axis} of {rank}"))
}

/// Resolves axes and returns them in ascending order, without repeats.
fn axes(given: &[i64], rank: usize) -> TractResult<TVec<usize>> {
    let mut axes: TVec<usize> = given.iter().map(|a| axis(*a, rank)).collect::<TractResult<_>>()?;
    axes.sort_unstable();
    ensure!(axes.windows(2).all(|pair| pair[0] < pair[1]), "an axis twice");
    Ok(axes)
}

fn relu<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let x = w.inputs(node, 1)?[0];
    let zero = w.number(format!("{name}.zero"), 0.0)?;
    w.binary(name, math::max(), x, zero)
}

/// Integers are divided by constants above 0 alone: a division by 0, or of the least number by −1, has no result.
fn div<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let inputs = w.inputs(node, 2)?;
    let by = w.model.outlet_fact(inputs[1])?;
    if by.datum_type == i64::datum_type() {
        let by = by.konst.as_ref().context("integers are divided by constants alone")?;
        ensure!(
            by.try_as_plain_ram()?.as_slice::<i64>()?.iter().all(|n| *n > 0),
            "integers are divided by numbers above 0 alone"
        );
    }
    w.binary(name, math::div(), inputs[0], inputs[1])
}

/// Matrix products over the last two axes. The axes before them broadcast as in numpy.
fn matmul<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let inputs = w.inputs(node, 2)?;
    let (a, b) = (w.rank(inputs[0])?, w.rank(inputs[1])?);
    ensure!(a.min(b) >= 2 && a.max(b) <= 6, "expected matrices");
    let before: Vec<char> = ('a'..).take(a.max(b) - 2).collect();
    let of = |rank: usize| before[before.len() + 2 - rank..].iter().collect::<String>();
    let product = format!("{}mk,{}kn->{}mn", of(a), of(b), of(a.max(b)));
    w.product(name, &product, &inputs)
}

/// An Einstein sum such as `bihd,bjhd->bhij`.
fn einsum<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let equation: String = node.get_attr("equation")?;
    let inputs = w.inputs(node, 2)?;
    w.product(name, &equation, &inputs)
}

/// x `[m, k]` · w `[k, n]` (or its transpose) + c.
fn gemm<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let factors = [node.get_attr_opt("alpha")?.unwrap_or(1.0), node.get_attr_opt("beta")?.unwrap_or(1.0)];
    ensure!(factors == [1.0f32; 2], "expected alpha and beta of 1, got {factors:?}");
    ensure!(!node.get_attr_opt("transA")?.unwrap_or(false), "expected transA of 0");
    let inputs = w.inputs(node, 3)?;
    ensure!(w.rank(inputs[0])? == 2 && w.rank(inputs[1])? == 2, "expected matrices");
    let transposed = node.get_attr_opt("transB")?.unwrap_or(false);
    let product = if transposed { "mk,nk->mn" } else { "mk,kn->mn" };
    let product = w.product(format!("{name}.product"), product, &inputs[..2])?;
    w.binary(name, math::add(), product, inputs[2])
}

fn gather<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let inputs = w.inputs(node, 2)?;
    let axis = axis(node.get_attr_opt("axis")?.unwrap_or(0), w.rank(inputs[0])?)?;
    if let Some(indices) = &w.model.outlet_fact(inputs[1])?.konst {
        CheckedGather::check(indices, w.shape(inputs[0])?[axis])?;
    }
    w.wire(name, CheckedGather(Gather { axis, output_type: None }), &inputs)
}

fn concat<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let inputs = w.inputs(node, node.input.len().max(1))?;
    let axis = axis(node.get_attr("axis")?, w.rank(inputs[0])?)?;
    w.wire(name, TypedConcat::new(axis), &inputs)
}

fn softmax<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let inputs = w.inputs(node, 1)?;
    let axis = axis(node.get_attr_opt("axis")?.unwrap_or(-1), w.rank(inputs[0])?)?;
    w.wire(name, Softmax { axes: tvec![axis], quant_output_dt: None, kind: SoftmaxKind::default() }, &inputs)
}

/// Reshapes to a constant shape. A 0 keeps the length of its axis, and a single −1 stands for the remaining length.
fn reshape<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    ensure!(!node.get_attr_opt("allowzero")?.unwrap_or(false), "expected allowzero of 0");
    let (x, wanted) = w.input_and_numbers(node)?;
    let from = w.shape(x)?;
    let length = |(i, n): (usize, &i64)| match *n {
        0 => from.get(i).copied().context("no length to keep"),
        -1 => Ok(1),
        n => Ok(usize::try_from(n)?),
    };
    let mut to: TVec<usize> = wanted.iter().enumerate().map(length).collect::<TractResult<_>>()?;
    let product = |shape: &[usize]| shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).context("too large a shape");
    if let Some(open) = wanted.iter().position(|n| *n == -1) {
        let rest = product(&to)?;
        ensure!(rest > 0 && wanted.iter().filter(|n| **n == -1).count() == 1, "more than one open length");
        to[open] = product(&from)? / rest;
    }
    ensure!(product(&from)? == product(&to)?, "{from:?} cannot become {to:?}");
    let dims = |shape: &[usize]| shape.iter().map(|n| n.to_dim()).collect::<TVec<TDim>>();
    w.wire(name, AxisOp::Reshape(0, dims(&from), dims(&to)), &[x])
}

fn transpose<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let x = w.inputs(node, 1)?[0];
    let rank = w.rank(x)?;
    let order: Vec<i64> = node.get_attr_opt_vec("perm")?.unwrap_or_else(|| (0..rank as i64).rev().collect());
    let order: Vec<usize> = order.iter().map(|a| axis(*a, rank)).collect::<TractResult<_>>()?;
    ensure!(order.len() == rank && (0..rank).all(|axis| order.contains(&axis)), "no order of {rank} axes: {order:?}");
    w.reaxed(name, x, perm_to_ops(&order))
}

fn unsqueeze<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let (x, given) = w.input_and_numbers(node)?;
    let axes = axes(&given, w.rank(x)? + given.len())?;
    w.reaxed(name, x, axes.into_iter().map(AxisOp::Add))
}

fn squeeze<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let (x, given) = w.input_and_numbers(node)?;
    let (axes, shape) = (axes(&given, w.rank(x)?)?, w.shape(x)?);
    ensure!(axes.iter().all(|axis| shape[*axis] == 1), "an axis that is longer than 1");
    w.reaxed(name, x, axes.into_iter().rev().map(AxisOp::Rm))
}

/// The sum or the mean over some axes. Up to operator set 17, `ReduceMean` has the axes as an attribute.
fn reduce<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str, mean: bool) -> TractResult<OutletId> {
    let (x, given) = match node.get_attr_opt_vec("axes")? {
        Some(axes) => (w.inputs(node, 1)?[0], axes),
        None => w.input_and_numbers(node)?,
    };
    let (axes, shape) = (axes(&given, w.rank(x)?)?, w.shape(x)?);
    let count: usize = axes.iter().map(|axis| shape[*axis]).product();
    let sum = w.sum(name, x, axes.clone(), mean.then_some(1.0 / count as f32))?;
    let kept = node.get_attr_opt("keepdims")?.unwrap_or(true);
    if kept { Ok(sum) } else { w.reaxed(name, sum, axes.into_iter().rev().map(AxisOp::Rm)) }
}

/// (x − mean) / √(variance + ε) · scale + bias over the last axis. Ba, Kiros, Hinton, Layer normalization, 2016.
fn layer_normalization<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let is_last = node.get_attr_opt("axis")?.unwrap_or(-1i64) == -1;
    ensure!(node.output.len() == 1 && is_last, "expected one output, over the last axis");
    let inputs = w.inputs(node, 3)?;
    let shape = w.shape(inputs[0])?;
    let last = shape.len().checked_sub(1).context("expected an axis")?;
    let share = Some(1.0 / shape[last] as f32);
    let mean = w.sum(&format!("{name}.mean"), inputs[0], tvec![last], share)?;
    let centered = w.wire(format!("{name}.centered"), math::sub(), &[inputs[0], mean])?;
    let eps = tensor0(node.get_attr_opt("epsilon")?.unwrap_or(1e-5f32)).into_arc_tensor();
    let normed = w.wire(format!("{name}.normed"), RmsNorm { axis: last, eps }, &[centered])?;
    let scaled = w.binary(&format!("{name}.scaled"), math::mul(), normed, inputs[1])?;
    w.binary(name, math::add(), scaled, inputs[2])
}

/// A GRU of one direction that starts from zeros and returns only its last state. Inputs are x `[L, batch, in]`, w `[1,
/// 3h, in]`, r `[1, 3h, h]` and b `[1, 6h]`; the output is `Y_h` `[1, batch, h]`. Cho et al., Learning phrase
/// representations using RNN encoder–decoder, 2014.
fn gru<'a>(w: &mut Wiring<'a>, node: &'a NodeProto, name: &'a str) -> TractResult<OutletId> {
    let chunk = match node.get_attr_opt::<&str>("direction")? {
        None | Some("forward") => 1,
        Some("reverse") => -1,
        Some(other) => bail!("expected one direction, got {other}"),
    };
    ensure!(node.get_attr_opt("linear_before_reset")?.unwrap_or(false), "expected linear_before_reset of 1");
    let is_plain =
        ["activations", "activation_alpha", "clip", "layout"].iter().all(|a| node.attribute.iter().all(|b| b.name != *a));
    ensure!(is_plain && node.output.len() == 2 && node.output[0].is_empty(), "expected the last state alone, without options");
    let inputs = w.inputs(node, 4)?;
    let shapes: Vec<TVec<usize>> = inputs.iter().map(|input| w.shape(*input)).collect::<TractResult<_>>()?;
    let ([len, batch, width], [1, _, hidden]) = (&shapes[0][..], &shapes[2][..]) else { bail!("expected three axes") };
    let (batch, hidden) = (*batch, *hidden);
    let fits =
        *len > 0 && shapes[1][..] == [1, 3 * hidden, *width] && shapes[2][1] == 3 * hidden && shapes[3][..] == [1, 6 * hidden];
    ensure!(fits && w.model.outlet_fact(inputs[2])?.konst.is_some(), "expected constants that fit, got {shapes:?}");
    let [from_x, from_state] = [1, 2].map(|i| w.wire(format!("{name}.weights_{i}"), AxisOp::Rm(0), &inputs[i..=i]));
    // One product with packed weights computes the input part of the gates for all steps at once.
    let product = w.product(format!("{name}.product"), "tbk,gk->btg", &[inputs[0], from_x?])?;
    let bias = w.wire(format!("{name}.bias"), Slice::new(1, 0, 3 * hidden), &inputs[3..])?;
    let x = w.binary(&format!("{name}.inputs"), math::add(), product, bias)?;
    ensure!((batch as u64).saturating_mul(hidden as u64) <= VALUE_BYTES / 4, "{batch} sequences of {hidden} numbers");
    let start = w.model.add_const(format!("{name}.start"), TractTensor::zero::<f32>(&[batch, 1, hidden])?)?;
    let op = GruSeq { hidden, has_bias: true, chunk, emit_y: false, reset_every_turn: true, projected: true, packed_r: None };
    let op: Box<dyn TypedOp> = Box::new(op);
    let states = w.model.wire_node(format!("{name}.states"), op, &[x, from_state?, inputs[3], start])?;
    w.wire(name, AxisOp::Move(1, 0), &states[1..])
}
