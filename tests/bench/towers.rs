//! User towers of the shapes that others use, with random weights, as graphs for `make bench-browser`: `OUT/NAME-L.onnx`.
//!
//! They take the inputs of a bundle's user tower, so the tower module runs them as it runs that: a causal transformer of two pre-norm blocks and
//! two heads, whose last block computes the final position alone, and a GRU. d = 64.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use foretaste_trainer::onnx::{Attribute, Dim, GraphBuilder, Value};
use foretaste_trainer::ops::dropout::mix;
use foretaste_trainer::ops::{bag, event, gelu, layer_norm, linear};

/// Dimensions.
pub const D: usize = 64;
const HEADS: usize = 2;
const HIDDEN: usize = 256;
/// Slots of the context.
pub const CONTEXT: usize = 8;
/// Rows of every table.
pub const ROWS: usize = 16;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out)?;
    for len in [50, 200] {
        for (name, graph) in towers(len) {
            std::fs::write(args.out.join(format!("{name}-{len}.onnx")), graph)?;
        }
    }
    Ok(())
}

/// From h `[batch, L, d]` and the mask `[batch, L]` to `[batch, d]`.
type Encoder = fn(&mut Graph, Value, &Value, usize) -> Value;

/// The towers of histories of a length, by name.
pub fn towers(len: usize) -> Vec<(&'static str, Vec<u8>)> {
    let encoders: [(&str, Encoder); 2] = [("transformer", transformer), ("gru", gru)];
    let tower = |(name, encoder)| (name, Graph { g: GraphBuilder::new(name), seed: 0 }.tower(encoder, len));
    encoders.map(tower).to_vec()
}

/// A graph whose weights are drawn as it is built.
struct Graph {
    g: GraphBuilder,
    seed: u64,
}

impl Graph {
    /// Uniform numbers of a spread that keeps the size of what they are multiplied with.
    fn numbers(&mut self, n: usize, inputs: usize) -> Vec<f32> {
        self.seed += 1;
        let unit = |i: usize| (mix(self.seed, i as u64) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        let spread = (3.0 / inputs as f32).sqrt();
        (0..n).map(|i| spread * unit(i)).collect()
    }

    fn weights(&mut self, name: &str, shape: &[usize], inputs: usize) -> Value {
        let numbers = self.numbers(shape.iter().product(), inputs);
        self.g.constant_f32(name, shape, &numbers)
    }

    /// The graph of a tower: events, encoder, context.
    fn tower(&mut self, encoder: Encoder, len: usize) -> Vec<u8> {
        let row = [Dim::Batch, Dim::Fixed(len)];
        let vectors = self.g.input_f32("vectors", &[Dim::Batch, Dim::Fixed(len), Dim::Fixed(D)]);
        let [types, values, gaps, runs] = ["types", "values", "gaps", "runs"].map(|name| self.g.input_i64(name, &row));
        let mask = self.g.input_f32("mask", &row);
        let bag_row = [Dim::Batch, Dim::Fixed(CONTEXT)];
        let slots = self.g.input_i64("context_slots", &bag_row);
        let weights = self.g.input_f32("context_weights", &bag_row);

        let gain = self.numbers(ROWS, 100);
        let [v, t, a, r] = [(); 4].map(|_| self.numbers(ROWS * D, D));
        let tables = event::Tables { gain: &gain[..], values: &v[..], types: &t[..], gaps: &a[..], runs: &r[..] };
        let h = event::onnx(&mut self.g, D, &tables, &vectors, [&values, &types, &gaps, &runs]);
        let user = encoder(self, h, &mask, len);
        let table = self.numbers(ROWS * D, D);
        let context = bag::onnx(&mut self.g, "context", &table, D, &slots, &weights);
        let sum = self.g.node("Add", &[&user, &context], &[]);
        let (w, b) = (self.numbers(D * D, D), self.numbers(D, D));
        let user = linear::onnx(&mut self.g, "out", &sum, &w, &b);
        self.g.output_f32(&user, "user", &[Dim::Batch, Dim::Fixed(D)]);
        std::mem::replace(&mut self.g, GraphBuilder::new("")).finish()
    }

    fn product(&mut self, name: &str, x: &Value, shape: [usize; 2]) -> Value {
        let w = self.weights(name, &shape, shape[0]);
        let product = self.g.node("MatMul", &[x, &w], &[]);
        let bias = self.weights(&format!("{name}.bias"), &[shape[1]], shape[0]);
        self.g.node("Add", &[&product, &bias], &[])
    }

    fn reshape(&mut self, name: &str, x: &Value, shape: &[i64]) -> Value {
        let shape = self.g.constant_i64(name, &[shape.len()], shape);
        self.g.node("Reshape", &[x, &shape], &[])
    }

    /// x `[batch, rows, d]` as heads: `[batch, rows, heads, d / heads]`.
    fn heads(&mut self, name: &str, x: &Value, rows: usize) -> Value {
        self.reshape(&format!("{name}.heads"), x, &[-1, rows as i64, HEADS as i64, (D / HEADS) as i64])
    }

    /// A sum of products over named axes.
    fn einsum(&mut self, a: &Value, b: &Value, equation: &str) -> Value {
        self.g.node("Einsum", &[a, b], &[("equation", Attribute::Text(equation))])
    }
}

/// Position 0 is the newest: it sees all, others see what is older.
fn transformer(graph: &mut Graph, h: Value, mask: &Value, len: usize) -> Value {
    let places = graph.weights("places", &[1, len, D], D);
    let mut x = graph.g.node("Add", &[&h, &places], &[]);
    // −10⁹ where a key is no event.
    let (one, far) = (graph.g.constant_f32("one", &[], &[1.0]), graph.g.constant_f32("far", &[], &[1e9]));
    let absent = graph.g.node("Sub", &[mask, &one], &[]);
    let absent = graph.g.node("Mul", &[&absent, &far], &[]);
    let absent = graph.reshape("absent", &absent, &[-1, 1, 1, len as i64]);
    let newer: Vec<f32> = (0..len * len).map(|i| if i % len < i / len { -1e9 } else { 0.0 }).collect();
    let newer = graph.g.constant_f32("newer", &[1, 1, len, len], &newer);

    for block in ["first", "last"] {
        let name = |part: &str| format!("{block}.{part}");
        let normed = layer_norm::onnx(&mut graph.g, &name("norm"), &x, D, None);
        let (mut asking, mut rows, mut hidden) = (normed.clone(), len, absent.clone());
        if block == "last" {
            let newest = graph.g.constant_i64("newest", &[1], &[0]);
            let first = [("axis", Attribute::Int(1))];
            asking = graph.g.node("Gather", &[&normed, &newest], &first);
            x = graph.g.node("Gather", &[&x, &newest], &first);
            rows = 1;
        } else {
            hidden = graph.g.node("Add", &[&hidden, &newer], &[]);
        }
        let q = graph.product(&name("q"), &asking, [D, D]);
        let [k, v] = ["k", "v"].map(|part| graph.product(&name(part), &normed, [D, D]));
        let q = graph.heads(&name("q"), &q, rows);
        let [k, v] = [("k", k), ("v", v)].map(|(part, x)| graph.heads(&name(part), &x, len));
        let scale = graph.g.constant_f32(&name("scale"), &[], &[1.0 / ((D / HEADS) as f32).sqrt()]);
        let scores = graph.einsum(&q, &k, "bihd,bjhd->bhij");
        let scores = graph.g.node("Mul", &[&scores, &scale], &[]);
        let scores = graph.g.node("Add", &[&scores, &hidden], &[]);
        let shares = graph.g.node("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
        let seen = graph.einsum(&shares, &v, "bhij,bjhd->bihd");
        let seen = graph.reshape(&name("seen"), &seen, &[-1, rows as i64, D as i64]);
        let attended = graph.product(&name("out"), &seen, [D, D]);
        x = graph.g.node("Add", &[&x, &attended], &[]);
        let normed = layer_norm::onnx(&mut graph.g, &name("norm2"), &x, D, None);
        let inner = graph.product(&name("inner"), &normed, [D, HIDDEN]);
        let inner = gelu::onnx(&mut graph.g, &name("gelu"), &inner);
        let outer = graph.product(&name("outer"), &inner, [HIDDEN, D]);
        x = graph.g.node("Add", &[&x, &outer], &[]);
    }
    let user = layer_norm::onnx(&mut graph.g, "norm", &x, D, None);
    graph.reshape("flat", &user, &[-1, D as i64])
}

/// From the oldest to the newest event; those that are not there leave a state of zeros nearly as it is.
fn gru(graph: &mut Graph, h: Value, mask: &Value, _: usize) -> Value {
    let last = graph.g.constant_i64("mask.last", &[1], &[2]);
    let mask = graph.g.node("Unsqueeze", &[mask, &last], &[]);
    let h = graph.g.node("Mul", &[&h, &mask], &[]);
    let x = graph.g.node("Transpose", &[&h], &[("perm", Attribute::Ints(&[1, 0, 2]))]);
    let w = graph.weights("gru.w", &[1, 3 * D, D], D);
    let r = graph.weights("gru.r", &[1, 3 * D, D], D);
    let b = graph.weights("gru.b", &[1, 6 * D], D);
    let attributes = [
        ("hidden_size", Attribute::Int(D as i64)),
        ("linear_before_reset", Attribute::Int(1)),
        ("direction", Attribute::Text("reverse")),
    ];
    let state = graph.g.second("GRU", &[&x, &w, &r, &b], &attributes);
    graph.reshape("flat", &state, &[-1, D as i64])
}
