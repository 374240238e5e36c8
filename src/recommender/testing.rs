//! A recommender with known functions in place of graphs, for tests.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Recommender, VisitorState};
use crate::bundle::testing::ranked_bundle;
use crate::error::{ErrorKind, Result};
use crate::explore::Explore;
use crate::features::{Fields, Value};
use crate::model::{Graph, ModelRuntime, Tensor, TensorData};
use crate::profile::Event;
use crate::request::Request;

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
