//! Graphs that would take too much, or that tract would not survive.

use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, tensor_proto::DataType};

use super::super::signature::{RANKER, Shapes, Signature, USER_TOWER};
use super::super::{Graph, ModelRuntime, TensorData};
use super::{Loaded, TractRuntime};
use crate::error::Result;

const LEN: usize = 4;
const DIM: usize = 2;
const SHAPES: Shapes = Shapes { batch: 1, dim: DIM, len: LEN, context: 1, item: 1, ranker: 3, heads: 1 };

/// A user tower whose vector is the sum of the history plus 0 times the value `x`.
struct Tower(GraphProto);

impl Tower {
    fn new() -> Tower {
        let mut tower = Tower::of(&USER_TOWER, "user");
        tower.ints("one", &[1]);
        tower.floats("nothing", &[], 0.0);
        tower.node("ReduceSum", &["vectors", "one"], "sum", &[("keepdims", 0)]);
        tower
    }

    /// No nodes yet, of this signature and with one output.
    fn of(signature: &Signature, output: &str) -> Tower {
        let named = |name: &str| ValueInfoProto { name: name.into(), ..Default::default() };
        let input = signature.inputs.iter().map(|port| named(port.name)).collect();
        Tower(GraphProto { input, output: vec![named(output)], ..Default::default() })
    }

    fn ints(&mut self, name: &str, data: &[i64]) {
        let (dims, data_type) = (vec![data.len() as i64], DataType::Int64 as i32);
        self.0.initializer.push(TensorProto {
            name: name.into(),
            dims,
            data_type,
            int64_data: data.to_vec(),
            ..Default::default()
        });
    }

    fn floats(&mut self, name: &str, dims: &[usize], value: f32) {
        let float_data = vec![value; dims.iter().product()];
        let (dims, data_type) = (dims.iter().map(|d| *d as i64).collect(), DataType::Float as i32);
        self.0.initializer.push(TensorProto { name: name.into(), dims, data_type, float_data, ..Default::default() });
    }

    /// Adds a node. Names of outputs are separated by blanks.
    fn node(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: &[(&str, i64)]) -> &mut NodeProto {
        let attribute = |(name, i): &(&str, i64)| AttributeProto { name: (*name).into(), r#type: 2, i: *i, ..Default::default() };
        self.0.node.push(NodeProto {
            op_type: operator.into(),
            input: inputs.iter().map(|name| (*name).into()).collect(),
            output: output.split(' ').map(Into::into).collect(),
            attribute: attributes.iter().map(attribute).collect(),
            ..Default::default()
        });
        self.0.node.last_mut().unwrap()
    }

    fn einsum(&mut self, equation: &str, inputs: &[&str], output: &str) {
        let node = self.node("Einsum", inputs, output, &[]);
        node.attribute.push(AttributeProto { name: "equation".into(), r#type: 3, s: equation.into(), ..Default::default() });
    }

    /// A value `x` `[8, n]` that follows from the history.
    fn wide(&mut self, n: usize) {
        self.ints("flat", &[8]);
        self.floats("row", &[n], 1.0);
        self.node("Reshape", &["vectors", "flat"], "column", &[]);
        self.einsum("a,b->ab", &["column", "row"], "x");
    }

    /// A GRU over `x` `[steps, 1, 1]` with this many hidden numbers.
    fn gru(&mut self, x: &str, hidden: usize) {
        for (name, shape) in [("w", [1, 3 * hidden, 1]), ("r", [1, 3 * hidden, hidden])] {
            self.floats(name, &shape, 1.0);
        }
        self.floats("b", &[1, 6 * hidden], 1.0);
        self.node("GRU", &[x, "w", "r", "b"], " y", &[("hidden_size", hidden as i64), ("linear_before_reset", 1)]);
    }

    /// Ends the graph: `x` of this rank takes part in the result.
    fn load(mut self, x: &str, rank: i64) -> Result<Loaded> {
        self.ints("all", &(0..rank).collect::<Vec<i64>>());
        self.node("ReduceSum", &[x, "all"], "x_sum", &[("keepdims", 0)]);
        self.node("Mul", &["x_sum", "nothing"], "x_nothing", &[]);
        self.node("Add", &["sum", "x_nothing"], "user", &[]);
        Loaded::new(Graph::UserTower, ModelProto { graph: Some(self.0), ..Default::default() }, &SHAPES)
    }
}

/// The error code of a tower, or `runs`.
fn code(x: &str, rank: i64, build: impl FnOnce(&mut Tower)) -> &'static str {
    let mut tower = Tower::new();
    build(&mut tower);
    tower.load(x, rank).map_or_else(|error| error.code(), |_| "runs")
}

#[test]
fn constants_are_not_multiplied_whatever_names_them() {
    let column = |tower: &mut Tower| tower.floats("c", &[60_000], 1.0);
    assert_eq!(code("x", 2, |tower| tower.wide(10)), "runs");
    let gemm = code("x", 2, |tower| {
        tower.floats("a", &[60_000, 1], 1.0);
        tower.floats("b", &[1, 60_000], 1.0);
        tower.node("Gemm", &["a", "b", "sum"], "x", &[]);
    });
    let second_output = code("x", 2, |tower| {
        column(tower);
        tower.node("Add", &["sum", "nothing"], "y c", &[]);
        tower.einsum("a,b->ab", &["c", "c"], "x");
    });
    let empty_name = code("x", 2, |tower| {
        tower.floats("", &[60_000], 1.0);
        tower.node("Add", &["sum", "nothing"], " y", &[]);
        tower.einsum("a,b->ab", &["", ""], "x");
    });
    let sequence = code("y", 3, |tower| {
        tower.floats("x", &[100_000, 1, 1], 1.0);
        tower.gru("x", 64);
    });
    assert_eq!([gemm, second_output, empty_name, sequence], ["model"; 4]);
    let moved = code("x", 1, |tower| {
        tower.floats("c", &[2, 2], 1.0);
        tower.node("Transpose", &["c"], "x", &[]);
    });
    let named_again = code("x", 1, |tower| {
        tower.floats("c", &[2], 1.0);
        tower.node("Identity", &["c"], "x", &[]);
    });
    assert_eq!([moved, named_again], ["model"; 2]);
}

#[test]
fn values_that_are_there_together_are_counted_together() {
    // Each is 64 MiB. All are read again after the last was made.
    let together = |k: usize| {
        code("z", 2, |tower| {
            tower.wide(1 << 21);
            tower.node("Tanh", &["x"], "x0", &[]);
            for i in 1..k {
                tower.node("Softmax", &[&format!("x{}", i - 1)], &format!("x{i}"), &[("axis", 1)]);
            }
            let mut last = format!("x{}", k - 1);
            for i in (0..k - 1).rev() {
                tower.node("Mul", &[&last, &format!("x{i}")], &format!("z{i}"), &[]);
                last = format!("z{i}");
            }
            tower.node("Neg", &[&last], "z", &[]);
        })
    };
    assert_eq!([together(2), together(8)], ["runs", "limit"]);
    // One after the other they take no more than two.
    let chain = code("x30", 2, |tower| {
        tower.wide(1 << 18);
        tower.node("Tanh", &["x"], "x0", &[]);
        for i in 0..30 {
            tower.node("Neg", &[&format!("x{i}")], &format!("x{}", i + 1), &[]);
        }
    });
    assert_eq!(chain, "runs");
}

#[test]
fn steps_are_counted() {
    let squares = |size: usize, times: usize| {
        code("q", 2, |tower| {
            tower.wide(size * size / 8);
            tower.ints("square", &[size as i64, size as i64]);
            tower.node("Reshape", &["x", "square"], "q0", &[]);
            for i in 0..times {
                tower.node("MatMul", &[&format!("q{i}"), "q0"], &format!("q{}", i + 1), &[]);
            }
            tower.node("Neg", &[&format!("q{times}")], "q", &[]);
        })
    };
    assert_eq!([squares(1024, 2), squares(1024, 20)], ["runs", "limit"]);
    // A million products of one number each.
    let pairs = |n: usize| {
        code("y", 2, |tower| {
            tower.wide(n);
            tower.einsum("ab,ab->ab", &["x", "x"], "y");
        })
    };
    assert_eq!([pairs(1 << 10), pairs(1 << 18)], ["runs", "limit"]);
    // The gates of all steps of a sequence are computed at once.
    let sequence = |steps: usize, hidden: usize| {
        code("y", 3, |tower| {
            tower.wide(steps / 8);
            tower.ints("sequence", &[steps as i64, 1, 1]);
            tower.node("Reshape", &["x", "sequence"], "s", &[]);
            tower.gru("s", hidden);
        })
    };
    assert_eq!([sequence(1 << 10, 64), sequence(1 << 19, 32), sequence(1 << 22, 64)], ["runs", "limit", "model"]);
}

#[test]
fn what_has_no_result_is_refused() {
    let divided = |by: &[i64]| {
        code("x", 2, |tower| {
            tower.ints("by", by);
            tower.floats("table", &[5], 1.0);
            tower.node("Div", &["types", "by"], "i", &[]);
            tower.node("Gather", &["table", "i"], "x", &[]);
        })
    };
    assert_eq!([&[2][..], &[1, 2, 3, 4], &[0], &[-1], &[1, 0, 1, 1]].map(divided), ["runs", "runs", "model", "model", "model"]);
    let by_computed = code("x", 2, |tower| {
        tower.floats("table", &[5], 1.0);
        tower.node("Div", &["types", "types"], "i", &[]);
        tower.node("Gather", &["table", "i"], "x", &[]);
    });
    assert_eq!(by_computed, "model");
    let gathered = |index: i64| {
        code("x", 3, |tower| {
            tower.ints("i", &[index]);
            tower.node("Gather", &["vectors", "i"], "x", &[("axis", 1)]);
        })
    };
    assert_eq!([3, -4, 4, -5, i64::MAX, i64::MIN].map(gathered), ["runs", "runs", "model", "model", "model", "model"]);
    let nothing = |operator: &'static str, inputs: &'static [&'static str], attributes: &'static [(&str, i64)]| {
        code("x", 3, |tower| {
            tower.floats("none", &[0], 1.0);
            tower.ints("last", &[2]);
            tower.einsum("ab,c->abc", &["mask", "none"], "empty");
            tower.node(operator, inputs, "x", attributes);
        })
    };
    let refused = [
        nothing("ReduceMean", &["empty", "last"], &[]),
        nothing("LayerNormalization", &["empty", "none", "none"], &[]),
        nothing("Softmax", &["empty"], &[("axis", 2)]),
        nothing("Concat", &["empty", "empty"], &[("axis", 2)]),
        nothing("Gather", &["none", "types"], &[]),
    ];
    assert_eq!(refused, ["model"; 5]);
}

#[test]
fn einsums_are_products_of_matrices() {
    let einsum = |equation: &str, rank| {
        code("x", rank, |tower| {
            tower.floats("w", &[2, 2], 1.0);
            tower.einsum(equation, &["vectors", "w"], "x");
        })
    };
    assert_eq!(["abc,cd->abd", "abc,de->abcde", "abc,de->ebcda"].map(|e| einsum(e, e.len() as i64 - 8)), ["runs"; 3]);
    for equation in ["abc,dd->abc", "abc,cd->abb", "abc,cd->abz", "abc,cd->ab", "abc,cd->ad", "abc->a", "äbc,cd->ab"] {
        assert_eq!(einsum(equation, 2), "model", "{equation}");
    }
}

/// An index that is computed is checked in the run, and the graph works on.
#[test]
fn indices_past_the_end_are_typed_errors_of_a_run() {
    let mut tower = Tower::new();
    tower.floats("table", &[5, DIM], 1.0);
    tower.node("Gather", &["table", "types"], "x", &[]);
    let runtime = TractRuntime { graphs: vec![(Graph::UserTower, tower.load("x", 3).unwrap())], shapes: SHAPES };
    let run = |kind: i64| {
        let data = USER_TOWER.inputs.iter().map(|port| match port.name {
            "types" => TensorData::I64(vec![kind; LEN]),
            _ if port.element == super::Element::I64 => TensorData::I64(vec![]),
            _ => TensorData::F32(vec![]),
        });
        runtime.run(Graph::UserTower, &USER_TOWER.pack(data.collect(), &SHAPES))
    };
    for kind in [5, -6, 1 << 62, i64::MIN] {
        let error = run(kind).unwrap_err();
        assert_eq!(error.code(), "model");
        assert!(error.to_string().contains(&format!("there is no index {kind} in an axis of 5")), "{error}");
    }
    assert_eq!(run(4).unwrap(), [vec![0.0; DIM]]);
}

/// A ranker whose head is the product of user and item plus Σ w · E[slot]: one row at a time, and in batches whose
/// plans are made when they are needed.
#[test]
fn a_ranker_runs_batches() {
    let mut ranker = Tower::of(&RANKER, "heads");
    let table: Vec<f32> = (0..10).map(|slot| slot as f32).collect();
    ranker.floats("table", &[10], 0.0);
    ranker.0.initializer.last_mut().unwrap().float_data = table;
    ranker.ints("last", &[1]);
    ranker.node("Mul", &["user", "item"], "both", &[]);
    ranker.node("ReduceSum", &["both", "last"], "product", &[("keepdims", 1)]);
    ranker.node("Gather", &["table", "slots"], "read", &[]);
    ranker.node("Mul", &["read", "weights"], "weighted", &[]);
    ranker.node("ReduceSum", &["weighted", "last"], "sum", &[("keepdims", 1)]);
    ranker.node("Add", &["product", "sum"], "heads", &[]);
    let loaded = Loaded::new(Graph::Ranker, ModelProto { graph: Some(ranker.0), ..Default::default() }, &SHAPES).unwrap();
    let runtime = TractRuntime { graphs: vec![(Graph::Ranker, loaded)], shapes: SHAPES };
    let plans = || runtime.graphs[0].1.plans.lock().unwrap().len();
    let run = |rows: usize, batch: usize| {
        let floats = |n: usize| TensorData::F32((0..rows * n).map(|i| i as f32).collect());
        let slots = TensorData::I64((0..rows * 3).map(|i| i as i64 % 10).collect());
        let shapes = Shapes { batch, ..SHAPES };
        runtime.run(Graph::Ranker, &RANKER.pack(vec![floats(DIM), floats(DIM), slots, floats(3)], &shapes))
    };
    assert_eq!(plans(), 1);
    let row = |i: usize| {
        let product: usize = (2 * i..2 * i + 2).map(|x| x * x).sum();
        (product + (3 * i..3 * i + 3).map(|j| j % 10 * j).sum::<usize>()) as f32
    };
    assert_eq!(run(1, 1).unwrap(), [vec![row(0)]]);
    for (rows, batch, expected) in [(50, 64, 2), (64, 64, 2), (200, 256, 3), (3, 64, 3)] {
        let heads = run(rows, batch).unwrap().remove(0);
        assert_eq!((heads.len(), plans()), (batch, expected));
        assert!(heads[..rows].iter().enumerate().all(|(i, head)| *head == row(i)) && heads[rows..].iter().all(|x| *x == 0.0));
    }
    for batch in [0, 2, 65, 512] {
        assert_eq!(run(1, batch).unwrap_err().code(), "model", "{batch}");
    }
}
