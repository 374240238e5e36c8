//! The ONNX operators of a tower, and no others: tract's own register keeps them all in the WASM module.
//!
//! ONNX operators, <https://onnx.ai/onnx/operators/>, as of operator set 17. Axes that ONNX gives as an input are read from the
//! initializers, because in a tower they are constants.

use tract_onnx::model::{OnnxOpRegister, ParsingContext};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::cast::cast;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::nn::{Reduce as TypedReduce, Reducer as TypedReducer};
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::activations::Clip;
use tract_onnx::tract_hir::ops::array::{AddDims, Concat, Flatten, Gather, PermuteAxes, Reshape, Squeeze, StridedSlice};
use tract_onnx::tract_hir::ops::identity::Identity;
use tract_onnx::tract_hir::ops::logic::{Iff, wire_with_rank_broadcast};
use tract_onnx::tract_hir::ops::math;
use tract_onnx::tract_hir::ops::matmul::MatMulInference;
use tract_onnx::tract_hir::ops::nn::{Reduce, Reducer, Softmax, sigmoid};

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

fn built(op: Box<dyn InferenceOp>) -> Built {
    Ok((op, vec![]))
}

/// All operators that a graph of a bundle may have.
pub(super) fn register() -> OnnxOpRegister {
    let mut all = OnnxOpRegister::default();
    all.insert("Add", |_, _| built(math::Add.into_hir()));
    all.insert("Sub", |_, _| built(math::Sub.into_hir()));
    all.insert("Mul", |_, _| built(math::Mul.into_hir()));
    all.insert("Div", |_, _| built(math::Div.into_hir()));
    all.insert("Neg", |_, _| built(math::neg().into_hir()));
    all.insert("Erf", |_, _| built(math::erf().into_hir()));
    all.insert("Exp", |_, _| built(math::exp().into_hir()));
    all.insert("Sqrt", |_, _| built(math::sqrt().into_hir()));
    all.insert("Tanh", |_, _| built(math::tanh().into_hir()));
    all.insert("Sigmoid", |_, _| built(sigmoid().into_hir()));
    all.insert("Relu", |_, _| built(expand(Clip::new(Some(0.0), None))));
    all.insert("Identity", |_, _| built(Box::<Identity>::default()));
    all.insert("Where", |_, _| built(expand(Iff)));
    all.insert("MatMul", |_, _| built(expand(MatMulInference::default())));
    all.insert("Gather", |_, node| built(expand(Gather::new(node.get_attr_opt("axis")?.unwrap_or(0)))));
    all.insert("Concat", |_, node| built(expand(Concat::new(node.get_attr("axis")?))));
    all.insert("Flatten", |_, node| built(expand(Flatten::new(node.get_attr_opt("axis")?.unwrap_or(1)))));
    all.insert("Softmax", |_, node| built(expand(Softmax::new(node.get_attr_opt("axis")?.unwrap_or(-1)))));
    all.insert("Reshape", |_, node| built(expand(Reshape::new(node.get_attr_opt("allowzero")?.unwrap_or(0i64) != 0))));
    all.insert("Transpose", |_, node| {
        let order: Option<Vec<i64>> = node.get_attr_opt_vec("perm")?;
        built(expand(PermuteAxes::new(order.map(|p| p.iter().map(|axis| *axis as usize).collect()))))
    });
    all.insert("Cast", |_, node| {
        let to = node.get_attr::<DatumType>("to")?;
        built(Box::new(cast(if to == i64::datum_type() { TDim::datum_type() } else { to })))
    });
    all.insert("Unsqueeze", |ctx, node| built(first(AddDims::new(axes(&constants(ctx, node, 1)?)))));
    all.insert("Squeeze", |ctx, node| built(first(Squeeze::new(Some(axes(&constants(ctx, node, 1)?))))));
    all.insert("ReduceSum", |ctx, node| reduce(ctx, node, Reducer::Sum));
    all.insert("ReduceMean", |ctx, node| reduce(ctx, node, Reducer::Mean));
    all.insert("Slice", |_, node| {
        let place = |input| (node.input.len() > input).then_some(input);
        let (optional_axes_input, optional_steps_input) = (place(3), place(4));
        built(Box::new(StridedSlice {
            optional_axes_input,
            optional_steps_input,
            begin_mask: 0,
            end_mask: 0,
            shrink_axis_mask: 0,
        }))
    });
    all.insert("Gemm", |_, node| {
        let factors = [node.get_attr_opt("alpha")?.unwrap_or(1.0), node.get_attr_opt("beta")?.unwrap_or(1.0)];
        ensure!(factors == [1.0f32; 2], "expected alpha and beta of 1, got {factors:?}");
        ensure!(!node.get_attr_opt("transA")?.unwrap_or(false), "expected transA of 0");
        built(expand(Gemm { transposed: node.get_attr_opt("transB")?.unwrap_or(false) }))
    });
    all.insert("LayerNormalization", |_, node| {
        ensure!(
            node.output.len() == 1 && node.get_attr_opt("axis")?.unwrap_or(-1i64) == -1,
            "expected one output, over the last axis"
        );
        built(expand(LayerNormalization { epsilon: node.get_attr_opt("epsilon")?.unwrap_or(1e-5) }))
    });
    all
}

/// The whole numbers of a constant input.
fn constants(ctx: &ParsingContext, node: &NodeProto, input: usize) -> TractResult<Vec<i64>> {
    let name = node.input.get(input).with_context(|| format!("`{}` has no input {input}", node.name))?;
    let graph = ctx.model.graph.as_ref().context("no graph")?;
    let tensor = graph.initializer.iter().find(|t| t.name == *name);
    let tensor = ctx.load_tensor(tensor.with_context(|| format!("`{name}` is no constant"))?)?;
    Ok(tensor.cast_to::<i64>()?.try_as_plain_ram()?.as_slice::<i64>()?.to_vec())
}

fn axes(axes: &[i64]) -> Vec<isize> {
    axes.iter().map(|axis| *axis as isize).collect()
}

fn reduce(ctx: &ParsingContext, node: &NodeProto, reducer: Reducer) -> Built {
    // Of ReduceMean the axes are an attribute until operator set 18.
    let axes = match node.get_attr_opt_vec("axes")? {
        Some(axes) => axes,
        None => constants(ctx, node, 1)?,
    };
    built(first(Reduce::new(Some(axes), node.get_attr_opt("keepdims")?.unwrap_or(1i64) == 1, reducer)))
}

/// An operator of which only the first input is computed; the others are constants that are read already.
#[derive(Debug, Clone)]
struct First<E>(E);

fn first<E: Expansion + Clone>(op: E) -> Box<dyn InferenceOp> {
    expand(First(op))
}

impl<E: Expansion + Clone> Expansion for First<E> {
    fn name(&self) -> StaticName {
        self.0.name()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        self.0.rules(s, &inputs[..1], outputs)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        self.0.wire(name, model, &inputs[..1])
    }
}

/// x `[m, k]` · w `[k, n]` (or its transpose) + c.
#[derive(Debug, Clone)]
struct Gemm {
    transposed: bool,
}

impl Expansion for Gemm {
    fn name(&self) -> StaticName {
        "Gemm".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        check_output_arity(outputs, 1)?;
        for of in inputs {
            s.equals(&of.datum_type, &outputs[0].datum_type)?;
        }
        for of in inputs[..2].iter().chain(outputs) {
            s.equals(&of.rank, 2)?;
        }
        let (k, n) = if self.transposed { (1, 0) } else { (0, 1) };
        s.equals(&inputs[0].shape[0], &outputs[0].shape[0])?;
        s.equals(&inputs[0].shape[1], &inputs[1].shape[k])?;
        s.equals(&inputs[1].shape[n], &outputs[0].shape[1])
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let axes = AxesMapping::for_numpy_matmul(2, false, self.transposed, false)?;
        let product = EinSum::new(axes, model.outlet_fact(inputs[0])?.datum_type);
        let product = model.wire_node(format!("{name}.product"), product, &inputs[..2])?[0];
        wire_with_rank_broadcast(name, model, math::add(), &[product, inputs[2]])
    }
}

/// (x − mean) / √(variance + ε) · scale + bias over the last axis. Ba, Kiros, Hinton, Layer normalization, 2016.
#[derive(Debug, Clone)]
struct LayerNormalization {
    epsilon: f32,
}

impl Expansion for LayerNormalization {
    fn name(&self) -> StaticName {
        "LayerNormalization".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        check_output_arity(outputs, 1)?;
        for of in inputs {
            s.equals(&of.datum_type, &outputs[0].datum_type)?;
        }
        s.equals(&inputs[0].shape, &outputs[0].shape)
    }

    fn wire(&self, name: &str, model: &mut TypedModel, inputs: &[OutletId]) -> TractResult<TVec<OutletId>> {
        let (x, scale, bias) = (inputs[0], inputs[1], inputs[2]);
        let fact = model.outlet_fact(x)?.clone();
        let last = fact.rank().checked_sub(1).context("expected an axis")?;
        let share = 1.0 / fact.shape[last].to_usize()? as f32;
        let share = model.add_const(format!("{name}.share"), tensor0(share))?;
        let epsilon = model.add_const(format!("{name}.epsilon"), tensor0(self.epsilon))?;
        let mean_of = |model: &mut TypedModel, step: &str, of: OutletId| -> TractResult<OutletId> {
            let sum = TypedReduce::new(tvec![last], TypedReducer::Sum);
            let sum = model.wire_node(format!("{name}.{step}_sum"), sum, &[of])?[0];
            Ok(wire_with_rank_broadcast(format!("{name}.{step}"), model, math::mul(), &[sum, share])?[0])
        };
        let mean = mean_of(model, "mean", x)?;
        let centered = model.wire_node(format!("{name}.centered"), math::sub(), &[x, mean])?[0];
        let square = model.wire_node(format!("{name}.square"), math::square(), &[centered])?[0];
        let variance = mean_of(model, "variance", square)?;
        let variance = wire_with_rank_broadcast(format!("{name}.stable"), model, math::add(), &[variance, epsilon])?[0];
        let inverse = model.wire_node(format!("{name}.inverse"), math::rsqrt(), &[variance])?[0];
        let normed = model.wire_node(format!("{name}.normed"), math::mul(), &[centered, inverse])?[0];
        let scaled = wire_with_rank_broadcast(format!("{name}.scaled"), model, math::mul(), &[normed, scale])?[0];
        wire_with_rank_broadcast(name, model, math::add(), &[scaled, bias])
    }
}
