//! Why an item has its score: the score as a sum over the events of the history, the context and the item itself.

use serde::Serialize;

use super::{Known, Recommender};
use crate::error::Result;
use crate::explore::{Explore, PolicyChoice, below, decision_rng};
use crate::features::{Fields, RowEvent};
use crate::profile::LogLine;
use crate::rank::Candidate;
use crate::request::Request;
use crate::retrieve::{Scorer, Sums};

/// How many events have a part of their own, the last ones. Those before them share one.
const EACH: usize = 24;
/// How many orders of the events are looked at: half of them drawn, each then the other way round.
const ORDERS: usize = 8;

/// Why an item has its score. `bias`, `context`, `older` and the parts of the events sum to `score`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The score, in logits.
    pub score: f64,
    /// The score with a visitor of whom nothing is known; policies that learn from answers know which items were shown.
    pub bias: f64,
    /// What the context and the time of the request add for a visitor without a history.
    pub context: f64,
    /// What the events before those of the list add together.
    pub older: f64,
    /// The last events, oldest first.
    pub events: Vec<EventPart>,
}

/// What an event of the history adds to a score, in logits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventPart {
    /// Id of the event.
    pub event: String,
    /// Its item.
    pub item: String,
    /// What it adds.
    pub part: f64,
    /// Standard error of `part`: that of the orders that were drawn.
    pub error: f64,
}

/// What is explained: a score as a function of the history.
struct Explained<'a> {
    recommender: &'a Recommender,
    request: &'a Request,
    policy: PolicyChoice,
    tz_offset_min: i32,
    row: u32,
    /// The item's place in retrieval, for the ranker: that of the whole history, whatever is left out.
    place: usize,
}

impl Recommender {
    /// Why an item has the score that [`Recommender::recommend`] gives it for the profile: that of the ranker where one
    /// takes part, else that of retrieval, which policies that learn from answers have moved. The policy of the request
    /// knows of the slates of the log before the one with the request's decision and seed.
    ///
    /// What neighbours add is exact where no ranker takes part. All else an event adds is its Shapley value against the
    /// empty history, estimated from a few orders in which events join; the orders are the same in each call. The cost
    /// is that of at most 200 runs of the user tower, and of the ranker.
    ///
    /// # Errors
    /// `unknown-item`, and those of [`Recommender::recommend`].
    pub fn explain(&self, request: &Request, id: &str) -> Result<Explanation> {
        let row = self.row(id)?;
        let policy = request.check(&self.bundle.catalog)?;
        let known = self.known(&self.state(request))?;
        let ranker = self.ranker_for(request)?;
        let tz_offset_min = known.tz_offset_min;
        let mut explained = Explained { recommender: self, request, policy, tz_offset_min, row, place: 0 };
        let user = self.user_for(request, &known.encoded)?;
        // What neighbours add, for each event.
        let mut exact = vec![0.0; known.events.len()];
        if let Some(ranker) = ranker {
            let found = self.candidates(ranker, request, &known, &user);
            explained.place = 1 + found.iter().position(|(_, other)| *other == row).unwrap_or(ranker.candidates);
        } else if let (Some(neighbours), Some(weights), false) =
            (&self.bundle.neighbours, &self.bundle.manifest.neighbours, user.sums.rows().is_empty())
        {
            let history = &self.bundle.manifest.encoding.history;
            let kept = history.kept(&known.events, history.cap);
            for (place, part) in kept.into_iter().zip(Sums::parts(neighbours, weights, &known.encoded.history, row)) {
                exact[place] = f64::from(part);
            }
        }
        let (older, events) = known.events.split_at(known.events.len().saturating_sub(EACH));
        let joined = |has: &[bool]| {
            let older = older.iter().filter(|_| has[0]);
            older.chain(events.iter().zip(&has[1..]).filter(|(_, has)| **has).map(|(event, _)| event)).copied().collect()
        };
        let none = vec![false; events.len() + 1];
        let base = explained.score(joined(&none), &request.context, request.time)?;
        let bias = explained.score(Vec::new(), &Fields::new(), None)?;
        let all = explained.score(known.events.clone(), &request.context, request.time)?;
        let mut rng = decision_rng(0, "explain");
        // For each part the sum of what it added, and of the squares.
        let mut gains = vec![[0.0; 2]; none.len()];
        let mut order: Vec<usize> = (usize::from(older.is_empty())..none.len()).collect();
        for turn in 0..ORDERS {
            if turn % 2 == 1 {
                order.reverse();
            } else {
                (1..order.len()).rev().for_each(|i| order.swap(i, below(&mut rng, i as u64 + 1) as usize));
            }
            let (mut has, mut before) = (none.clone(), base);
            for (i, player) in order.iter().enumerate() {
                has[*player] = true;
                let is_all = i + 1 == order.len();
                let now = if is_all { all } else { explained.score(joined(&has), &request.context, request.time)? };
                let gain = now - before;
                gains[*player][0] += gain;
                gains[*player][1] += gain * gain;
                before = now;
            }
        }
        let parts: Vec<(f64, f64)> = gains.into_iter().map(mean).collect();
        let split = exact.len() - events.len();
        let event = |(at, (part, error)): (usize, &(f64, f64))| {
            let event = &self.profile.events()[split + at];
            let (id, item) = (event.id.clone().unwrap_or_default(), event.item.clone());
            EventPart { event: id, item, part: part + exact[split + at], error: *error }
        };
        Ok(Explanation {
            score: all + exact.iter().sum::<f64>(),
            bias,
            context: base - bias,
            older: parts[0].0 + exact[..split].iter().sum::<f64>(),
            events: parts[1..].iter().enumerate().map(event).collect(),
        })
    }
}

/// The mean of what a part added in each order, and its standard error.
fn mean([sum, squares]: [f64; 2]) -> (f64, f64) {
    let n = ORDERS as f64;
    let mean = sum / n;
    (mean, libm::sqrt((squares / n - mean * mean).max(0.0) / (n - 1.0)))
}

impl Explained<'_> {
    /// The lines of the log that the slate's policy knew, newest first: events, and the slates before it.
    fn lines(&self) -> impl Iterator<Item = &LogLine> {
        let Explore { decision, seed, .. } = &self.request.explore;
        let is_slate = |line: &&LogLine| match line {
            LogLine::Impression(shown) => {
                decision.is_some() && shown.request.explore.decision == *decision && shown.request.explore.seed == *seed
            }
            _ => false,
        };
        let log = &self.recommender.log;
        let mut later = log.newest_first().any(|line| is_slate(&line));
        log.newest_first().filter(move |line| {
            let is_known = !later || !matches!(line, LogLine::Impression(_));
            later = later && !is_slate(line);
            is_known
        })
    }

    /// The score for a history; without sums over neighbours if no ranker takes part.
    fn score(&self, events: Vec<RowEvent>, context: &Fields, time: Option<i64>) -> Result<f64> {
        let recommender = self.recommender;
        let encoded = recommender.bundle.manifest.encoding.encode_state(&events, context, time, self.tz_offset_min)?;
        let user = recommender.user_for(self.request, &encoded)?;
        let rows = &recommender.bundle.rows;
        let Some(spec) = recommender.ranker_for(self.request)? else {
            let decision = recommender.decision(self.request, self.policy, (&events, &mut self.lines()), &user, None);
            return Ok(Scorer::new(rows, decision.vector(&user.vector)).score(self.row).into());
        };
        let scorer = Scorer::new(rows, &user.vector);
        let (row, place) = (self.row, self.place);
        let candidate = Candidate { row, score: scorer.with(&user.sums).score(row), sum: user.sums.find(row), place };
        let known = Known { events, encoded, tz_offset_min: self.tz_offset_min };
        let reader = recommender.reader(spec, &known.visitor(context, time));
        let scores = recommender.run_ranker(spec, &reader, &user, &[candidate])?;
        Ok(scores.first().copied().unwrap_or_default().into())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::explore::POLICIES;
    use crate::profile::Event;
    use crate::recommender::testing::{recommender, request, stub};
    use crate::retrieve::Effort;

    fn sum(explanation: &Explanation) -> f64 {
        let Explanation { bias, context, older, events, .. } = explanation;
        bias + context + older + events.iter().map(|event| event.part).sum::<f64>()
    }

    /// Events that the tower reads, does not read, and cannot know, up to `n`.
    fn recommender_with(n: usize) -> Recommender {
        let mut recommender = recommender(&stub());
        for at in 4..n {
            let kind = ["like", "rate", "hide", "other"][at % 4].into();
            let (item, time) = (((7 * at) % 64).to_string(), Some(at as i64 * 3_600_000));
            recommender.record(Event { item, kind, time, value: Some(1.0 + (at % 5) as f64), ..Event::default() }).unwrap();
        }
        recommender
    }

    #[test]
    fn the_parts_sum_to_the_score() {
        for (n, rank) in [4, 12, 40].into_iter().flat_map(|n| [None, Some(false)].map(|rank| (n, rank))) {
            let recommender = recommender_with(n);
            let request = Request { rank, time: None, ..request(1, Explore::default()) };
            for id in ["1", "3", "33", "59"] {
                let explanation = recommender.explain(&request, id).unwrap();
                let score = recommender.rank(&[id.into()], &request).unwrap()[0].score;
                let close = |x: f64| (x - f64::from(score)).abs() < 1e-4;
                assert!(close(explanation.score) && close(sum(&explanation)), "{n} {id}: {explanation:?} is not {score}");
                assert_eq!(explanation.events.len(), n.min(EACH));
                assert_eq!(explanation, recommender.explain(&request, id).unwrap());
                assert!(n > EACH || explanation.older == 0.0);
            }
        }
    }

    /// The tower of the stub sums a third of each vector, so that each event adds a third of its product, and its
    /// neighbours: without a ranker nothing is left to the draw.
    #[test]
    fn a_sum_is_explained_exactly() {
        let recommender = recommender(&stub());
        let request = Request { rank: Some(false), ..request(1, Explore::default()) };
        let (rows, neighbours) = (&recommender.bundle().rows, recommender.bundle().neighbours.as_ref().unwrap());
        let vector = |row: u32| {
            let mut vector = vec![0.0; rows.dim()];
            rows.vector_into(row, &mut vector);
            vector
        };
        for row in 0..60u32 {
            let explanation = recommender.explain(&request, &(row + 1).to_string()).unwrap();
            assert!((explanation.bias - f64::from(rows.bias(row))).abs() < 1e-6 && explanation.context.abs() < 1e-6);
            // Newest first: the third event, of the 21st item, has age 0; the hidden item is not read.
            for (place, (of, age)) in [(2, 2), (7, 1), (20, 0)].into_iter().enumerate() {
                let product: f32 = vector(of).iter().zip(vector(row)).map(|(a, b)| a * b).sum();
                let (entries, scale) = neighbours.of(of);
                let weight: f32 = entries.filter(|(other, _)| *other == row).map(|(_, weight)| f32::from(weight) * scale).sum();
                let kind = if of == 7 { 0.5 } else { 1.0 };
                let expected = product / 3.0 + libm::powf(0.8, age as f32) * kind * weight;
                let event = &explanation.events[place];
                assert!((event.part - f64::from(expected)).abs() < 2e-3, "{row} {place}: {event:?} is not {expected}");
                assert!(event.error < 1e-3, "{event:?}");
            }
            let hidden = &explanation.events[3];
            assert_eq!((hidden.part, hidden.error, hidden.item.as_str()), (0.0, 0.0, "40"));
        }
    }

    /// Slates of every policy, without a ranker and behind one: what is explained is the score that the slate has.
    #[test]
    fn the_parts_sum_to_the_scores_of_slates() {
        let (mut rng, mut explained, mut learnt) = (decision_rng(3, "slates"), 0, 0);
        let n = if cfg!(debug_assertions) { 20 } else { 100 };
        for (policy, rank) in POLICIES.into_iter().flat_map(|policy| [None, Some(false)].map(|rank| (policy, rank))) {
            let mut recommender = recommender_with(3);
            for seed in 0..n {
                let mut draw = |n: u64| below(&mut rng, n);
                let explore = Explore { policy: policy.into(), epsilon: Some(0.2), seed, ..Explore::default() };
                let request = Request {
                    rank,
                    diversity: draw(2) as f64 / 4.0,
                    caps: (draw(2) == 1).then(|| ("category".into(), 3)).into_iter().collect(),
                    effort: [Effort::Accurate, Effort::Fast][draw(2) as usize],
                    neighbours: [None, Some(false)][draw(2) as usize],
                    ..request(1 + draw(6) as usize, explore)
                };
                let slate = recommender.recommend(&request).unwrap();
                let Some(LogLine::Impression(shown)) = recommender.log().newest_first().next() else { panic!("a slate") };
                let item = &slate.items[draw(slate.items.len() as u64) as usize];
                let explanation = recommender.explain(&shown.request, &item.id).unwrap();
                let close = |x: f64| (x - f64::from(item.score)).abs() < 1e-4;
                assert!(close(explanation.score) && close(sum(&explanation)), "{request:?}: {explanation:?} is not {item:?}");
                explained += 1;
                let plain = recommender.rank(std::slice::from_ref(&item.id), &request).unwrap();
                learnt += u64::from((plain[0].score - item.score).abs() > 1e-3);
                if draw(3) == 0 {
                    let kind = ["like", "rate", "hide"][draw(3) as usize].into();
                    recommender.record(Event { item: item.id.clone(), kind, ..Event::default() }).unwrap();
                }
            }
        }
        // The answers have moved the scores of the two policies that learn.
        assert!(explained == 10 * n && learnt > n, "{learnt} of {explained}");
    }

    #[test]
    fn who_has_done_nothing_has_no_parts() {
        let mut recommender = recommender(&stub());
        recommender.clear();
        let explanation = recommender.explain(&request(1, Explore::default()), "5").unwrap();
        assert!(explanation.events.is_empty() && (sum(&explanation) - explanation.score).abs() < 1e-9);
        assert_eq!(recommender.explain(&request(1, Explore::default()), "x").unwrap_err().code(), "unknown-item");
    }
}
