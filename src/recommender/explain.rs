//! Why an item has its score: the score as a sum over the events of the history, the context and the item itself.

use serde::Serialize;

use super::{Known, Recommender, User};
use crate::bundle::RankerSpec;
use crate::error::Result;
use crate::explore::{PolicyChoice, below, decision_rng};
use crate::features::{Fields, RowEvent};
use crate::profile::{Impression, LogLine};
use crate::rank::Candidate;
use crate::request::Request;
use crate::retrieve::{Bitmap, Scorer, Sums, TopK, precedes, search};

/// How many events have a part of their own, the last ones. Those before them share one.
const EACH: usize = 24;
/// How many orders of the events are looked at: half of them drawn, each then the other way round.
const ORDERS: usize = 8;
/// For how many events the place without them is told, those that add or take the most.
const PLACES: usize = 3;
/// How many items of the history are named beside an item of a slate.
const REASONS: usize = 2;

/// Why an item has its score. `bias`, `context`, `older` and the parts of the events sum to `score`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The score, in logits.
    pub score: f64,
    /// The item's place among those that may be shown, 1 for the best: by the ranker's scores for its candidates, which
    /// come first, else by those of retrieval. Constraints and exploration take no part.
    pub place: usize,
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
    /// The item's place if this event had not happened, among the same items; only for the three events with the
    /// greatest parts of either sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place_without: Option<usize>,
}

/// What is explained: a score as a function of the history.
struct Explained<'a> {
    recommender: &'a Recommender,
    request: &'a Request,
    policy: PolicyChoice,
    ranker: Option<&'a RankerSpec>,
    tz_offset_min: i32,
    row: u32,
    /// The item's place in retrieval, for the ranker: that of the whole history, whatever is left out.
    place: usize,
    /// Whether the log has the slate that the request made.
    is_logged: bool,
}

impl Recommender {
    /// Why an item has the score that [`Recommender::recommend`] gives it for the profile: that of the ranker where one
    /// takes part, else that of retrieval, which policies that learn from answers have moved. The policy of the request
    /// knows of the slates of the log before the one with the request's decision and seed.
    ///
    /// What neighbours add is exact where no ranker takes part. All else an event adds is its Shapley value against the
    /// empty history, estimated from a few orders in which events join; the orders are the same in each call. The cost
    /// is that of at most 200 runs of the user tower, and of the ranker, and of four orders of all items.
    ///
    /// # Errors
    /// `unknown-item`, and those of [`Recommender::recommend`].
    pub fn explain(&self, request: &Request, id: &str) -> Result<Explanation> {
        let row = self.row(id)?;
        let policy = request.check(&self.bundle.catalog)?;
        let known = self.known(&self.state(request))?;
        let ranker = self.ranker_for(request)?;
        let tz_offset_min = known.tz_offset_min;
        let (place, is_logged) = (0, false);
        let mut explained = Explained { recommender: self, request, policy, ranker, tz_offset_min, row, place, is_logged };
        explained.is_logged = self.log.lines().any(|line| match line {
            LogLine::Impression(shown) => explained.is_made(shown),
            _ => false,
        });
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
            for (age, part) in Sums::parts(neighbours, weights, &known.encoded.history, &[row]).into_iter().flatten() {
                exact[kept[age]] = f64::from(part);
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
            EventPart { event: id, item, part: part + exact[split + at], error: *error, place_without: None }
        };
        let mut events: Vec<EventPart> = parts[1..].iter().enumerate().map(event).collect();
        let allowed = self.allowed(&known.events, &request.exclude);
        let mut greatest = TopK::new(PLACES);
        let moving = events.iter().zip(0..).filter(|(event, _)| event.part != 0.0);
        moving.for_each(|(event, at)| greatest.offer(event.part.abs() as f32, at));
        for (_, at) in greatest.into_ranked() {
            let mut rest = known.events.clone();
            rest.remove(split + at as usize);
            events[at as usize].place_without = Some(explained.place_for(rest, &allowed)?);
        }
        Ok(Explanation {
            place: explained.place_for(known.events, &allowed)?,
            score: all + exact.iter().sum::<f64>(),
            bias,
            context: base - bias,
            older: parts[0].0 + exact[..split].iter().sum::<f64>(),
            events,
        })
    }
}

impl Recommender {
    /// For each row the items of the history that its sum over neighbours owes most to, best first.
    pub(super) fn reasons(&self, known: &Known, user: &User, rows: &[u32]) -> Vec<Vec<String>> {
        let (Some(neighbours), Some(weights), false) =
            (&self.bundle.neighbours, &self.bundle.manifest.neighbours, user.sums.rows().is_empty())
        else {
            return vec![Vec::new(); rows.len()];
        };
        let events = self.profile.events();
        let kept = self.bundle.manifest.encoding.history.kept(&known.events, weights.events);
        let named = |parts: Vec<(usize, f32)>| {
            let mut best = TopK::new(parts.len());
            parts.iter().filter(|(_, part)| *part > 0.0).for_each(|(age, part)| best.offer(*part, *age as u32));
            let mut items: Vec<String> = Vec::new();
            for item in best.into_ranked().into_iter().map(|(_, age)| &events[kept[age as usize]].item) {
                if items.len() < REASONS && !items.contains(item) {
                    items.push(item.clone());
                }
            }
            items
        };
        Sums::parts(neighbours, weights, &known.encoded.history, rows).into_iter().map(named).collect()
    }
}

/// The mean of what a part added in each order, and its standard error.
fn mean([sum, squares]: [f64; 2]) -> (f64, f64) {
    let n = ORDERS as f64;
    let mean = sum / n;
    (mean, libm::sqrt((squares / n - mean * mean).max(0.0) / (n - 1.0)))
}

impl Explained<'_> {
    /// Whether a slate of the log is the one that the request made.
    fn is_made(&self, shown: &Impression) -> bool {
        let [own, other] = [self.request, &shown.request].map(|request| &request.explore);
        own.decision.is_some() && own.decision == other.decision && own.seed == other.seed
    }

    /// A visitor with this history. Where no ranker takes part, answers have moved the vector.
    fn visitor(&self, events: Vec<RowEvent>, context: &Fields, time: Option<i64>) -> Result<(Known, User)> {
        let (recommender, tz_offset_min) = (self.recommender, self.tz_offset_min);
        let encoded = recommender.bundle.manifest.encoding.encode_state(&events, context, time, tz_offset_min)?;
        let mut user = recommender.user_for(self.request, &encoded)?;
        if self.ranker.is_none() {
            // The policy knew the slates before its own, if that is in the log.
            let mut later = self.is_logged;
            let knows = &mut |shown: &Impression| {
                let is_known = !later;
                later = later && !self.is_made(shown);
                is_known
            };
            let decision = recommender.decision(self.request, self.policy, (&events, knows), &user, None);
            user.vector = decision.vector(&user.vector).to_vec();
        }
        Ok((Known { events, encoded, tz_offset_min }, user))
    }

    /// The score for a history; without sums over neighbours if no ranker takes part.
    fn score(&self, events: Vec<RowEvent>, context: &Fields, time: Option<i64>) -> Result<f64> {
        let recommender = self.recommender;
        let (known, user) = self.visitor(events, context, time)?;
        let scorer = Scorer::new(&recommender.bundle.rows, &user.vector);
        let Some(spec) = self.ranker else { return Ok(scorer.score(self.row).into()) };
        let (row, place) = (self.row, self.place);
        let candidate = Candidate { row, score: scorer.with(&user.sums).score(row), sum: user.sums.find(row), place };
        let reader = recommender.reader(spec, &known.visitor(context, time));
        let scores = recommender.run_ranker(spec, &reader, &user, &[candidate])?;
        Ok(scores.first().copied().unwrap_or_default().into())
    }

    /// The item's place for a history among the items of `allowed`.
    fn place_for(&self, events: Vec<RowEvent>, allowed: &Bitmap) -> Result<usize> {
        let (recommender, Request { context, time, effort, .. }) = (self.recommender, self.request);
        let (known, user) = self.visitor(events, context, *time)?;
        let scorer = Scorer::new(&recommender.bundle.rows, &user.vector).with(&user.sums);
        let is_own = |(_, row): &&(f32, u32)| *row == self.row;
        let found = self.ranker.map_or_else(Vec::new, |spec| search(&scorer, allowed, spec.candidates, *effort));
        let scores = match self.ranker {
            Some(spec) if found.iter().any(|found| is_own(&found)) => {
                recommender.ranking(spec, &user, &known.visitor(context, *time), &found)?.ranked()
            }
            _ => allowed.iter().map(|row| (scorer.score(row), row)).collect(),
        };
        let own = scores.iter().find(is_own).copied().unwrap_or_else(|| (scorer.score(self.row), self.row));
        Ok(1 + scores.into_iter().filter(|other| precedes(*other, own).is_lt()).count())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::explore::{Explore, POLICIES};
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

    /// The places of the whole history are those of a slate of all items; those without an event are the places that
    /// the item has once the event is removed and its item still not shown.
    #[test]
    fn places_are_those_of_a_slate() {
        for rank in [None, Some(false)] {
            let mut recommender = recommender_with(12);
            let request = Request { rank, ..request(60, Explore::default()) };
            let place = |recommender: &mut Recommender, request: &Request, id: &str| {
                let slate = recommender.recommend(request).unwrap();
                recommender.take_back();
                slate.items.iter().position(|item| item.id == id).map(|place| place + 1)
            };
            let slate = recommender.recommend(&request).unwrap();
            let gone: Vec<String> = recommender.profile().events().iter().map(|event| event.item.clone()).collect();
            let moved = ["1", "5", "33", "59"].map(|id| {
                let explanation = recommender.explain(&request, id).unwrap();
                if explanation.place <= 20 || rank.is_some() {
                    assert_eq!(slate.items[explanation.place - 1].id, id);
                } else {
                    // Those that are no candidates stand behind these as retrieval orders them.
                    let plain = Request { rank: Some(false), ..request.clone() };
                    assert_eq!(place(&mut recommender, &plain, id), Some(explanation.place));
                }
                let told: Vec<&EventPart> = explanation.events.iter().filter(|event| event.place_without.is_some()).collect();
                let least = told.iter().map(|event| event.part.abs()).fold(f64::INFINITY, f64::min);
                let others = explanation.events.iter().filter(|event| event.place_without.is_none());
                assert!(told.len() == PLACES && others.into_iter().all(|event| event.part.abs() <= least));
                let mut moved = false;
                for event in told {
                    let mut bare = self::recommender(&stub());
                    let mut events = recommender.profile().events().to_vec();
                    events.retain(|other| other.id.as_deref() != Some(&event.event));
                    bare.import_profile(events).unwrap();
                    let request = Request { exclude: gone.clone(), ..request.clone() };
                    let without = event.place_without.unwrap();
                    assert!(rank.is_none() && without > 20 || place(&mut bare, &request, id) == Some(without));
                    moved |= without != explanation.place;
                }
                moved
            });
            assert!(moved.contains(&true));
        }
    }

    /// The reasons of an item are the items of the history with the greatest parts, where neighbours alone have any.
    #[test]
    fn reasons_are_the_greatest_parts_of_neighbours() {
        let mut recommender = recommender_with(12);
        // An item with two events is named once.
        for kind in ["like", "rate"] {
            recommender.record(Event { item: "41".into(), kind: kind.into(), ..Event::default() }).unwrap();
        }
        let plain = Request { rank: Some(false), ..request(60, Explore::default()) };
        // Without a tower: a vector that is 0.
        let request = Request { vector: Some(vec![0.0; 16]), neighbours: Some(true), ..plain.clone() };
        let slate = recommender.recommend(&request).unwrap();
        let mut named = 0;
        for item in &slate.items {
            let mut events = recommender.explain(&request, &item.id).unwrap().events;
            events.retain(|event| event.part > 0.0);
            events.reverse();
            events.sort_by(|a, b| b.part.total_cmp(&a.part));
            let mut items: Vec<String> = events.into_iter().map(|event| event.item).collect();
            items.dedup();
            items.truncate(REASONS);
            named += items.len();
            assert_eq!(item.reasons.as_ref(), Some(&items), "{}", item.id);
        }
        assert!(named >= 3, "{named}");
        // The same beside a tower; none where neighbours or the order are another's.
        let reasons = |recommender: &mut Recommender, request: &Request| -> Vec<Vec<String>> {
            let items = recommender.recommend(request).unwrap().items;
            recommender.take_back();
            items.into_iter().map(|item| item.reasons.unwrap()).collect()
        };
        assert_eq!(reasons(&mut recommender, &plain).iter().flatten().count(), named);
        for request in [Request { neighbours: Some(false), ..plain.clone() }, Request { rank: None, ..plain }] {
            assert!(reasons(&mut recommender, &request).iter().all(Vec::is_empty));
        }
        assert!(recommender.rank(&["5".into()], &request).unwrap()[0].reasons.is_none());
    }

    /// Of the items that would fill the slots by score alone, each that the slate lacks was passed over.
    #[test]
    fn a_slate_tells_where_candidates_fell_out() {
        for rank in [None, Some(false)] {
            let mut recommender = recommender_with(12);
            let explore = Explore { seed: 4, decision: Some("d".into()), ..Explore::default() };
            let plain = Request { rank, explain: true, ..request(8, explore.clone()) };
            let best = recommender.recommend(&plain).unwrap();
            recommender.take_back();
            let stages = best.stages.unwrap();
            let allowed = recommender.allowed(&recommender.resolve(recommender.profile().events()), &[]).len();
            assert_eq!([stages.items, stages.allowed], [60, allowed]);
            assert_eq!(stages.candidates, if rank.is_none() { 20 } else { 8 });
            assert!(stages.constraints.is_empty() && stages.exploration.is_empty());
            let asked = |explore: Explore, diversity: f64| {
                let mut recommender = recommender_with(12);
                let slate = recommender.recommend(&Request { explore, diversity, ..plain.clone() }).unwrap();
                let stages = slate.stages.unwrap();
                let missing: Vec<&String> = best.items.iter().map(|item| &item.id).collect();
                let has = |id: &&String| slate.items.iter().any(|item| item.id == **id);
                let missing = missing.into_iter().filter(|id| !has(id)).collect::<Vec<_>>();
                let told = missing.iter().filter(|id| stages.constraints.contains(id) != stages.exploration.contains(id));
                assert_eq!(told.count(), missing.len());
                assert_eq!(missing.len(), stages.constraints.len() + stages.exploration.len());
                [stages.constraints.len(), stages.exploration.len()]
            };
            let hot = Explore { policy: "softmax".into(), temperature: 5.0, ..explore.clone() };
            let explored = asked(hot.clone(), 0.0);
            assert!(explored[0] == 0 && explored[1] > 0);
            let unlike = asked(explore.clone(), 0.7);
            assert!(unlike[0] > 0 && unlike[1] == 0);
            assert!(asked(hot, 0.7)[0] > 0);
            // Without being asked a slate tells nothing, and it is the same.
            let quiet = recommender.recommend(&Request { explain: false, ..plain.clone() }).unwrap();
            assert!(quiet.stages.is_none() && quiet.items == best.items);
        }
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
