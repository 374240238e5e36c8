//! The recommender: an open bundle and one visitor's profile. Every call from outside goes through it.

mod decision;
mod explain;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod page;
mod ranking;
#[cfg(test)]
mod testing;
mod tower;
mod visitor;

pub use self::explain::{EventPart, Explanation};
use self::visitor::Known;
pub use tower::User;
pub use visitor::{FeatureValues, VisitorState};

use self::decision::{Decision, SlateParts, feedback};
use self::ranking::Ranking;
use crate::bundle::{Bundle, FeatureTables, Lift, Neighbours, short_hash};
use crate::error::{ErrorKind, Result};
use crate::explore::{PolicyChoice, ScoresOf, decision_rng};
use crate::features::{EncodedState, RowEvent};
use crate::model::ModelRuntime;
use crate::profile::{Assignment, Event, EventLog, Experiment, Impression, KnownSlates, LogLine, Profile};
use crate::request::{Item, Request, Slate, Stages, Timings};
use crate::retrieve::{Bitmap, Effort, Scorer, Sums, TopK, check_vector, find, merged, search, search_part, similar};
use crate::slate::Propensity;

/// Gives the microseconds since some fixed moment. The core itself reads no clock.
pub type Clock = Box<dyn Fn() -> f64>;

/// A slate that still lacks the best rows: [`Recommender::ask`] makes it, the search may run elsewhere,
/// [`Recommender::answer`] finishes it.
pub struct PendingSlate {
    request: Request,
    known: Known,
    user: User,
    decision: Decision,
    removed: Vec<u32>,
    allowed: Bitmap,
    timings: Timings,
    /// When the search began, in microseconds of the clock.
    since: f64,
}

impl PendingSlate {
    /// The vector `[d]` to search with.
    pub fn vector(&self) -> &[f32] {
        self.decision.vector(&self.user.vector)
    }

    /// Rows that the search must leave out: those that the slate must not show, and those with a sum over neighbours,
    /// which [`Recommender::answer`] scores itself. Some may be there twice.
    pub fn removed(&self) -> Vec<u32> {
        [&self.removed, self.user.sums.rows()].concat()
    }

    /// How many rows to search for: the policy chooses among them.
    pub fn k(&self) -> usize {
        self.decision.pool
    }

    /// How thorough the search is.
    pub fn effort(&self) -> Effort {
        self.decision.effort
    }

    /// What the search adds to scores.
    pub fn lift(&self) -> Lift {
        self.decision.lift
    }
}

/// What a policy would have done with a slot that another policy filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Appraisal {
    /// P(the item in the slot | the slots before). 0 for the first item that is not allowed where it stands and for all
    /// after it.
    pub propensity: f64,
    /// The score of the item, in logits: that of the ranker for its candidates, else that of retrieval.
    pub score: f64,
    /// The expected score of the item that the policy would have put there; 0 after the first slot whose item is not
    /// allowed.
    pub expected_score: f64,
}

/// Recommends from a bundle to one visitor, whose profile and log it keeps.
pub struct Recommender {
    bundle: Bundle,
    runtime: Option<Box<dyn ModelRuntime>>,
    profile: Profile,
    log: EventLog,
    decisions: u64,
    clock: Clock,
}

impl Recommender {
    /// A recommender with an empty profile and no model runtime.
    pub fn new(bundle: Bundle, clock: Clock) -> Self {
        let profile = Profile::new(bundle.manifest.encoding.history.cap);
        Recommender { bundle, runtime: None, profile, log: EventLog::default(), decisions: 0, clock }
    }

    /// Sets the model runtime; replaces it after the old one has failed.
    pub fn set_runtime(&mut self, runtime: Box<dyn ModelRuntime>) {
        self.runtime = Some(runtime);
    }

    /// Adds the neighbours of the bundle, which may arrive after items and catalog.
    pub fn set_neighbours(&mut self, neighbours: Neighbours) {
        self.bundle.neighbours = Some(neighbours);
    }

    /// Adds the values of items that the ranker reads, which may arrive after items and catalog too.
    pub fn set_features(&mut self, features: FeatureTables) {
        self.bundle.features = Some(features);
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The visitor's profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The log of slates and events.
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Adds an event to the profile and the log. Returns it as kept, with its id. An event of an item outside the
    /// catalog is kept, but has no effect.
    ///
    /// # Errors
    /// Same errors as [`Profile::record`].
    pub fn record(&mut self, event: Event) -> Result<Event> {
        let kept = self.profile.record(event)?.clone();
        self.log.push(LogLine::Event(kept.clone()));
        Ok(kept)
    }

    /// Takes a line of a log as if it had happened here: events go into the profile too.
    ///
    /// # Errors
    /// Same errors as [`Profile::record`].
    pub fn replay(&mut self, line: LogLine) -> Result<()> {
        match line {
            LogLine::Event(event) => self.record(event).map(drop),
            line => {
                self.log.push(line);
                Ok(())
            }
        }
    }

    /// Adds a line of an earlier visit or of another tab to the log only: the profile that was kept has its event
    /// already.
    pub fn restore(&mut self, line: LogLine) {
        // Decisions without an id are numbered on from those of the earlier visit.
        self.decisions += u64::from(matches!(line, LogLine::Impression(_)));
        self.log.push(line);
    }

    /// Removes the last line of the log: that of a slate which the visitor may not see. `restore` adds it again. The
    /// next slate gets the number of this one, so its request should have named its decision.
    pub fn take_back(&mut self) {
        self.log.take_back();
        self.decisions = self.decisions.saturating_sub(1);
    }

    /// The arm of a unit in an experiment. An assignment is written to the log, unless the last one of this experiment
    /// there says the same. `time` is in milliseconds UTC.
    ///
    /// # Errors
    /// Same errors as [`Experiment::arm`].
    pub fn assign<'a>(&mut self, experiment: &Experiment<'a>, unit: &str, time: Option<i64>) -> Result<&'a str> {
        let arm = experiment.arm(unit)?;
        let experiment = experiment.name;
        let last = self.log.newest_first().find_map(|line| match line {
            LogLine::Assignment(last) if last.experiment == experiment => Some(last),
            _ => None,
        });
        if last.is_none_or(|last| last.unit != unit || last.arm != arm) {
            let [kind, experiment, unit] = ["assignment", experiment, unit].map(Into::into);
            self.log.push(LogLine::Assignment(Assignment { kind, experiment, arm: arm.into(), unit, time }));
        }
        Ok(arm)
    }

    /// Removes an event from the profile; tells whether it was there. The log keeps it.
    pub fn remove(&mut self, event_id: &str) -> bool {
        self.profile.remove(event_id)
    }

    /// Replaces the profile's events.
    ///
    /// # Errors
    /// Same errors as [`Profile::import`].
    pub fn import_profile(&mut self, events: Vec<Event>) -> Result<()> {
        self.profile.import(events)
    }

    /// Forgets profile and log.
    pub fn clear(&mut self) {
        self.profile.clear();
        self.log = EventLog::default();
    }

    /// The rating that a visitor would give, clipped to the range of ratings; `None` if the bundle predicts no ratings,
    /// or if it is beyond the range of f32.
    ///
    /// # Panics
    /// If the row is past the end.
    pub fn rating(&self, user: &User, row: u32) -> Option<f32> {
        let (rating, range) = (user.rating.as_ref()?, self.bundle.manifest.ratings?);
        let mut vector = vec![0.0; self.bundle.manifest.dim];
        self.bundle.rows.vector_into(row, &mut vector);
        let predicted = rating[0] + rating[1..].iter().zip(&vector).map(|(w, v)| w * v).sum::<f32>();
        predicted.is_finite().then(|| predicted.max(range.least as f32).min(range.most as f32))
    }

    /// Scores of all items for a visitor: `[n]`, in logits, in row order.
    pub fn scores(&self, user: &User) -> Vec<f32> {
        Scorer::new(&self.bundle.rows, &user.vector).with(&user.sums).all()
    }

    /// The `k` best rows for a vector `[d]`, with their scores in logits, best first, ties by row. Needs no model;
    /// neighbours take no part.
    ///
    /// # Errors
    /// Same errors as [`search_part`].
    pub fn search(&self, vector: &[f32], k: usize, effort: Effort) -> Result<Vec<(f32, u32)>> {
        search_part(&self.bundle.rows, vector, k, effort, Lift::default(), &[], usize::MAX)
    }

    /// A slate for the profile. It is written to the log.
    ///
    /// # Errors
    /// Same errors as [`Recommender::ask`].
    pub fn recommend(&mut self, request: &Request) -> Result<Slate> {
        let pending = self.ask(request.clone())?;
        let rest = Bitmap::without(self.bundle.manifest.items, &pending.removed());
        let scorer = Scorer::lifted(&self.bundle.rows, pending.vector(), pending.lift());
        let best = search(&scorer, &rest, pending.k(), pending.effort());
        self.answer(pending, best)
    }

    /// What the policy of the request would have done with a given slate, had it filled its slots now. Off-policy
    /// evaluation weighs a log by it.
    ///
    /// # Errors
    /// Same errors as [`Recommender::ask`], and `unknown-item`.
    pub fn appraise(&self, request: &Request, slate: &[String]) -> Result<Vec<Appraisal>> {
        let rows: Vec<u32> = slate.iter().map(|id| self.row(id)).collect::<Result<_>>()?;
        let pending = self.ask(request.clone())?;
        let scorer = Scorer::lifted(&self.bundle.rows, pending.vector(), pending.lift()).with(&pending.user.sums);
        let found = search(&scorer, &pending.allowed, pending.k(), pending.effort());
        let mut scores = self.scores(&pending.user);
        let ranking = self.ranking_of(&pending.request, &pending.user, &pending.known, &found)?;
        for (score, row) in ranking.iter().flat_map(Ranking::ranked) {
            scores[row as usize] = score;
        }
        let name = request.explore.decision.as_deref().unwrap_or_default();
        let scores_of = ranking.as_ref().map(|ranking| |rows: &[u32]| ranking.scores(rows));
        let scores_of = scores_of.as_ref().map(|scores| scores as &ScoresOf);
        let (mut propensities, mut expected) = Default::default();
        pending.decision.fill(self.parts(&pending, request, name, scores_of, found), &mut |slots| {
            (propensities, expected) = (slots.propensities(&rows), slots.expectations(&rows, &scores));
        });
        ranking.as_ref().map_or(Ok(()), Ranking::check)?;
        let appraisal = |(slot, (row, propensity)): (usize, (&u32, Propensity))| Appraisal {
            propensity: propensity.probability,
            score: f64::from(scores[*row as usize]),
            expected_score: expected.get(slot).copied().unwrap_or(0.0),
        };
        Ok(rows.iter().zip(propensities).enumerate().map(appraisal).collect())
    }

    /// The first half of [`Recommender::recommend`]: everything before the search.
    ///
    /// # Errors
    /// `argument`, `length`, `range` and `unknown-key` for a wrong request; `no-model` and `model` from the user tower.
    pub fn ask(&self, request: Request) -> Result<PendingSlate> {
        let policy = request.check(&self.bundle.catalog)?;
        let mut timings = Timings::default();
        let mut since = (self.clock)();
        let known = self.known(&self.state(&request))?;
        timings.encode = self.lap(&mut since);
        let user = self.user_for(&request, &known.encoded)?;
        timings.tower = self.lap(&mut since);
        let candidates = self.ranker_for(&request)?.map(|ranker| ranker.candidates);
        let decision = self.decision(&request, policy, (&known.events, &mut |_| true), &user, candidates);
        let removed = self.removed(&known.events, &request.exclude);
        let allowed = Bitmap::without(self.bundle.manifest.items, &removed);
        timings.filter = self.lap(&mut since);
        Ok(PendingSlate { request, known, user, decision, removed, allowed, timings, since })
    }

    /// The second half: fills the slate from `best`, the `PendingSlate::k` best rows that are not
    /// `PendingSlate::removed`, with their scores, best first, ties by row. Rows with a sum over neighbours join
    /// them here. The slate is written to the log.
    ///
    /// # Errors
    /// `argument` if a row is removed, or if there are fewer rows than slots and more are allowed.
    pub fn answer(&mut self, mut pending: PendingSlate, best: Vec<(f32, u32)>) -> Result<Slate> {
        let (mut timings, mut since) = (pending.timings, pending.since);
        let name = pending.request.explore.decision.get_or_insert_with(|| self.decisions.to_string()).clone();
        let PendingSlate { request, known, user, decision, allowed, .. } = &pending;
        let touched = user.sums.rows();
        let rest = allowed.len() - touched.iter().filter(|row| allowed.contains(**row)).count();
        let least = request.k.min(decision.pool).min(rest);
        let is_rest = |row: &u32| allowed.contains(*row) && touched.binary_search(row).is_err();
        if best.len() < least || !best.iter().all(|(_, row)| is_rest(row)) {
            return Err(ErrorKind::Argument(format!("expected {least} allowed rows, got others")).at("answer"));
        }
        let lifted = Scorer::lifted(&self.bundle.rows, decision.vector(&user.vector), decision.lift).with(&user.sums);
        let found = merged(&lifted, allowed, best, decision.pool, decision.effort);
        timings.score = self.lap(&mut since);
        let ranking = self.ranking_of(request, user, known, &found)?;
        timings.rank = self.lap(&mut since);
        let scorer = Scorer::new(&self.bundle.rows, pending.vector()).with(&user.sums);
        let scores_of = ranking.as_ref().map(|ranking| |rows: &[u32]| ranking.scores(rows));
        let scores_of = scores_of.as_ref().map(|scores| scores as &ScoresOf);
        let all = if request.explain { found.clone() } else { Vec::new() };
        let (mut rows, mut propensities) = Default::default();
        decision.fill(self.parts(&pending, request, &name, scores_of, found), &mut |slots| {
            rows = slots.draw(request.k, &mut decision_rng(request.explore.seed, &name));
            timings.slate = self.lap(&mut since);
            propensities = slots.propensities(&rows);
            timings.propensity = self.lap(&mut since);
        });
        let stages = request.explain.then(|| self.stages(&pending, scores_of, &all, &rows));
        let scores: Vec<f32> = match &ranking {
            Some(ranking) => ranking.scores(&rows),
            None => rows.iter().map(|row| scorer.score(*row)).collect(),
        };
        ranking.as_ref().map_or(Ok(()), Ranking::check)?;
        let model = self.bundle.manifest.model_id.clone();
        let id = short_hash(&format!("{model}\n{}\n{name}", request.explore.seed));
        let reasons = match &ranking {
            Some(_) => vec![Vec::new(); rows.len()],
            None => self.reasons(known, user, &rows),
        };
        let items: Vec<Item> = rows
            .iter()
            .zip(propensities)
            .zip(scores.into_iter().zip(reasons))
            .map(|((row, propensity), (score, reasons))| Item {
                propensity: Some(propensity.probability),
                standard_error: propensity.standard_error,
                reasons: Some(reasons),
                rating: self.rating(user, *row),
                ..self.item(*row, score)
            })
            .collect();
        let policy = request.explore.policy.clone();
        let slate = Slate { id, items, policy, model, timings_us: timings, stages };
        let shown = Impression::of(&slate, request.clone(), &known.encoded.context);
        self.decisions += 1;
        self.log.push(LogLine::Impression(Box::new(shown)));
        Ok(slate)
    }

    /// What the policy of a request believes of a visitor with these events and the slates of the log that it knows.
    fn decision(
        &self,
        request: &Request,
        policy: PolicyChoice,
        (events, knows): (&[RowEvent], KnownSlates),
        user: &User,
        candidates: Option<usize>,
    ) -> Decision {
        let mut answers = || feedback(&self.bundle, events, (&self.log, knows), &request.explore);
        Decision::new(&self.bundle.rows, request, policy, &user.vector, candidates, &mut answers)
    }

    /// What the slots of a slate are filled from: `found` is what the search found.
    fn parts<'a>(
        &'a self,
        pending: &'a PendingSlate,
        request: &'a Request,
        decision: &'a str,
        ranking: Option<&'a ScoresOf<'a>>,
        found: Vec<(f32, u32)>,
    ) -> SlateParts<'a> {
        let PendingSlate { user, allowed, .. } = pending;
        let Bundle { rows, catalog, .. } = &self.bundle;
        SlateParts { rows, catalog, request, decision, vector: pending.vector(), ranking, sums: &user.sums, allowed, found }
    }

    /// What the stages of a slate of these rows left. `scores` are those of the ranker.
    fn stages(&self, pending: &PendingSlate, scores: Option<&ScoresOf>, found: &[(f32, u32)], rows: &[u32]) -> Stages {
        let (mut request, decision) = (pending.request.clone(), pending.decision.greedy());
        request.explore.boost = 0.0;
        let greedy = |request: &Request| {
            let mut rows = Vec::new();
            let parts = self.parts(pending, request, "", scores, found.to_vec());
            decision.fill(parts, &mut |slots| rows = slots.draw(request.k, &mut decision_rng(0, "")));
            rows
        };
        let ruled = greedy(&request);
        request.caps.clear();
        request.diversity = 0.0;
        let (mut constraints, mut exploration) = (Vec::new(), Vec::new());
        for row in greedy(&request).into_iter().filter(|row| !rows.contains(row)) {
            let by = if ruled.contains(&row) { &mut exploration } else { &mut constraints };
            by.push(self.bundle.catalog.id(row).to_string());
        }
        let (items, allowed) = (self.bundle.manifest.items, pending.allowed.len());
        Stages { items, allowed, candidates: found.len(), constraints, exploration }
    }

    /// The vector of a request, if it has one; else the output of the user tower. Neighbours stand beside the tower
    /// unless the request says otherwise.
    fn user_for(&self, request: &Request, encoded: &EncodedState) -> Result<User> {
        let sums = || match request.neighbours.unwrap_or(request.vector.is_none()) {
            true => self.sums(&encoded.history),
            false => Ok(Sums::default()),
        };
        let Some(vector) = &request.vector else {
            let (vector, rating) = self.run_user_tower(encoded)?;
            return Ok(User { vector, rating, sums: sums()? });
        };
        let vector: Vec<f32> = vector.iter().map(|x| *x as f32).collect();
        check_vector(&self.bundle.rows, &vector)?;
        Ok(User { vector, rating: None, sums: sums()? })
    }

    /// Microseconds since `since`, which is set to now.
    fn lap(&self, since: &mut f64) -> f64 {
        let now = (self.clock)();
        now - std::mem::replace(since, now)
    }

    /// The given items with their scores for the profile, best first, ties by row. Seen items are ranked too; an item
    /// given twice is ranked once.
    ///
    /// # Errors
    /// `unknown-item`, and those of [`Recommender::recommend`].
    pub fn rank(&self, ids: &[String], request: &Request) -> Result<Vec<Item>> {
        let rows: Vec<u32> = ids.iter().map(|id| self.row(id)).collect::<Result<_>>()?;
        let known = self.known(&self.state(request))?;
        let user = self.user_for(request, &known.encoded)?;
        let scorer = Scorer::new(&self.bundle.rows, &user.vector).with(&user.sums);
        let scores: Vec<f32> = match self.ranker_for(request)? {
            Some(ranker) => {
                let found = self.candidates(ranker, request, &known, &user);
                let ranking = self.ranking(ranker, &user, &known.visitor(&request.context, request.time), &found)?;
                let scores = ranking.scores(&rows);
                ranking.check()?;
                scores
            }
            None => rows.iter().map(|row| scorer.score(*row)).collect(),
        };
        let mut best = TopK::new(rows.len());
        scores.into_iter().zip(rows).for_each(|(score, row)| best.offer(score, row));
        let mut ranked = best.into_ranked();
        ranked.dedup();
        let item = |(score, row)| Item { rating: self.rating(&user, row), ..self.item(row, score) };
        Ok(ranked.into_iter().map(item).collect())
    }

    /// The `k` items whose vectors have the highest cosine with that of an item, without the item itself. Biases take
    /// no part. Needs no model.
    ///
    /// # Errors
    /// `unknown-item`.
    pub fn similar(&self, id: &str, k: usize) -> Result<Vec<Item>> {
        let row = self.row(id)?;
        let similar = similar(&self.bundle.rows, row, k);
        Ok(similar.into_iter().map(|(score, row)| self.item(row, score)).collect())
    }

    /// The `k` items whose title or id contains the text, best first; for an empty text the most popular ones. The
    /// score is the bias.
    pub fn find(&self, text: &str, k: usize) -> Vec<Item> {
        let rows = find(&self.bundle.catalog, |row| self.bundle.rows.bias(row), text, k);
        rows.into_iter().map(|row| self.item(row, self.bundle.rows.bias(row))).collect()
    }

    fn state<'a>(&'a self, request: &'a Request) -> VisitorState<'a> {
        VisitorState {
            history: self.profile.events(),
            context: &request.context,
            time: request.time,
            tz_offset_min: request.tz_offset_min,
        }
    }

    /// The `k` best rows that the history does not rule out, with their scores.
    pub(crate) fn best_unseen(&self, history: &[Event], user: &User, k: usize) -> Vec<(f32, u32)> {
        let allowed = self.allowed(&self.resolve(history), &[]);
        search(&Scorer::new(&self.bundle.rows, &user.vector).with(&user.sums), &allowed, k, Effort::Accurate)
    }

    fn row(&self, id: &str) -> Result<u32> {
        self.bundle.catalog.row(id).ok_or_else(|| ErrorKind::UnknownItem(id.into()).at("item"))
    }

    /// A row of the catalog as an item of a list, with a score in logits.
    ///
    /// # Panics
    /// If the row is past the end.
    pub fn item(&self, row: u32, score: f32) -> Item {
        let catalog = &self.bundle.catalog;
        Item {
            id: catalog.id(row).into(),
            title: catalog.title(row).map(Into::into),
            score,
            rating: None,
            propensity: None,
            standard_error: None,
            reasons: None,
            fields: catalog.fields(row),
        }
    }
}
