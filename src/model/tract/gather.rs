//! tract's `Gather`, with its indices checked.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::Gather;

/// A `Gather` that refuses an index past the end, where tract's own panics or reads another row.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
pub struct CheckedGather(pub Gather);

impl CheckedGather {
    /// Refuses indices outside an axis of this length. Negative ones count from its end.
    pub fn check(indices: &Tensor, length: usize) -> TractResult<()> {
        let all = -(length as i64)..length as i64;
        match indices.try_as_plain_ram()?.as_slice::<i64>()?.iter().find(|index| !all.contains(index)) {
            Some(index) => bail!("there is no index {index} in an axis of {length}"),
            None => Ok(()),
        }
    }
}

impl Op for CheckedGather {
    fn name(&self) -> StaticName {
        "CheckedGather".into()
    }

    op_as_typed_op!();
}

impl EvalOp for CheckedGather {
    op_out_of_plan!();

    fn eval(&self, context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        CheckedGather::check(&inputs[1], inputs[0].shape()[self.0.axis])?;
        self.0.eval(context, inputs)
    }
}

impl TypedOp for CheckedGather {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        self.0.output_facts(inputs)
    }

    as_op!();
}
