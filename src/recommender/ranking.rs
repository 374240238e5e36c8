//! Runs the ranker on the candidates of a slate, and on other rows when a slot needs them.

use std::cell::RefCell;

use super::{Known, Recommender, User, VisitorState};
use crate::bundle::{FEATURES, RankerSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Graph;
use crate::model::signature::RankerOutputs;
use crate::rank::{Candidate, RankerReader, Visitor};
use crate::request::Request;
use crate::retrieve::{Bitmap, Effort, Scorer, TopK, search};

/// The ranker's scores for one request. The score of a row is the same whenever it is asked for: a row that is not
/// among the candidates has the place after the last one.
pub(super) struct Ranking<'a> {
    recommender: &'a Recommender,
    spec: &'a RankerSpec,
    reader: RankerReader<'a>,
    user: &'a User,
    scorer: Scorer<'a>,
    /// The candidates in the order of retrieval, best first.
    candidates: Vec<u32>,
    /// What was ranked so far. A few hundred rows are found as fast in a list as in a tree, whose code is large.
    ranked: RefCell<Vec<(f32, u32)>>,
    /// Why a run failed.
    fault: RefCell<Option<Error>>,
}

impl Recommender {
    /// The ranker that a request goes through; `None` if the bundle has none or the request leaves it out.
    ///
    /// # Errors
    /// `missing` before the values of items that the ranker reads are there.
    pub(super) fn ranker_for(&self, request: &Request) -> Result<Option<&RankerSpec>> {
        let manifest = &self.bundle.manifest;
        let ranker = manifest.ranker.as_ref().filter(|_| request.rank.unwrap_or(request.vector.is_none()));
        match ranker {
            Some(_) if manifest.has_features() && self.bundle.features.is_none() => Err(ErrorKind::Missing.at(FEATURES)),
            ranker => Ok(ranker),
        }
    }

    /// The items that the ranker looks at for a request, best first, with the scores of retrieval.
    pub(super) fn candidates(&self, spec: &RankerSpec, request: &Request, known: &Known, user: &User) -> Vec<(f32, u32)> {
        let scorer = Scorer::new(&self.bundle.rows, &user.vector).with(&user.sums);
        search(&scorer, &self.allowed(&known.events, &request.exclude), spec.candidates, request.effort)
    }

    /// The ranker's scores of some candidates, run in batches.
    ///
    /// # Errors
    /// Same errors as [`Recommender::ranking`].
    pub(super) fn run_ranker(
        &self,
        spec: &RankerSpec,
        reader: &RankerReader,
        user: &User,
        candidates: &[Candidate],
    ) -> Result<Vec<f32>> {
        let (batches, heads) = (Graph::Ranker.batches(), spec.heads.len());
        let mut scores = Vec::with_capacity(candidates.len());
        for chunk in candidates.chunks(batches[batches.len() - 1]) {
            let batch = batches.iter().copied().find(|batch| *batch >= chunk.len()).unwrap_or(chunk.len());
            let inputs = reader.tensors(&self.bundle.rows, &user.vector, chunk).in_order();
            let mut outputs = self.run(Graph::Ranker, batch, inputs)?;
            let RankerOutputs { heads: outputs } = RankerOutputs::each(|_| outputs.next().unwrap_or_default());
            scores.extend(outputs.chunks_exact(heads).take(chunk.len()).map(|outputs| spec.score(outputs)));
        }
        Ok(scores)
    }

    /// The inputs of the ranker for a visitor.
    pub(super) fn reader<'a>(&'a self, spec: &'a RankerSpec, visitor: &Visitor) -> RankerReader<'a> {
        RankerReader::new(&self.bundle, &self.bundle.manifest.encoding, spec, visitor)
    }

    /// Ranks the candidates of a request; `None` if no ranker takes part.
    ///
    /// # Errors
    /// Same errors as [`Recommender::ranker_for`] and [`Recommender::ranking`].
    pub(super) fn ranking_of<'a>(
        &'a self,
        request: &Request,
        user: &'a User,
        known: &Known,
        found: &[(f32, u32)],
    ) -> Result<Option<Ranking<'a>>> {
        let rank = |spec| self.ranking(spec, user, &known.visitor(&request.context, request.time), found);
        self.ranker_for(request)?.map(rank).transpose()
    }

    /// The N best of the allowed rows for a visitor, N being how many the ranker looks at, with its scores, best first,
    /// ties by row; `None` if the bundle has no ranker. `user` is what [`Recommender::user`] gives for the state.
    ///
    /// # Errors
    /// `unknown-key` for a context column that the bundle does not have; `missing`, `no-model` and `model` as
    /// [`Recommender::recommend`].
    pub fn ranked(&self, state: &VisitorState, user: &User, allowed: &Bitmap) -> Result<Option<Vec<(f32, u32)>>> {
        let Some(spec) = self.ranker_for(&Request::default())? else { return Ok(None) };
        let known = self.known(state)?;
        let scorer = Scorer::new(&self.bundle.rows, &user.vector).with(&user.sums);
        let found = search(&scorer, allowed, spec.candidates, Effort::Accurate);
        let mut best = TopK::new(found.len());
        let ranking = self.ranking(spec, user, &known.visitor(state.context, state.time), &found)?;
        ranking.ranked().into_iter().for_each(|(score, row)| best.offer(score, row));
        Ok(Some(best.into_ranked()))
    }

    /// Ranks the candidates that retrieval has found.
    ///
    /// # Errors
    /// `no-model` without the graph; `model` if a run fails, or gives another shape or a number that is not finite.
    pub(super) fn ranking<'a>(
        &'a self,
        spec: &'a RankerSpec,
        user: &'a User,
        visitor: &Visitor,
        found: &[(f32, u32)],
    ) -> Result<Ranking<'a>> {
        let scorer = Scorer::new(&self.bundle.rows, &user.vector).with(&user.sums);
        // A search for a pool ranks by int8 scores alone; places must not depend on how the rows were found.
        let mut ordered = TopK::new(found.len());
        found.iter().for_each(|(_, row)| ordered.offer(scorer.score(*row), *row));
        let candidates = ordered.into_ranked().into_iter().map(|(_, row)| row).collect();
        let reader = self.reader(spec, visitor);
        let (ranked, fault) = Default::default();
        let ranking = Ranking { recommender: self, spec, reader, user, scorer, candidates, ranked, fault };
        ranking.run(&ranking.candidates)?;
        Ok(ranking)
    }
}

impl Ranking<'_> {
    /// What the ranker reads of a row.
    fn candidate(&self, row: u32) -> Candidate {
        let place = 1 + self.candidates.iter().position(|other| *other == row).unwrap_or(self.spec.candidates);
        Candidate { row, score: self.scorer.score(row), sum: self.user.sums.find(row), place }
    }

    /// Ranks those of the rows that were not ranked yet.
    fn run(&self, rows: &[u32]) -> Result<()> {
        let fresh: Vec<Candidate> =
            rows.iter().filter(|row| self.score(**row).is_none()).map(|row| self.candidate(*row)).collect();
        let scores = self.recommender.run_ranker(self.spec, &self.reader, self.user, &fresh)?;
        self.ranked.borrow_mut().extend(scores.into_iter().zip(fresh.iter().map(|candidate| candidate.row)));
        Ok(())
    }

    /// The score of a row that was ranked.
    fn score(&self, row: u32) -> Option<f32> {
        self.ranked.borrow().iter().find(|(_, other)| *other == row).map(|(score, _)| *score)
    }

    /// The scores of some rows. If a run fails, they are 0, and [`Ranking::check`] tells.
    pub fn scores(&self, rows: &[u32]) -> Vec<f32> {
        if let Err(error) = self.run(rows) {
            self.fault.borrow_mut().get_or_insert(error);
        }
        rows.iter().map(|row| self.score(*row).unwrap_or(0.0)).collect()
    }

    /// The rows that were ranked so far, with their scores.
    pub fn ranked(&self) -> Vec<(f32, u32)> {
        self.ranked.borrow().clone()
    }

    /// # Errors
    /// That of the first run that failed.
    pub fn check(&self) -> Result<()> {
        self.fault.borrow_mut().take().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use std::sync::Arc;

    use super::*;
    use crate::bundle::testing::ranked_bundle;
    use crate::explore::{Explore, POLICIES};
    use crate::features::Value;
    use crate::recommender::testing::{Stub, check_marginals, check_slates, recommender, request, state, stub};
    use crate::retrieve::precedes;
    use crate::slate::SlotLoop;

    const CANDIDATES: usize = 20;

    /// The rows as retrieval orders them, with the ranker's scores: each row alone, in a batch of one.
    fn by_hand(recommender: &Recommender, request: &Request) -> Vec<(f32, u32)> {
        let known = recommender.known(&state(recommender, request)).unwrap();
        let user = recommender.user(&known.encoded).unwrap();
        let mut best: Vec<(f32, u32)> = recommender.scores(&user).into_iter().zip(0..).collect();
        let seen = [2, 7, 20, 39];
        best.retain(|(_, row)| !seen.contains(row));
        best.sort_by(|a, b| precedes(*a, *b));
        let spec = recommender.bundle().manifest.ranker.as_ref().unwrap();
        let reader = RankerReader::new(
            recommender.bundle(),
            &recommender.bundle().manifest.encoding,
            spec,
            &known.visitor(&request.context, request.time),
        );
        let ranked = |(i, (score, row)): (usize, &(f32, u32))| {
            let candidate = Candidate { row: *row, score: *score, sum: user.sums.find(*row), place: (i + 1).min(CANDIDATES + 1) };
            let inputs = reader.tensors(&recommender.bundle().rows, &user.vector, &[candidate]).in_order();
            let heads = recommender.run(Graph::Ranker, 1, inputs).unwrap().next().unwrap();
            (spec.score(&heads), *row)
        };
        best.iter().enumerate().map(ranked).collect()
    }

    fn ids(rows: &[(f32, u32)]) -> Vec<(String, f32)> {
        rows.iter().map(|(score, row)| ((row + 1).to_string(), *score)).collect()
    }

    /// The N best of retrieval in the order of the ranker; then those of the next N, as many as the slate asks for.
    #[test]
    fn a_slate_is_the_definition() {
        for k in [1, 5, CANDIDATES, 33, 60] {
            let (runtime, request) = (stub(), request(k, Explore::default()));
            let mut recommender = recommender(&runtime);
            let mut expected = by_hand(&recommender, &request);
            assert!(!expected.is_sorted_by(|a, b| precedes(*a, *b).is_lt()), "the ranker changes the order");
            expected.chunks_mut(CANDIDATES).for_each(|part| part.sort_by(|a, b| precedes(*a, *b)));
            runtime.batches.borrow_mut().clear();
            let slate = recommender.recommend(&request).unwrap();
            let got: Vec<(String, f32)> = slate.items.iter().map(|item| (item.id.clone(), item.score)).collect();
            assert_eq!(got, ids(&expected[..k.min(56)]));
            assert_eq!(*runtime.batches.borrow(), vec![64; k.min(56).div_ceil(CANDIDATES)]);
            assert!(slate.items.iter().all(|item| item.propensity == Some(1.0)));

            // As a state has them.
            let state = state(&recommender, &request);
            let user = recommender.user(&recommender.encode(&state).unwrap()).unwrap();
            let ranked = recommender.ranked(&state, &user, &Bitmap::without(60, &[2, 7, 20, 39])).unwrap().unwrap();
            assert_eq!(ranked, expected[..CANDIDATES]);

            // The same scores outside of a slate; a seen item is ranked too, as one that is no candidate.
            let listed = recommender.rank(&got.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), &request).unwrap();
            let mut sorted = expected[..k.min(56)].to_vec();
            sorted.sort_by(|a, b| precedes(*a, *b));
            assert_eq!(listed.into_iter().map(|item| (item.id, item.score)).collect::<Vec<_>>(), ids(&sorted));
            assert_eq!(recommender.rank(&["3".into()], &request).unwrap().len(), 1);
        }
    }

    /// A shard's answer gives the slate of the whole.
    #[test]
    fn the_two_halves_are_the_whole() {
        let request = request(5, Explore::default());
        let whole = recommender(&stub()).recommend(&request).unwrap();
        let mut halves = recommender(&stub());
        let pending = halves.ask(request).unwrap();
        assert_eq!(pending.k(), CANDIDATES);
        let bundle = halves.bundle();
        let rest = Bitmap::without(60, &pending.removed());
        let best = search(&Scorer::new(&bundle.rows, pending.vector()), &rest, pending.k(), pending.effort());
        assert_eq!(halves.answer(pending, best).unwrap().items, whole.items);
    }

    /// Without the ranker the slates are those of a bundle that has none.
    #[test]
    fn a_request_may_leave_the_ranker_out() {
        for policy in POLICIES {
            let explore = Explore { policy: policy.into(), decision: Some("d".into()), ..Explore::default() };
            let runtime = stub();
            let plain = Request { rank: Some(false), ..request(9, explore.clone()) };
            let with = recommender(&runtime).recommend(&plain).unwrap();
            assert!(runtime.batches.borrow().is_empty());
            let mut bare = ranked_bundle();
            Arc::make_mut(&mut bare.manifest).ranker = None;
            let events = recommender(&runtime).profile().events().to_vec();
            let mut recommender = Recommender::new(bare, Box::new(|| 0.0));
            recommender.set_runtime(Box::new(runtime.clone()));
            recommender.import_profile(events).unwrap();
            for rank in [None, Some(false), Some(true)] {
                let slate = recommender.recommend(&Request { rank, ..plain.clone() }).unwrap();
                assert_eq!(slate.items, with.items, "{policy}");
                recommender.take_back();
            }
            assert!(runtime.batches.borrow().is_empty());
            // A vector of the page's own is not ranked unless it asks for it.
            let vector = Some(vec![0.5; 16]);
            let own = Request { vector, explore, ..Request::default() };
            let mut ranked = self::recommender(&runtime);
            ranked.recommend(&own).unwrap();
            assert!(runtime.batches.borrow().is_empty());
            ranked.recommend(&Request { rank: Some(true), ..own }).unwrap();
            assert!(!runtime.batches.borrow().is_empty());
        }
    }

    /// For every policy, with items that exploration drew from outside: the appraisal of a slate gives its
    /// propensities.
    #[test]
    fn an_appraisal_gives_the_propensities_back() {
        let mut outsiders = 0;
        for policy in POLICIES {
            for seed in 0..20 {
                let explore =
                    Explore { policy: policy.into(), epsilon: Some(0.3), seed, decision: Some("d".into()), ..Explore::default() };
                let request = Request { diversity: 0.3, ..request(6, explore) };
                let slate = recommender(&stub()).recommend(&request).unwrap();
                let fresh = recommender(&stub());
                let ids: Vec<String> = slate.items.iter().map(|item| item.id.clone()).collect();
                let appraised = fresh.appraise(&request, &ids).unwrap();
                let hand = by_hand(&fresh, &request);
                for (item, appraisal) in slate.items.iter().zip(&appraised) {
                    assert_eq!(item.propensity, Some(appraisal.propensity), "{policy}");
                    let row = fresh.row(&item.id).unwrap();
                    let place = hand.iter().position(|(_, other)| *other == row).unwrap();
                    assert_eq!(item.score, hand[place].0, "an outsider is ranked too");
                    outsiders += usize::from(place >= CANDIDATES);
                    assert!(place >= CANDIDATES || appraisal.score == f64::from(item.score));
                }
                assert!(appraised[0].expected_score.is_finite());
            }
        }
        assert!(outsiders > 20, "{outsiders}");
    }

    /// A recommender whose ranker looks at so many of the first `n` items that were not seen, and a request for two
    /// slots by each policy.
    fn small(n: u32, candidates: usize, epsilon: f64) -> (Recommender, Vec<Request>) {
        let mut recommender = recommender(&stub());
        Arc::make_mut(&mut recommender.bundle.manifest).ranker.as_mut().unwrap().candidates = candidates;
        let seen = [2, 7, 20, 39];
        let exclude: Vec<String> =
            (0..60).filter(|row| !seen.contains(row)).skip(n as usize).map(|row| (row + 1).to_string()).collect();
        let requests = POLICIES.into_iter().map(|policy| {
            let explore = Explore { policy: policy.into(), epsilon: Some(epsilon), temperature: 0.8, ..Explore::default() };
            Request { exclude: exclude.clone(), ..request(2, explore) }
        });
        (recommender, requests.collect())
    }

    /// Calls back with the slot loop of a request, whose rows are ranked by the graph.
    fn with_slots(recommender: &Recommender, request: &Request, decision: &str, then: &mut dyn FnMut(&mut SlotLoop)) {
        let pending = recommender.ask(request.clone()).unwrap();
        let scorer = Scorer::new(&recommender.bundle.rows, pending.vector()).with(&pending.user.sums);
        let found = search(&scorer, &pending.allowed, pending.k(), pending.effort());
        let ranking = recommender.ranking_of(request, &pending.user, &pending.known, &found).unwrap();
        let scores = |rows: &[u32]| ranking.as_ref().unwrap().scores(rows);
        pending.decision.fill(recommender.parts(&pending, request, decision, Some(&scores), found), then);
    }

    /// Twelve items, of which six are candidates: every slate of two slots.
    #[test]
    fn slates_fit_the_propensities() {
        let (recommender, requests) = small(12, 6, 0.3);
        for request in requests {
            let with =
                &mut |decision: &str, then: &mut dyn FnMut(&mut SlotLoop)| with_slots(&recommender, &request, decision, then);
            check_slates(&request, 60, [10, 1_000], with);
        }
    }

    /// Fifty items, of which twenty are candidates: both slots.
    #[test]
    fn marginals_fit_the_propensities() {
        let (recommender, requests) = small(50, CANDIDATES, 0.5);
        for request in requests {
            let with =
                &mut |decision: &str, then: &mut dyn FnMut(&mut SlotLoop)| with_slots(&recommender, &request, decision, then);
            check_marginals(&request, 60, [2, 1_000], with);
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let code = |recommender: &mut Recommender, k: usize| {
            let error = recommender.recommend(&request(k, Explore::default())).map_err(|error| error.code());
            (error.map(|slate| slate.items.len()), recommender.log().newest_first().count())
        };
        // A refill that cannot be ranked: no slate is shown.
        let mut one = recommender(&Stub { most: 1, ..stub() });
        assert_eq!(code(&mut one, 5), (Ok(5), 5));
        assert_eq!(code(&mut recommender(&Stub { most: 1, ..stub() }), 30), (Err("model"), 4));
        assert_eq!(code(&mut recommender(&Stub { most: 0, ..stub() }), 5), (Err("model"), 4));
        let mut bundle = ranked_bundle();
        bundle.features = None;
        let mut bare = Recommender::new(bundle, Box::new(|| 0.0));
        bare.set_runtime(Box::new(stub()));
        assert_eq!(code(&mut bare, 5), (Err("missing"), 0));
        bare.set_features(ranked_bundle().features.unwrap());
        assert_eq!(code(&mut bare, 5), (Ok(5), 1));
    }

    #[test]
    fn feature_values_have_names() {
        let recommender = recommender(&stub());
        let request = request(1, Explore::default());
        let values = recommender.feature_values(&state(&recommender, &request), &["4".into()]).unwrap();
        assert_eq!(values.visitor["likes"], Value::Number(2.0));
        assert_eq!(values.visitor["day"], Value::Number(0.25));
        assert_eq!(values.items[0]["shown"], Value::Number(3.0));
        assert!(["score", "place", "likes_segment"].iter().all(|name| !values.items[0].contains_key(*name)));
        let unknown = recommender.feature_values(&state(&recommender, &request), &["x".into()]);
        assert_eq!(unknown.unwrap_err().code(), "unknown-item");
    }
}
