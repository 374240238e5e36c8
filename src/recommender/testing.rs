//! A recommender with known functions in place of graphs, for tests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Recommender, VisitorState};
use crate::bundle::testing::ranked_bundle;
use crate::error::{ErrorKind, Result};
use crate::explore::{Explore, decision_rng};
use crate::features::{Fields, Value};
use crate::model::{Graph, ModelRuntime, Tensor, TensorData};
use crate::profile::Event;
use crate::request::Request;
use crate::slate::{Propensity, SlotLoop};

const HOUR: i64 = 3_600_000;

/// Known functions in place of the graphs. It keeps the batch of each run of the ranker, and fails after so many.
#[derive(Clone)]
pub struct Stub {
    pub batches: Rc<RefCell<Vec<usize>>>,
    pub most: usize,
}

impl ModelRuntime for Stub {
    fn run(&self, graph: Graph, inputs: &[Tensor]) -> Result<Vec<Vec<f32>>> {
        let floats = |at: usize| match &inputs[at].data {
            TensorData::F32(data) => data.as_slice(),
            TensorData::I64(_) => panic!("floats"),
        };
        if graph == Graph::UserTower {
            let sums = (0..16).map(|k| floats(0).chunks(16).map(|v| v[k]).sum::<f32>() / 3.0).collect();
            return Ok(vec![sums, vec![0.1; 17]]);
        }
        let batch = inputs[0].shape[0];
        assert!(graph == Graph::Ranker && graph.batches().contains(&batch));
        self.batches.borrow_mut().push(batch);
        if self.batches.borrow().len() > self.most {
            return Err(ErrorKind::Model("no more".into()).at("ranker"));
        }
        let TensorData::I64(slots) = &inputs[2].data else { panic!("whole numbers") };
        let slots = slots.chunks(slots.len() / batch).zip(floats(3).chunks(slots.len() / batch));
        let vectors = floats(0).chunks(16).zip(floats(1).chunks(16));
        let heads = vectors.zip(slots).flat_map(|((user, item), (slots, weights))| {
            let product: f32 = user.iter().zip(item).map(|(a, b)| a * b).sum();
            let sum = |rate: f64| {
                let terms = slots.iter().zip(weights).map(|(slot, w)| w * libm::sin(*slot as f64 * rate) as f32);
                terms.sum::<f32>()
            };
            [0.2 * product + sum(1.0), sum(2.0)]
        });
        Ok(vec![heads.collect()])
    }
}

/// Runs without end.
pub fn stub() -> Stub {
    Stub { batches: Rc::default(), most: usize::MAX }
}

/// Over [`ranked_bundle`], with four events.
pub fn recommender(runtime: &Stub) -> Recommender {
    let mut recommender = Recommender::new(ranked_bundle(), Box::new(|| 0.0));
    recommender.set_runtime(Box::new(runtime.clone()));
    for (at, (item, kind)) in [("3", "like"), ("8", "rate"), ("21", "like"), ("40", "hide")].into_iter().enumerate() {
        let (item, kind, time) = (item.into(), kind.into(), Some(at as i64 * HOUR));
        recommender.record(Event { item, kind, time, value: Some(4.0), ..Event::default() }).unwrap();
    }
    recommender
}

/// A request for `k` items, a day after the events.
pub fn request(k: usize, explore: Explore) -> Request {
    let context = Fields::from([("segment".into(), Value::Text("collector".into()))]);
    Request { k, context, time: Some(30 * HOUR), explore, ..Request::default() }
}

/// The state that a request finds.
pub fn state<'a>(recommender: &'a Recommender, request: &'a Request) -> VisitorState<'a> {
    let Request { context, time, tz_offset_min, .. } = request;
    VisitorState { history: recommender.profile().events(), context, time: *time, tz_offset_min: *tz_offset_min }
}

/// Calls back with the slot loop of a decision.
pub type Loops<'a> = dyn FnMut(&str, &mut dyn FnMut(&mut SlotLoop)) + 'a;

/// Compares the frequencies of whole slates of `n` rows with the products of their propensities, over some decisions
/// with some draws each.
pub fn check_slates(request: &Request, n: u32, [decisions, draws]: [u64; 2], with: &mut Loops) {
    let mut cells: BTreeMap<Vec<u32>, (f64, f64)> = BTreeMap::new();
    for decision in (0..decisions).map(|decision| decision.to_string()) {
        with(&decision, &mut |slots| {
            for draw in 0..draws {
                let slate = slots.draw(request.k, &mut decision_rng(draw, &decision));
                cells.entry(slate).or_default().0 += 1.0;
            }
            let mut sum = 0.0;
            each_slate(slots, &mut Vec::new(), (n, request.k), 1.0, &mut |slate, p| {
                sum += p;
                cells.entry(slate.to_vec()).or_default().1 += p * draws as f64;
            });
            assert!((sum - 1.0).abs() < 1e-9, "{} sums to {sum}", request.explore.policy);
        });
    }
    chi_square(&request.explore.policy, cells.into_values());
}

/// The same for the marginal of each slot: Σ over the slates, of n rows, that have a row there.
pub fn check_marginals(request: &Request, n: u32, [decisions, draws]: [u64; 2], with: &mut Loops) {
    let mut cells = vec![(0.0, 0.0); request.k * n as usize];
    for decision in (0..decisions).map(|decision| decision.to_string()) {
        with(&decision, &mut |slots| {
            for draw in 0..draws {
                let slate = slots.draw(request.k, &mut decision_rng(draw, &decision)).into_iter().enumerate();
                slate.for_each(|(slot, row)| cells[slot * n as usize + row as usize].0 += 1.0);
            }
            each_slate(slots, &mut Vec::new(), (n, request.k), draws as f64, &mut |slate, expected| {
                slate.iter().enumerate().for_each(|(slot, row)| cells[slot * n as usize + *row as usize].1 += expected);
            });
        });
    }
    cells.chunks(n as usize).for_each(|slot| chi_square(&request.explore.policy, slot.iter().copied()));
}

/// A chi-square test of counts against what was expected, with an error of .001 / 10.
fn chi_square(name: &str, cells: impl Iterator<Item = (f64, f64)>) {
    // Cells with few expected draws are pooled into one.
    let (rare, common): (Vec<_>, Vec<_>) = cells.partition(|(_, expected)| *expected < 5.0);
    let rare = rare.iter().fold((0.0, 0.0), |sum, cell| (sum.0 + cell.0, sum.1 + cell.1));
    assert!(rare.0 == 0.0 || rare.1 > 0.0, "{name}: what has no chance was drawn");
    let cells: Vec<(f64, f64)> = common.into_iter().chain([rare].into_iter().filter(|cell| cell.1 > 0.0)).collect();
    let chi: f64 = cells.iter().map(|(got, expected)| (got - expected) * (got - expected) / expected).sum();
    let freedom = (cells.len() - 1) as f64;
    assert!(freedom > 40.0, "{name}: {freedom} degrees of freedom");
    // Wilson and Hilferty, The distribution of chi-square, 1931, with the z of .001 / 10.
    let part = 2.0 / (9.0 * freedom);
    let cube = 1.0 - part + 3.72 * libm::sqrt(part);
    assert!(chi < freedom * cube * cube * cube, "{name}: chi-square {chi} of {freedom}");
}

/// Calls `then` with every possible slate of k of n rows that begins with `before`, and with its probability.
fn each_slate(slots: &mut SlotLoop, before: &mut Vec<u32>, (n, k): (u32, usize), p: f64, then: &mut dyn FnMut(&[u32], f64)) {
    if before.len() == k {
        return then(before, p);
    }
    let mut ended = true;
    for row in 0..n {
        before.push(row);
        let Propensity { probability: own, standard_error } = slots.propensities(before)[before.len() - 1];
        assert!((0.0..=1.0).contains(&own) && standard_error.is_none_or(|error| (0.0..0.05).contains(&error)));
        if own > 0.0 {
            ended = false;
            each_slate(slots, before, (n, k), p * own, then);
        }
        before.pop();
    }
    if ended {
        then(before, p);
    }
}
