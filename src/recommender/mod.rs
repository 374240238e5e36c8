//! The one door: a bundle, the visitor's profile, and what is recommended.

mod decision;
mod tower;
mod visitor;

pub use tower::User;
pub use visitor::VisitorState;

use self::decision::{Decision, feedback};
use crate::bundle::{Bundle, Catalog, Lift, Rows, short_hash};
use crate::error::{ErrorKind, Result};
use crate::explore::decision_rng;
use crate::features::{Bag, EncodedState};
use crate::model::ModelRuntime;
use crate::profile::{Assignment, Event, EventLog, Impression, LogLine, Profile, arm};
use crate::request::{Item, Request, Slate, Timings};
use crate::retrieve::{Bitmap, Effort, Scorer, TopK, check_vector, find, search, search_part, similar};

/// Microseconds since any fixed moment: the core reads no clock of its own.
pub type Clock = Box<dyn Fn() -> f64>;

/// A request on its way to a slate: all of it but the best rows, which may be looked for elsewhere.
pub struct PendingSlate {
    request: Request,
    /// The encoded context.
    context: Bag,
    user: User,
    decision: Decision,
    removed: Vec<u32>,
    allowed: Bitmap,
    timings: Timings,
    /// When the search began.
    since: f64,
}

impl PendingSlate {
    /// The vector `[d]` to look for.
    pub fn vector(&self) -> &[f32] {
        self.decision.vector(&self.user.vector)
    }

    /// Rows that the slate must not show.
    pub fn removed(&self) -> &[u32] {
        &self.removed
    }

    /// Rows to look for: what the policy chooses from.
    pub fn k(&self) -> usize {
        self.decision.pool
    }

    /// How closely to look.
    pub fn effort(&self) -> Effort {
        self.decision.effort
    }

    /// What to add to scores.
    pub fn lift(&self) -> Lift {
        self.decision.lift
    }
}

/// What a policy makes of a slot that was filled by another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Appraisal {
    /// P(the item in the slot | the slots before); 0 from the first item on that may not stand where it does.
    pub propensity: f64,
    /// The tower's score of the item, in logits.
    pub score: f64,
    /// The same, expected of what the policy would put there; 0 where the propensity is 0 for a slot before.
    pub expected_score: f64,
}

/// Opens onto a bundle; keeps one visitor's profile and log.
pub struct Recommender {
    bundle: Bundle,
    runtime: Option<Box<dyn ModelRuntime>>,
    profile: Profile,
    log: EventLog,
    decisions: u64,
    clock: Clock,
}

impl Recommender {
    /// A recommender with an empty profile and no model yet.
    pub fn new(bundle: Bundle, clock: Clock) -> Self {
        let profile = Profile::new(bundle.manifest.encoding.history.cap);
        Recommender { bundle, runtime: None, profile, log: EventLog::default(), decisions: 0, clock }
    }

    /// Gives the model runtime, or a new one after a fault of the old.
    pub fn set_runtime(&mut self, runtime: Box<dyn ModelRuntime>) {
        self.runtime = Some(runtime);
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

    /// Adds an event to profile and log; gives it as kept, with its id. An item outside the catalog is kept and has no effect.
    ///
    /// # Errors
    /// Those of [`Profile::record`].
    pub fn record(&mut self, event: Event) -> Result<Event> {
        let kept = self.profile.record(event)?.clone();
        self.log.push(LogLine::Event(kept.clone()));
        Ok(kept)
    }

    /// Takes a line of a log, as if it had happened here.
    ///
    /// # Errors
    /// Those of [`Profile::record`].
    pub fn replay(&mut self, line: LogLine) -> Result<()> {
        match line {
            LogLine::Event(event) => self.record(event).map(drop),
            line => {
                self.log.push(line);
                Ok(())
            }
        }
    }

    /// Takes a line of an earlier visit or of another tab into the log. What it says of the profile is there already, where that was kept.
    pub fn restore(&mut self, line: LogLine) {
        // Decisions without a name of their own go on where they were.
        self.decisions += u64::from(matches!(line, LogLine::Impression(_)));
        self.log.push(line);
    }

    /// The arm of a unit in an experiment; it is written to the log, unless it was the last one of this experiment there. `time` is in milliseconds UTC.
    ///
    /// # Errors
    /// Those of [`arm`].
    pub fn assign<'a>(
        &mut self,
        experiment: &str,
        unit: &str,
        (arms, weights): (&'a [String], &[f64]),
        time: Option<i64>,
    ) -> Result<&'a str> {
        let arm = arm(experiment, unit, arms, weights)?;
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

    /// Removes an event from the profile; the log keeps what happened.
    pub fn remove(&mut self, event_id: &str) -> bool {
        self.profile.remove(event_id)
    }

    /// Replaces the profile's events.
    ///
    /// # Errors
    /// Those of [`Profile::import`].
    pub fn import_profile(&mut self, events: Vec<Event>) -> Result<()> {
        self.profile.import(events)
    }

    /// Forgets profile and log.
    pub fn clear(&mut self) {
        self.profile.clear();
        self.log = EventLog::default();
    }

    /// The rating that a visitor would give, within the range of the ratings; `None` where the bundle predicts none.
    ///
    /// # Panics
    /// If the row is past the end.
    pub fn rating(&self, user: &User, row: u32) -> Option<f32> {
        let (rating, range) = (user.rating.as_ref()?, self.bundle.manifest.ratings?);
        let mut vector = vec![0.0; self.bundle.manifest.dim];
        self.bundle.rows.vector_into(row, &mut vector);
        let predicted = rating[0] + rating[1..].iter().zip(&vector).map(|(w, v)| w * v).sum::<f32>();
        Some(predicted.max(range.least as f32).min(range.most as f32))
    }

    /// Scores of the whole catalog for a visitor's vector `[d]`: `[n]`, in logits, by row.
    pub fn scores(&self, user: &[f32]) -> Vec<f32> {
        Scorer::new(&self.bundle.rows, user).all()
    }

    /// The `k` best rows for a given vector `[d]` with their scores in logits, best first, ties by row; no model is needed.
    ///
    /// # Errors
    /// Those of [`search_part`].
    pub fn search(&self, vector: &[f32], k: usize, effort: Effort) -> Result<Vec<(f32, u32)>> {
        search_part(&self.bundle.rows, vector, k, effort, Lift::default(), &[], usize::MAX)
    }

    /// A slate for the profile; it is written to the log.
    ///
    /// # Errors
    /// Those of [`Recommender::ask`].
    pub fn recommend(&mut self, request: &Request) -> Result<Slate> {
        let pending = self.ask(request.clone())?;
        let best = self.found(&pending);
        self.answer(pending, best)
    }

    fn found(&self, pending: &PendingSlate) -> Vec<(f32, u32)> {
        let scorer = Scorer::lifted(&self.bundle.rows, pending.vector(), pending.lift());
        search(&scorer, &pending.allowed, pending.k(), pending.effort())
    }

    /// What the request's policy would have made of a given slate, if it had filled it now. With a log it tells what the policy would have earned.
    ///
    /// # Errors
    /// Those of [`Recommender::ask`], and `unknown-item`.
    pub fn appraise(&self, request: &Request, slate: &[String]) -> Result<Vec<Appraisal>> {
        let rows: Vec<u32> = slate.iter().map(|id| self.row(id)).collect::<Result<_>>()?;
        let pending = self.ask(request.clone())?;
        let found = self.found(&pending);
        let scorer = Scorer::new(&self.bundle.rows, pending.vector());
        let name = request.explore.decision.as_deref().unwrap_or_default();
        let scores = Scorer::new(&self.bundle.rows, &pending.user.vector).all();
        let (propensities, expected) =
            pending.decision.slots(self.catalog(), request, name, &scorer, (&pending.allowed, found), |slots| {
                (slots.propensities(&rows), slots.expectations(&rows, &scores))
            });
        let mean = |slot: usize| expected.get(slot).copied().unwrap_or(0.0);
        Ok(rows
            .iter()
            .zip(propensities)
            .enumerate()
            .map(|(slot, (row, (propensity, _)))| Appraisal {
                propensity,
                score: f64::from(scores[*row as usize]),
                expected_score: mean(slot),
            })
            .collect())
    }

    /// The first half of [`Recommender::recommend`]: everything before the search.
    ///
    /// # Errors
    /// `argument`, `length`, `range`, `unknown-key` for a request that makes no sense; `no-model` and `model` of the tower.
    pub fn ask(&self, request: Request) -> Result<PendingSlate> {
        let policy = request.check(&self.bundle.catalog)?;
        let mut timings = Timings::default();
        let mut since = (self.clock)();
        let events = self.resolve(self.profile.events());
        let encoded = self.encode_events(&self.state(&request), &events)?;
        timings.encode = self.lap(&mut since);
        let user = self.visitor(&request, &encoded)?;
        timings.tower = self.lap(&mut since);
        let answers = || feedback(&self.bundle, &events, &self.log, &request.explore);
        let decision = Decision::new(&self.bundle.rows, &request, policy, &user.vector, answers);
        let removed = self.removed(&events, &request.exclude);
        let allowed = Bitmap::without(self.bundle.manifest.items, &removed);
        timings.filter = self.lap(&mut since);
        Ok(PendingSlate { request, context: encoded.context, user, decision, removed, allowed, timings, since })
    }

    /// The second half: the slate from the best allowed rows, as many as `PendingSlate::k` says, best first, ties by row; it is written to the log.
    ///
    /// # Errors
    /// `argument` for rows that are not allowed, or fewer of them than slots can be filled.
    pub fn answer(&mut self, pending: PendingSlate, best: Vec<(f32, u32)>) -> Result<Slate> {
        let PendingSlate { mut request, context, user, decision, allowed, mut timings, mut since, .. } = pending;
        let slots = request.k.min(allowed.len());
        if best.len() < slots || !best.iter().all(|(_, row)| allowed.contains(*row)) {
            return Err(ErrorKind::Argument(format!("expected {slots} allowed rows, got others")).at("answer"));
        }
        timings.score = self.lap(&mut since);
        let name = request.explore.decision.get_or_insert_with(|| self.decisions.to_string()).clone();
        let scorer = Scorer::new(&self.bundle.rows, decision.vector(&user.vector));
        let (rows, propensities) = decision.slots(self.catalog(), &request, &name, &scorer, (&allowed, best), |slots| {
            let rows = slots.draw(request.k, &mut decision_rng(request.explore.seed, &name));
            timings.slate = self.lap(&mut since);
            let propensities = slots.propensities(&rows);
            timings.propensity = self.lap(&mut since);
            (rows, propensities)
        });
        let model = self.bundle.manifest.model_id.clone();
        let id = short_hash(&format!("{model}\n{}\n{name}", request.explore.seed));
        let items: Vec<Item> = rows
            .iter()
            .zip(propensities)
            .map(|(row, (propensity, standard_error))| Item {
                propensity: Some(propensity),
                standard_error,
                rating: self.rating(&user, *row),
                ..self.item(*row, scorer.score(*row))
            })
            .collect();
        let policy = request.explore.policy.clone();
        let slate = Slate { id, items, policy, model, timings_us: timings };
        self.decisions += 1;
        self.log.push(LogLine::Impression(Box::new(Impression::of(&slate, request, &context))));
        Ok(slate)
    }

    /// The visitor of a request: by its own vector, else by the tower.
    fn visitor(&self, request: &Request, encoded: &EncodedState) -> Result<User> {
        let Some(vector) = &request.vector else { return self.user(encoded) };
        let vector: Vec<f32> = vector.iter().map(|x| *x as f32).collect();
        check_vector(&self.bundle.rows, &vector)?;
        Ok(User { vector, rating: None })
    }

    fn catalog(&self) -> (&Rows, &Catalog) {
        (&self.bundle.rows, &self.bundle.catalog)
    }

    /// Microseconds since the last lap.
    fn lap(&self, since: &mut f64) -> f64 {
        let now = (self.clock)();
        now - std::mem::replace(since, now)
    }

    /// Scores of the given items for the profile, best first, ties by row; seen items are ranked too.
    ///
    /// # Errors
    /// `unknown-item`; else those of [`Recommender::recommend`].
    pub fn rank(&self, ids: &[String], request: &Request) -> Result<Vec<Item>> {
        let rows: Vec<u32> = ids.iter().map(|id| self.row(id)).collect::<Result<_>>()?;
        let user = self.visitor(request, &self.encode(&self.state(request))?)?;
        let scorer = Scorer::new(&self.bundle.rows, &user.vector);
        let mut best = TopK::new(rows.len());
        rows.into_iter().for_each(|row| best.offer(scorer.score(row), row));
        let mut ranked = best.into_ranked();
        ranked.dedup();
        let item = |(score, row)| Item { rating: self.rating(&user, row), ..self.item(row, score) };
        Ok(ranked.into_iter().map(item).collect())
    }

    /// The `k` items of the highest cosine with an item, itself excluded; no bias takes part, no model is needed.
    ///
    /// # Errors
    /// `unknown-item`.
    pub fn similar(&self, id: &str, k: usize) -> Result<Vec<Item>> {
        let row = self.row(id)?;
        let similar = similar(&self.bundle.rows, row, k);
        Ok(similar.into_iter().map(|(score, row)| self.item(row, score)).collect())
    }

    /// Items whose title or id contains the text, best first; an empty text gives the popular ones. The score is the bias.
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

    /// The `k` best rows that a history leaves, with their scores.
    pub(crate) fn best_unseen(&self, history: &[Event], user: &[f32], k: usize) -> Vec<(f32, u32)> {
        let removed = self.removed(&self.resolve(history), &[]);
        let allowed = Bitmap::without(self.bundle.manifest.items, &removed);
        search(&Scorer::new(&self.bundle.rows, user), &allowed, k, Effort::Accurate)
    }

    fn row(&self, id: &str) -> Result<u32> {
        self.bundle.catalog.row(id).ok_or_else(|| ErrorKind::UnknownItem(id.into()).at("item"))
    }

    /// A row as an item of a list.
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
            fields: catalog.fields(row),
        }
    }
}
