//! Counts what a run of a graph takes, from the shapes of its values, before anything runs.

use tract_onnx::prelude::TypedRunnableModel;
use tract_onnx::tract_core::axes::Axis;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::Slice;
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::gru_seq::GruSeq;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::nn::Reduce;
use tract_onnx::tract_core::ops::source::TypedSource;

use super::limits::{STEPS_A_MATRIX, STEPS_A_NUMBER};

/// Bytes that tract takes for each packed matrix beside its numbers.
const PACKED_BYTES: u64 = 256;

/// What a graph takes, as far as its nodes tell.
#[derive(Debug, Default, PartialEq)]
pub struct Cost {
    /// Steps of a run, and of the moves of constants, which tract does while it loads.
    pub steps: u64,
    /// Bytes of moved constants. They stay as long as the graph.
    pub moved: u64,
}

impl Cost {
    /// The cost of a model whose nodes stand in the order in which they were wired.
    ///
    /// # Errors
    /// A node that computes from constants alone: tract would run it while it loads. Constants may be moved, and
    /// broadcast to more axes.
    pub fn of(model: &TypedModel) -> TractResult<Cost> {
        let mut follows = vec![false; model.nodes().len()];
        let mut cost = Cost::default();
        for node in model.nodes() {
            if node.op_is::<Const>() {
                continue;
            }
            follows[node.id] = node.op_is::<TypedSource>() || node.inputs.iter().any(|input| follows[input.node]);
            if !follows[node.id] {
                ensure!(node.op_is::<AxisOp>() || node.op_is::<Slice>(), "`{}` does not follow from the inputs", node.name);
                cost.moved = cost.moved.saturating_add(node.outputs.iter().map(|output| bytes(&output.fact)).sum());
            }
            let inputs: TVec<u64> = model.node_input_facts(node.id)?.into_iter().map(numbers).collect();
            let given: u64 = node.outputs.iter().map(|output| numbers(&output.fact)).sum();
            cost.steps = cost.steps.saturating_add(if let Some(einsum) = node.op_as::<EinSum>() {
                product(einsum, model, node)?
            } else if let Some(gru) = node.op_as::<GruSeq>() {
                // The input has the three gates of each step already.
                inputs[0].saturating_mul(gru.hidden as u64 + STEPS_A_NUMBER)
            } else if node.op_is::<Reduce>() {
                inputs[0].saturating_mul(STEPS_A_NUMBER)
            } else {
                given.saturating_mul(STEPS_A_NUMBER)
            });
        }
        Ok(cost)
    }
}

/// Steps of an Einstein sum. tract multiplies pairs of matrices: the longest axis that one input has alone are the
/// rows, that of the other the columns, and the summed axes are joined. The axes that are left are walked through, a
/// pair at a time.
fn product(einsum: &EinSum, model: &TypedModel, node: &TypedNode) -> TractResult<u64> {
    let shapes: TVec<TVec<u64>> = model.node_input_facts(node.id)?.into_iter().map(lengths).collect();
    let [a, b] = &shapes[..] else { bail!("a product of {} inputs", shapes.len()) };
    let length = |axis: &Axis, slot: usize| axis.inputs[slot].first().map(|at| shapes[slot][*at]);
    let longer = |axis: &Axis| length(axis, 0).max(length(axis, 1)).unwrap_or(1);
    let times = |lengths: &mut dyn Iterator<Item = u64>| lengths.fold(1u64, u64::saturating_mul);
    let axes = || einsum.axes.iter_all_axes();
    let kept = |axis: &&Axis| !axis.outputs[0].is_empty();
    let own = |slot: usize| {
        let alone = axes().filter(kept).filter(|axis| length(axis, 1 - slot).unwrap_or(1) == 1);
        alone.filter_map(|axis| length(axis, slot)).max().unwrap_or(1).max(1)
    };
    let outputs = times(&mut axes().filter(kept).map(longer));
    let summed = times(&mut axes().filter(|axis| !kept(axis)).map(longer)).max(1);
    let (read, rows, columns) = (times(&mut a.iter().copied()) + times(&mut b.iter().copied()), own(0), own(1));
    let pairs = outputs / (rows * columns).max(1);
    let packed =
        times(&mut a.iter().copied()) / (rows * summed).max(1) + times(&mut b.iter().copied()) / (columns * summed).max(1);
    let numbers = outputs.saturating_add(read).saturating_mul(STEPS_A_NUMBER);
    Ok(outputs.saturating_mul(summed).saturating_add(numbers).saturating_add((pairs + packed).saturating_mul(STEPS_A_MATRIX)))
}

/// The most bytes of values at one moment of a run. A value is there from its node to its last reader, the inputs and
/// outputs of the graph included.
pub fn peak(plan: &TypedRunnableModel) -> u64 {
    let (model, order) = (plan.model(), plan.order_without_consts());
    let mut last = vec![order.len(); model.nodes().len()];
    for (step, node) in order.iter().enumerate() {
        model.node(*node).inputs.iter().for_each(|input| last[input.node] = step);
    }
    for output in &model.outputs {
        last[output.node] = order.len();
    }
    let (mut there, mut most) = (0u64, 0u64);
    let mut freed = vec![0u64; order.len() + 1];
    for (step, node) in order.iter().enumerate() {
        let node = model.node(*node);
        let given = node.outputs.iter().map(|output| bytes(&output.fact)).fold(0, u64::saturating_add);
        there = there.saturating_add(given);
        most = most.max(there.saturating_add(beside(model, node)));
        freed[last[node.id]] = freed[last[node.id]].saturating_add(given);
        there = there.saturating_sub(freed[step]);
    }
    most
}

/// Bytes that a node takes while it runs, beside its inputs and outputs.
fn beside(model: &TypedModel, node: &TypedNode) -> u64 {
    match model.node_input_facts(node.id) {
        // It copies the steps of the sequence twice.
        Ok(inputs) if node.op_is::<GruSeq>() => 2 * bytes(inputs[0]),
        _ => 0,
    }
}

fn lengths(fact: &TypedFact) -> TVec<u64> {
    fact.shape.as_concrete().unwrap_or(&[usize::MAX]).iter().map(|length| *length as u64).collect()
}

/// How many numbers a value has.
pub fn numbers(fact: &TypedFact) -> u64 {
    lengths(fact).into_iter().fold(1, u64::saturating_mul)
}

/// Bytes of a value. Packed matrices have a fact of their own.
fn bytes(fact: &TypedFact) -> u64 {
    let one = match fact.exotic_fact() {
        Some(packed) => {
            let sizes = packed.buffer_sizes();
            PACKED_BYTES + sizes.iter().map(|size| size.to_i64().unwrap_or(i64::MAX) as u64).sum::<u64>()
        }
        None => fact.datum_type.size_of() as u64,
    };
    numbers(fact).saturating_mul(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_matrices_is_counted() {
        let mut model = TypedModel::default();
        let [a, b] = [[4, 8], [8, 2]].map(|shape| model.add_source(format!("{shape:?}"), f32::fact(shape)).unwrap());
        let product = EinSum::new("mk,kn->mn".parse().unwrap(), f32::datum_type());
        model.wire_node("product", product, &[a, b]).unwrap();
        // The numbers of both inputs, given and read, and those of the result; one pair of two matrices; multiply-adds.
        let steps = (2 * (32 + 16) + 8) * STEPS_A_NUMBER + 3 * STEPS_A_MATRIX + 4 * 8 * 2;
        assert_eq!(Cost::of(&model).unwrap(), Cost { steps, moved: 0 });
    }

    #[test]
    fn constants_may_be_moved_and_the_copies_are_counted() {
        let mut model = TypedModel::default();
        let constant = model.add_const("constant", Tensor::zero::<f32>(&[4, 8]).unwrap()).unwrap();
        model.wire_node("moved", AxisOp::Add(0), &[constant]).unwrap();
        assert_eq!(Cost::of(&model).unwrap(), Cost { steps: 32 * STEPS_A_NUMBER, moved: 128 });
        model.wire_node("computed", tract_onnx::tract_core::ops::math::exp(), &[constant]).unwrap();
        assert!(Cost::of(&model).unwrap_err().to_string().contains("`computed` does not follow"));
    }
}
