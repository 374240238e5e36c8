//! Compares twenty training steps with PyTorch. `trace.py` wrote the expected numbers to `trace.json`.

use foretaste_trainer::losses::softmax::{self, Target};
use foretaste_trainer::ops::Real;
use foretaste_trainer::ops::dropout::Dropout;
use foretaste_trainer::ops::event::EventIndex;
use foretaste_trainer::optimizer::{Moments, clip};
use foretaste_trainer::towers::{Encoder, ItemTower, Parameter, UserInput, UserShape, UserTower};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Trace {
    shape: Shape,
    ids: Vec<u32>,
    bags: Vec<Vec<(u32, f32)>>,
    windows: Vec<Window>,
    starts: BTreeMap<String, Vec<f64>>,
    rate: f64,
    warm_up: u64,
    clip: f64,
    average_decay: f64,
    losses: Vec<f64>,
    average: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct Shape {
    dim: usize,
    hidden: usize,
    rows: [usize; 4],
    context: usize,
    items: usize,
    slots: usize,
}

#[derive(Deserialize)]
struct Window {
    /// Item, value, type, gap and run of each event.
    events: Vec<[u16; 5]>,
    contexts: Vec<Vec<(u32, f32)>>,
    targets: Vec<Wanted>,
}

#[derive(Deserialize)]
struct Wanted {
    wanted: Vec<(u32, f32)>,
    masked: Vec<u32>,
}

/// Concatenates the named lists in the order of a tower's parameters.
fn flat(layout: &[Parameter], lists: &BTreeMap<String, Vec<f64>>) -> Vec<f64> {
    layout.iter().filter(|t| !t.is_empty()).flat_map(|t| lists[&t.name].clone()).collect()
}

/// Replays the steps in the precision of `T`. Returns the loss of each step and the averaged numbers of both towers.
fn replay<T: Real>(trace: &Trace) -> (Vec<f64>, [Vec<f64>; 2]) {
    let s = &trace.shape;
    let shape =
        UserShape { encoder: Encoder::Pools, dim: s.dim, hidden: s.hidden, rows: s.rows, context: s.context, rates: false };
    let (mut items, mut user) = (ItemTower::<T>::zeros(s.dim, s.items, s.slots, false), UserTower::<T>::zeros(shape));
    let convert = |xs: Vec<f64>| xs.into_iter().map(T::of).collect::<Vec<T>>();
    items.numbers = convert(flat(&items.layout, &trace.starts));
    user.numbers = convert(flat(&user.layout, &trace.starts));
    let mut moments = [Moments::start(&items.numbers), Moments::start(&user.numbers)];
    let rows: usize = trace.windows.iter().map(|w| w.targets.len()).sum();
    let mut losses = Vec::new();
    for step in 1..=trace.losses.len() as u64 {
        let (v, bias) = items.forward(&trace.ids, &trace.bags);
        let (mut dv, mut dbias) = (vec![T::ZERO; v.len()], vec![T::ZERO; bias.len()]);
        let (mut ditems, mut duser) = (vec![T::ZERO; items.numbers.len()], vec![T::ZERO; user.numbers.len()]);
        let mut loss = 0.0;
        for window in &trace.windows {
            let event = |e: &[u16; 5]| EventIndex { item: e[0].into(), value: e[1], kind: e[2], gap: e[3], run: e[4] };
            let events: Vec<EventIndex> = window.events[..window.events.len() - 1].iter().map(event).collect();
            let target = |t: &Wanted| Target { wanted: t.wanted.clone(), masked: t.masked.clone() };
            let targets: Vec<Target> = window.targets.iter().map(target).collect();
            let input = UserInput { events: &events, vectors: &v, first: 0, contexts: &window.contexts };
            let a = user.forward(input, Dropout::NONE);
            let mut du = vec![T::ZERO; a.u.len()];
            let scale = T::of(1.0 / rows as f64);
            let shift = vec![T::ZERO; s.items];
            loss += softmax::loss(s.dim, (&a.u, &mut du), (&v, &mut dv), (&bias, &mut dbias), &shift, &targets, scale).to_f64();
            user.backward(input, &a, [&du, &[]], &mut dv, &mut duser);
        }
        items.backward(&trace.ids, &trace.bags, &dv, &dbias, &mut ditems);
        clip(&mut [&mut ditems[..], &mut duser[..]], trace.clip);
        let rate = trace.rate * (step as f64 / trace.warm_up as f64).min(1.0);
        moments[0].step(&mut items.numbers, &ditems, step, rate, trace.average_decay);
        moments[1].step(&mut user.numbers, &duser, step, rate, trace.average_decay);
        losses.push(loss);
    }
    let averages = moments.map(|m| m.average.into_iter().map(T::to_f64).collect());
    (losses, averages)
}

/// The largest difference, relative to the larger of 1 and the number.
fn far(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f64::max)
}

#[test]
fn twenty_steps_are_those_of_pytorch() {
    let trace: Trace = serde_json::from_str(include_str!("../trace.json")).unwrap();
    assert_eq!(trace.losses.len(), 20);
    // Weights of bags and targets are f32 here and f64 in PyTorch, so they differ by about 1e-7.
    for (got, tolerance) in [(replay::<f64>(&trace), 1e-6), (replay::<f32>(&trace), 1e-4)] {
        let (losses, [items, user]) = got;
        assert!(far(&losses, &trace.losses) < tolerance, "losses {losses:?}, PyTorch {:?}", trace.losses);
        let layouts = (ItemTower::<f64>::zeros(trace.shape.dim, trace.shape.items, trace.shape.slots, false).layout, {
            let s = &trace.shape;
            UserTower::<f64>::zeros(UserShape {
                encoder: Encoder::Pools,
                dim: s.dim,
                hidden: s.hidden,
                rows: s.rows,
                context: s.context,
                rates: false,
            })
            .layout
        });
        // Adam divides by the size of the gradient. Where it is near 0, rounding errors are larger in the numbers than
        // in the losses.
        let looser = 10.0 * tolerance;
        assert!(far(&items, &flat(&layouts.0, &trace.average)) < looser, "item tower");
        assert!(far(&user, &flat(&layouts.1, &trace.average)) < looser, "user tower");
    }
}
