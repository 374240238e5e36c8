//! Exported graphs pass the official ONNX checker, and onnxruntime computes the same numbers as the trainer's own
//! forward pass.

use std::path::Path;
use std::process::Command;

use foretaste::golden::Golden;
use foretaste::model::signature::{Shapes, USER_TOWER, UserInputs, UserOutputs};
use foretaste::model::{Graph, ModelRuntime, TensorData, TractRuntime};
use foretaste_trainer::onnx::{Attribute, GraphBuilder, Value};
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::towers::{Encoder, Scales, encode_catalog};
use foretaste_trainer::training::Config;
use foretaste_trainer::verify::open_bundle;
use serde_json::json;

use crate::common;

/// The environment that `.ci/setup python` installs from `requirements.txt`.
const PYTHON: &str = "target/python/bin/python";

#[test]
fn the_checker_passes_and_onnxruntime_agrees() {
    use Encoder::{Gru, Mean, Pools, Sum, Transformer};
    for (encoder, rating_weight) in
        [(Pools, 1.0), (Pools, 0.0), (Mean, 1.0), (Sum, 1.0), (Sum, 0.0), (Gru, 1.0), (Transformer, 1.0)]
    {
        let folder = tempfile::tempdir().unwrap();
        let data = common::generated(folder.path(), 100, 40, 2000);
        let split = Split::of(&data, Protocol::All, None).unwrap();
        let untied = encoder == Sum;
        let config = Config { encoder: Some(encoder), untied, rating_weight, max_epochs: 5, ..common::small() };
        let run = common::trained(&data, &split, &config, folder.path());
        let expected = folder.path().join("expected.json");
        std::fs::write(&expected, expected_numbers(&run, &folder.path().join("bundle")).to_string()).unwrap();
        check(&folder.path().join("bundle"), &expected);
    }
}

/// Graphs that are valid ONNX but harmful are refused with a typed error before they allocate memory.
#[test]
fn hostile_graphs_are_refused() {
    type Build = fn(&mut GraphBuilder, &Value) -> Value;
    const LEN: usize = 4;
    const DIM: usize = 2;
    let shapes = Shapes { dim: DIM, len: LEN, context: 1, item: 1, ..Shapes::default() };
    let graph = |build: Build| {
        let mut g = GraphBuilder::new("hostile");
        let inputs = UserInputs::each(|port| g.input(port, &shapes));
        let user = build(&mut g, &inputs.vectors);
        g.output(UserOutputs::each(|port| port).user, &user, &shapes);
        g.finish()
    };
    let load = |build: Build| TractRuntime::new(&[(Graph::UserTower, graph(build))], shapes);
    let refusals: [(&str, &str, Build); 9] = [
        ("constants alone", "model", |g, _| {
            let c = g.constant_f32("c", &[1], &[1.0]);
            g.node("Exp", &[&c], &[])
        }),
        ("more numbers than memory", "model", |g, x| {
            let wide = g.constant_f32("wide", &[10_000, 1, 1, 1], &[0.0; 10_000]);
            let wider = g.constant_f32("wider", &[10_000, 1, 1, 1, 1], &[0.0; 10_000]);
            let sum = g.node("Add", &[x, &wide], &[]);
            g.node("Add", &[&sum, &wider], &[])
        }),
        ("an operator of no tower", "model", |g, x| g.node("Loop", &[x], &[])),
        ("no such value", "model", |g, x| g.node("Add", &[x, &Value("nowhere".into())], &[])),
        ("one input too many", "model", |g, x| g.node("Exp", &[x, x], &[])),
        ("matrices that do not fit", "model", |g, x| {
            let w = g.constant_f32("w", &[3, 3], &[0.0; 9]);
            g.node("MatMul", &[x, &w], &[])
        }),
        ("a shape that does not fit", "model", |g, x| {
            let to = g.constant_i64("to", &[2], &[-1, 3]);
            g.node("Reshape", &[x, &to], &[])
        }),
        ("an axis that is not there", "model", |g, x| {
            let axes = g.constant_i64("axes", &[1], &[7]);
            g.node("ReduceSum", &[x, &axes], &[])
        }),
        ("a name of two million letters", "limit", |g, x| {
            let long = g.constant_f32(&"x".repeat(2 << 20), &[1], &[1.0]);
            g.node("Add", &[x, &long], &[])
        }),
    ];
    for (name, code, build) in refusals {
        assert_eq!(load(build).err().map(|e| e.code()), Some(code), "{name}");
    }

    // A fault that depends on the inputs is reported by the run.
    let runtime = load(|g, x| {
        let to = g.constant_i64("to", &[2], &[-1, (LEN * DIM) as i64]);
        let flat = g.node("Reshape", &[x, &to], &[]);
        let table = g.constant_f32("table", &[3, DIM], &[0.0; 3 * DIM]);
        let rows = g.node("Gather", &[&table, &Value("context_slots".into())], &[("axis", Attribute::Int(0))]);
        let axes = g.constant_i64("axes", &[1], &[1]);
        let row = g.node("Squeeze", &[&rows, &axes], &[]);
        let w = g.constant_f32("w", &[LEN * DIM, DIM], &[0.0; LEN * DIM * DIM]);
        g.node("Gemm", &[&flat, &w, &row], &[])
    })
    .unwrap();
    let inputs = |slot: i64| {
        let none = || TensorData::I64(vec![]);
        let inputs = UserInputs {
            vectors: TensorData::F32(vec![]),
            types: none(),
            values: none(),
            gaps: none(),
            runs: none(),
            mask: TensorData::F32(vec![1.0; LEN]),
            context_slots: TensorData::I64(vec![slot]),
            context_weights: TensorData::F32(vec![1.0]),
        };
        USER_TOWER.pack(inputs.in_order(), &shapes)
    };
    assert_eq!(runtime.run(Graph::UserTower, &inputs(2)).unwrap(), [vec![0.0; DIM]]);
    for slot in [3, i64::MAX, i64::MIN] {
        assert_eq!(runtime.run(Graph::UserTower, &inputs(slot)).unwrap_err().code(), "model", "{slot}");
    }
    assert_eq!(runtime.run(Graph::UserTower, &inputs(2)).unwrap(), [vec![0.0; DIM]], "it still works");
}

/// Runs the graphs of a folder in onnxruntime and compares them with the expected numbers.
fn check(bundle: &Path, expected: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let python = root.join(PYTHON);
    assert!(python.exists(), "{PYTHON} is not there: run `.ci/setup python`");
    let out = Command::new(python).arg(root.join("trainer/tests/onnx_check.py")).arg(bundle).arg(expected).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let worst: f64 = String::from_utf8_lossy(&out.stdout).trim().parse().unwrap();
    assert!(worst <= 1e-4, "{worst}");
}

/// Batches of inputs for both graphs, by name, and the outputs that the trainer computes from them.
fn expected_numbers(run: &foretaste_trainer::training::Run, bundle: &Path) -> serde_json::Value {
    let recommender = open_bundle(bundle).unwrap();
    let golden: Golden = serde_json::from_slice(&std::fs::read(bundle.join("golden.json")).unwrap()).unwrap();
    let (encoding, dim) = (&run.card.encoding, run.card.config.dim);
    let len = encoding.history.len;
    let padded = |values: &[u16]| -> Vec<u16> { (0..len).map(|i| values.get(i).copied().unwrap_or(0)).collect() };
    let (mut vectors, mut mask, mut user, mut rating) = (vec![], vec![], vec![], vec![]);
    let (mut rows, mut context) = (<[Vec<u16>; 4]>::default(), (vec![], vec![]));
    let mut worst = 0.0f32;
    for row in &golden.rows {
        let h = &row.encoded.history;
        let mut read = vec![0.0; h.rows.len() * dim];
        read.chunks_exact_mut(dim).zip(&h.rows).for_each(|(out, r)| recommender.bundle().rows.history_vector_into(*r, out));
        let [u, r] = run.user.forward_one(&row.encoded, &read);
        let rated = recommender.user(&row.encoded).unwrap().rating.unwrap_or_default();
        assert_eq!(r.len(), rated.len());
        worst = r.iter().zip(&rated).fold(worst, |w, (a, b)| w.max((a - b).abs()));
        rating.extend(r);
        worst = u.iter().zip(&row.user).fold(worst, |w, (a, b)| w.max((a - b).abs()));
        user.extend(u);
        read.resize(len * dim, 0.0);
        vectors.extend(read);
        mask.extend((0..len).map(|i| if i < h.rows.len() { 1.0 } else { 0.0 }));
        for (out, values) in rows.iter_mut().zip([&h.types, &h.values, &h.gaps, &h.runs]) {
            out.extend(padded(values));
        }
        push_bag(&row.encoded.context, encoding.context_slots(), &mut context);
    }
    assert!(worst <= 1e-4, "tract differs from the trainer by {worst}: {:?}", run.card.config.encoder);

    let rows_of = run.rows();
    let mut items = (vec![], vec![]);
    encode_catalog(encoding, &Scales::default(), &run.catalog)
        .iter()
        .for_each(|bag| push_bag(bag, encoding.item_slots(), &mut items));
    let [types, values, gaps, runs] = rows;
    json!({
        "user_tower": {
            "inputs": {
                "vectors": vectors, "types": types, "values": values, "gaps": gaps, "runs": runs, "mask": mask,
                "context_slots": context.0, "context_weights": context.1,
            },
            "outputs": { "user": user, "rating": rating },
        },
        "item_tower": {
            "inputs": { "id": (1..=run.catalog.ids.len()).collect::<Vec<_>>(), "slots": items.0, "weights": items.1 },
            "outputs": { "vector": rows_of.vectors, "bias": rows_of.biases, "input": rows_of.inputs.unwrap_or_default() },
        },
    })
}

fn push_bag(bag: &[(u32, f32)], width: usize, (slots, weights): &mut (Vec<u32>, Vec<f32>)) {
    for i in 0..width {
        let (slot, weight) = bag.get(i).copied().unwrap_or_default();
        slots.push(slot);
        weights.push(weight);
    }
}
