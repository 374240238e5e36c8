//! The one door: a bundle, the visitor's profile, and what is recommended.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, range, sha256_hex};
use crate::error::{ErrorKind, Result};
use crate::explore::{Candidates, EpsilonGreedy, Greedy, Policy, decision_rng};
use crate::features::{EncodedQuery, Fields, Query, Slots};
use crate::kernels::Kernels;
use crate::model::{Graph, ModelRuntime, Tensor};
use crate::profile::{Event, EventLog, Impression, LogLine, Profile, Slot};
use crate::retrieve::{Bitmap, Effort, Scorer, TopK, find, search, search_part};
use crate::slate;

/// Microseconds since any fixed moment: the core reads no clock of its own.
pub type Clock = Box<dyn Fn() -> f64>;

/// What is asked of [`Recommender::recommend`]. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Slots, 1 or more; fewer are filled where fewer items are allowed.
    pub k: usize,
    /// Values of context columns; each may be missing.
    pub context: Fields,
    /// Milliseconds UTC of the request; absent: the time of the last event.
    pub time: Option<i64>,
    /// Minutes to add to UTC for local time; absent: that of the last event, else 0.
    pub tz_offset_min: Option<i32>,
    /// Items that must not be shown.
    pub exclude: Vec<String>,
    /// How slots are filled.
    pub explore: Explore,
    /// `accurate` (recall of at least .999 against the scores of all items) or `fast` (.99, in less time on large catalogs).
    pub effort: Effort,
}

impl Default for Request {
    fn default() -> Self {
        let (context, exclude, explore, effort) = Default::default();
        Request { k: 10, context, time: None, tz_offset_min: None, exclude, explore, effort }
    }
}

/// The policy of a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Explore {
    /// `greedy` or `epsilon-greedy`.
    pub policy: String,
    /// Of `epsilon-greedy`: 0 is greedy, 1 is uniform over all allowed items.
    pub epsilon: f64,
    /// With the decision id it fixes every draw.
    pub seed: u64,
    /// Id of the decision; absent: the number of slates so far.
    pub decision: Option<String>,
}

impl Default for Explore {
    fn default() -> Self {
        Explore { policy: "greedy".into(), epsilon: 0.1, seed: 0, decision: None }
    }
}

/// An ordered list of items that was drawn by a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slate {
    /// Names the decision: the log and later feedback refer to it.
    pub id: String,
    /// Items from the top.
    pub items: Vec<Item>,
    /// Policy name.
    pub policy: &'static str,
    /// Model id of the bundle.
    pub model: String,
    /// Microseconds of each stage.
    pub timings_us: Timings,
}

/// A recommended item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Item id.
    pub id: String,
    /// Title, where the catalog has one.
    pub title: Option<String>,
    /// Logits of the model; of `similar` the cosine.
    pub score: f32,
    /// The rating that the visitor would give, where the bundle predicts ratings; absent where no visitor takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<f32>,
    /// P(this item in this slot | the slots before); absent outside slates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propensity: Option<f64>,
    /// Columns of the catalog.
    pub fields: Fields,
}

/// Microseconds of each stage of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Raw history and context to numbers.
    pub encode: f64,
    /// The user tower.
    pub tower: f64,
    /// Seen and excluded items.
    pub filter: f64,
    /// The best of the whole catalog.
    pub score: f64,
    /// The slot loop.
    pub slate: f64,
}

/// What the user tower says of a visitor.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// The visitor's vector `[d]`.
    pub vector: Vec<f32>,
    /// `[c, w]`: the rating of an item of the vector v is c + w · v. Absent where the bundle predicts none.
    pub rating: Option<Vec<f32>>,
}

/// A request on its way to a slate: all of it but the best rows, which may be looked for elsewhere.
pub struct Asked {
    request: Request,
    encoded: EncodedQuery,
    user: User,
    removed: Vec<u32>,
    allowed: Bitmap,
    timings: Timings,
    /// When the search began.
    since: f64,
}

impl Asked {
    /// The visitor's vector `[d]`.
    pub fn user(&self) -> &[f32] {
        &self.user.vector
    }

    /// Rows that the slate must not show.
    pub fn removed(&self) -> &[u32] {
        &self.removed
    }

    /// Rows to look for: the slots of the slate.
    pub fn k(&self) -> usize {
        self.request.k
    }

    /// How closely to look.
    pub fn effort(&self) -> Effort {
        self.request.effort
    }
}

/// Opens onto a bundle; keeps one visitor's profile and log.
pub struct Recommender {
    bundle: Bundle,
    runtime: Option<Box<dyn ModelRuntime>>,
    profile: Profile,
    log: EventLog,
    decisions: u64,
    clock: Clock,
    /// 1 / length of the int8 rows `[n]`: made at the first call of `similar`.
    lengths: OnceLock<Vec<f32>>,
}

impl Recommender {
    /// A recommender with an empty profile and no model yet.
    pub fn new(bundle: Bundle, clock: Clock) -> Self {
        let profile = Profile::new(bundle.manifest.encoding.history.cap);
        Recommender { bundle, runtime: None, profile, log: EventLog::default(), decisions: 0, clock, lengths: OnceLock::new() }
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

    /// Encodes a query.
    ///
    /// # Errors
    /// `unknown-key` for a context column that the bundle does not have.
    pub fn encode(&self, query: &Query) -> Result<EncodedQuery> {
        self.bundle.manifest.encoding.encode_query(query, |id| self.bundle.catalog.row(id))
    }

    /// Runs the user tower.
    ///
    /// # Errors
    /// `no-model` before a runtime is given, `model` where the run fails or gives another shape or a number that is not finite.
    pub fn user(&self, query: &EncodedQuery) -> Result<User> {
        let runtime = self.runtime.as_ref().ok_or_else(|| ErrorKind::NoModel.at("user_tower"))?;
        let outputs = runtime.run(Graph::UserTower, &self.user_inputs(query))?;
        let dim = self.bundle.manifest.dim;
        let lengths: &[usize] = if self.bundle.manifest.ratings.is_some() { &[dim, 1 + dim] } else { &[dim] };
        let fits = outputs.iter().map(Vec::len).eq(lengths.iter().copied());
        if !fits || !outputs.iter().flatten().all(|x| x.is_finite()) {
            let fault = "the outputs are not finite vectors of the bundle's dimension";
            return Err(ErrorKind::Model(fault.into()).at("user_tower"));
        }
        let mut outputs = outputs.into_iter();
        Ok(User { vector: outputs.next().unwrap_or_default(), rating: outputs.next() })
    }

    /// The vector `[d]` of [`Recommender::user`].
    ///
    /// # Errors
    /// As there.
    pub fn user_vector(&self, query: &EncodedQuery) -> Result<Vec<f32>> {
        Ok(self.user(query)?.vector)
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

    /// Runs the item tower on columns alone, as for an item that the catalog does not have: its vector `[d]` and bias.
    ///
    /// # Errors
    /// As of [`Recommender::user_vector`], and `unknown-key` for a column that the bundle does not have.
    pub fn item_vector(&self, fields: &Fields) -> Result<(Vec<f32>, f32)> {
        self.run_item_tower(0, &self.bundle.manifest.encoding.encode_item(fields)?)
    }

    /// Runs the item tower on a row of the catalog: its vector `[d]` and bias before quantization, or as if its id were unknown.
    ///
    /// # Errors
    /// As of [`Recommender::user_vector`].
    pub fn catalog_vector(&self, row: u32, known: bool) -> Result<(Vec<f32>, f32)> {
        let catalog = &self.bundle.catalog;
        let slots = self.bundle.manifest.encoding.encode_row(catalog.title(row), |column| catalog.value(column, row));
        self.run_item_tower(if known { i64::from(row) + 1 } else { 0 }, &slots)
    }

    fn run_item_tower(&self, id: i64, bag: &Slots) -> Result<(Vec<f32>, f32)> {
        let runtime = self.runtime.as_ref().ok_or_else(|| ErrorKind::NoModel.at("item_tower"))?;
        let (slots, weights) = padded(bag, self.bundle.manifest.encoding.item_slots());
        let outputs = runtime.run(Graph::ItemTower, &[Tensor::I64(vec![1], vec![id]), slots, weights])?;
        match outputs.as_slice() {
            [vector, bias, ..] if vector.len() == self.bundle.manifest.dim && bias.len() == 1 => Ok((vector.clone(), bias[0])),
            _ => Err(ErrorKind::Model("the outputs are not a vector and a bias".into()).at("item_tower")),
        }
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
        search_part(&self.bundle.rows, vector, k, effort, &[], usize::MAX)
    }

    /// A slate for the profile; it is written to the log.
    ///
    /// # Errors
    /// Those of [`Recommender::ask`].
    pub fn recommend(&mut self, request: &Request) -> Result<Slate> {
        let asked = self.ask(request.clone())?;
        let best = search(&Scorer::new(&self.bundle.rows, asked.user()), &asked.allowed, request.k, request.effort);
        self.answer(asked, best)
    }

    /// The first half of [`Recommender::recommend`]: everything before the search.
    ///
    /// # Errors
    /// `argument`, `range`, `unknown-key` for a request that makes no sense; `no-model` and `model` of the tower.
    pub fn ask(&self, request: Request) -> Result<Asked> {
        if request.k == 0 {
            return Err(range("1 or more", 0).at("recommend.k"));
        }
        policy_of(&request.explore)?;
        let mut timings = Timings::default();
        let mut since = (self.clock)();
        let encoded = self.encode(&self.query(&request))?;
        timings.encode = self.lap(&mut since);
        let user = self.user(&encoded)?;
        timings.tower = self.lap(&mut since);
        let removed = self.removed(self.profile.events(), &request.exclude);
        let allowed = Bitmap::without(self.bundle.manifest.items, &removed);
        timings.filter = self.lap(&mut since);
        Ok(Asked { request, encoded, user, removed, allowed, timings, since })
    }

    /// The second half: the slate of the `k` best allowed rows, best first, ties by row; it is written to the log.
    ///
    /// # Errors
    /// `argument` for rows that are not allowed, or fewer of them than slots can be filled.
    pub fn answer(&mut self, asked: Asked, best: Vec<(f32, u32)>) -> Result<Slate> {
        let Asked { request, encoded, user, allowed, mut timings, mut since, .. } = asked;
        let slots = request.k.min(allowed.len());
        if best.len() < slots || !best.iter().all(|(_, row)| allowed.contains(*row)) {
            return Err(ErrorKind::Argument(format!("expected {slots} allowed rows, got others")).at("answer"));
        }
        timings.score = self.lap(&mut since);
        let policy = policy_of(&request.explore)?;
        let decision = request.explore.decision.clone().unwrap_or_else(|| self.decisions.to_string());
        let mut rng = decision_rng(request.explore.seed, &decision);
        let draws = slate::build(Candidates::new(best, allowed), request.k, policy.as_ref(), &mut rng);
        timings.slate = self.lap(&mut since);

        self.decisions += 1;
        let model = self.bundle.manifest.model_id.clone();
        let id = short_hash(&format!("{model}\n{}\n{decision}", request.explore.seed));
        let scorer = Scorer::new(&self.bundle.rows, &user.vector);
        let items: Vec<Item> = draws
            .iter()
            .map(|draw| Item {
                propensity: Some(draw.propensity),
                rating: self.rating(&user, draw.row),
                ..self.item(draw.row, scorer.score(draw.row))
            })
            .collect();
        let slots = items
            .iter()
            .zip(&draws)
            .map(|(i, d)| Slot { item: i.id.clone(), score: i.score, propensity: d.propensity })
            .collect();
        self.log.push(LogLine::Impression(Impression {
            kind: "impression".into(),
            slate: id.clone(),
            time: self.query(&request).time,
            model: model.clone(),
            policy: policy.name().into(),
            context: short_hash(&hashed(&encoded.context)),
            slots,
        }));
        Ok(Slate { id, items, policy: policy.name(), model, timings_us: timings })
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
        let user = self.user(&self.encode(&self.query(request))?)?;
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
        let rows = &self.bundle.rows;
        let lengths = self.lengths.get_or_init(|| rows.inverse_lengths());
        let query: Vec<i16> = rows.vector(row).iter().map(|q| i16::from(*q)).collect();
        let mut best = TopK::new(k);
        let mut dots = Vec::new();
        for (first, file) in rows.files() {
            dots.resize(file.len(), 0);
            Kernels::best().dots(file.vectors(), &query, &mut dots);
            for ((other, dot), inverse) in
                (first as u32..).zip(&dots).zip(&lengths[first..]).filter(|((other, _), _)| *other != row)
            {
                best.offer(*dot as f32 * inverse * lengths[row as usize], other);
            }
        }
        Ok(best.into_ranked().into_iter().map(|(score, row)| self.item(row, score)).collect())
    }

    /// Items whose title or id contains the text, best first; an empty text gives the popular ones. The score is the bias.
    pub fn find(&self, text: &str, k: usize) -> Vec<Item> {
        let rows = find(&self.bundle.catalog, |row| self.bundle.rows.bias(row), text, k);
        rows.into_iter().map(|row| self.item(row, self.bundle.rows.bias(row))).collect()
    }

    /// The tower's inputs, in the order of its graph.
    fn user_inputs(&self, query: &EncodedQuery) -> Vec<Tensor> {
        let encoding = &self.bundle.manifest.encoding;
        let (len, dim) = (encoding.history.len, self.bundle.manifest.dim);
        let history = &query.history;
        let mut vectors = vec![0.0; len * dim];
        for (out, row) in vectors.chunks_exact_mut(dim).zip(&history.rows) {
            self.bundle.rows.input_into(*row, out);
        }
        let indices = |values: &[u16]| {
            let mut out: Vec<i64> = values.iter().map(|v| i64::from(*v)).collect();
            out.resize(len, 0);
            Tensor::I64(vec![1, len], out)
        };
        let mut mask = vec![1.0; history.rows.len()];
        mask.resize(len, 0.0);
        let (slots, weights) = padded(&query.context, encoding.context_slots());
        vec![
            Tensor::F32(vec![1, len, dim], vectors),
            indices(&history.types),
            indices(&history.values),
            indices(&history.gaps),
            indices(&history.runs),
            Tensor::F32(vec![1, len], mask),
            slots,
            weights,
        ]
    }

    fn query<'a>(&'a self, request: &'a Request) -> Query<'a> {
        Query {
            history: self.profile.events(),
            context: &request.context,
            time: request.time,
            tz_offset_min: request.tz_offset_min,
        }
    }

    /// The `k` best rows that a history leaves, with their scores.
    pub(crate) fn best_unseen(&self, history: &[Event], user: &[f32], k: usize) -> Vec<(f32, u32)> {
        let allowed = Bitmap::without(self.bundle.manifest.items, &self.removed(history, &[]));
        search(&Scorer::new(&self.bundle.rows, user), &allowed, k, Effort::Accurate)
    }

    /// Rows of seen, hidden and excluded items. A type that the bundle does not declare counts as seen.
    fn removed(&self, events: &[Event], exclude: &[String]) -> Vec<u32> {
        let history = &self.bundle.manifest.encoding.history;
        let seen = events.iter().filter(|e| history.type_of(&e.kind).is_none_or(|t| t.seen || t.hide)).map(|e| &e.item);
        seen.chain(exclude).filter_map(|id| self.bundle.catalog.row(id)).collect()
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
            fields: catalog.fields(row),
        }
    }
}

fn policy_of(explore: &Explore) -> Result<Box<dyn Policy>> {
    match explore.policy.as_str() {
        "greedy" => Ok(Box::new(Greedy)),
        "epsilon-greedy" => Ok(Box::new(EpsilonGreedy::new(explore.epsilon)?)),
        other => Err(ErrorKind::Argument(format!("no policy `{other}`; there are: greedy, epsilon-greedy")).at("explore.policy")),
    }
}

/// Slots and weights of a bag, padded to `width` by slot 0 of weight 0.
fn padded(bag: &Slots, width: usize) -> (Tensor, Tensor) {
    let mut slots: Vec<i64> = bag.iter().map(|(slot, _)| i64::from(*slot)).collect();
    let mut weights: Vec<f32> = bag.iter().map(|(_, weight)| *weight).collect();
    slots.resize(width, 0);
    weights.resize(width, 0.0);
    (Tensor::I64(vec![1, width], slots), Tensor::F32(vec![1, width], weights))
}

/// Slots and weights as text, the weights bit by bit.
fn hashed(bag: &Slots) -> String {
    bag.iter().map(|(slot, weight)| format!("{slot}:{} ", weight.to_bits())).collect()
}

/// First 16 hexadecimal digits of the SHA-256 of a text.
fn short_hash(text: &str) -> String {
    sha256_hex(text.as_bytes())[..16].to_string()
}
