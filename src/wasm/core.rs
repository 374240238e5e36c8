//! The core module's class `Core`: a bundle while it loads, then the recommender.

use js_sys::{Float32Array, Float64Array, Function, Object, Uint8Array, Uint32Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Performance;

use super::convert::{JsResult, set, to_js_error};
use super::imported::ImportedRuntime;
use crate::bundle::{self, BundleReader, DEFAULT_MAX_BYTES, FEATURES, Lift, Manifest, NEIGHBOURS, Rows};
use crate::error::ErrorKind;
use crate::explore::POLICIES;
use crate::golden::Golden;
use crate::json;
use crate::model::Shapes;
use crate::profile::{Assignment, Event, Experiment, Impression, LogLine, Slot};
use crate::recommender::{Clock, PendingSlate, Recommender, VisitorState};
use crate::request::Request;
use crate::retrieve::{Effort, search_part};

/// The effort of a search by its number in JavaScript.
const EFFORTS: [Effort; 3] = [Effort::Accurate, Effort::Fast, Effort::Pool];

/// A bundle that is being loaded, and the recommender once it is open.
#[wasm_bindgen]
pub struct Core {
    /// Takes the files that the bundle is opened from, and then those that may follow.
    reader: BundleReader,
    state: State,
    /// Slates whose rows are still being searched, by number.
    pending: Vec<Option<PendingSlate>>,
}

enum State {
    Loading,
    Open(Box<Recommender>),
    /// Some item files, which can only be searched.
    Shard(Box<Rows>),
    /// Opening the bundle failed.
    Refused,
}

#[wasm_bindgen]
impl Core {
    /// Starts to load the bundle of a `manifest.json`. A bundle of more than `max_bytes` is refused.
    #[wasm_bindgen(constructor)]
    pub fn new(manifest: &Uint8Array, max_bytes: Option<f64>) -> JsResult<Core> {
        let limit = max_bytes.map_or(DEFAULT_MAX_BYTES, |b| b as u64);
        let reader = BundleReader::new(&manifest.to_vec(), limit).map_err(to_js_error)?;
        Ok(Core { reader, state: State::Loading, pending: Vec::new() })
    }

    /// What a page has to know of the bundle: `files`, `{ path, role, bytes, sha256 }[]`; `shapes`, the sizes of the
    /// graphs' inputs, of which `new Tower` takes `[dim, len, context, item]` and `addRanker` the last two; `memory`,
    /// an estimate of the bytes that the open bundle takes; `policies`, the names of the policies.
    pub fn plan(&self) -> JsResult<JsValue> {
        let manifest = self.manifest()?;
        let Shapes { dim, len, context, item, ranker, heads, .. } = manifest.shapes();
        let plan = Object::new().into();
        set(&plan, "files", &to_js(&manifest.used_files().collect::<Vec<_>>())?);
        set(&plan, "shapes", &to_js(&[dim, len, context, item, ranker, heads][..])?);
        set(&plan, "memory", &(manifest.memory() as f64).into());
        set(&plan, "policies", &to_js(&POLICIES[..])?);
        Ok(plan)
    }

    /// Starts a file, or discards what has arrived of it. Once the bundle is open, only neighbours and values for
    /// the ranker may follow.
    pub fn begin(&mut self, path: &str) -> JsResult<()> {
        self.reader("begin", path)?.begin(path).map_err(to_js_error)
    }

    /// Appends bytes to a file.
    pub fn append(&mut self, path: &str, bytes: &Uint8Array) -> JsResult<()> {
        let room = self.reader("append", path)?.append(path, bytes.length() as usize).map_err(to_js_error)?;
        bytes.copy_to(room);
        Ok(())
    }

    /// Where the bytes of a file are in the module's memory, `[address, length]`; valid until the next call.
    pub fn place(&mut self, path: &str) -> JsResult<JsValue> {
        let bytes = self.reader("place", path)?.so_far(path).map_err(to_js_error)?;
        to_js(&[bytes.as_ptr() as usize, bytes.len()][..])
    }

    /// Ends a file: checks its length and SHA-256 and keeps the parts that the core needs. Computes the hash if it is
    /// missing.
    pub fn finish(&mut self, path: &str, sha256: Option<Uint8Array>) -> JsResult<()> {
        let sha256 = sha256.map(|hash| hash.to_vec());
        self.reader("finish", path)?.finish(path, sha256.as_deref()).map_err(to_js_error)
    }

    /// SHA-256 of any bytes.
    pub fn sha256(bytes: &Uint8Array) -> Vec<u8> {
        bundle::sha256(&bytes.to_vec())
    }

    /// Opens the item files that have arrived as one shard of a catalog, which can only be searched.
    #[wasm_bindgen(js_name = openShard)]
    pub fn open_shard(&mut self) -> JsResult<()> {
        self.check_loading("open")?;
        self.state = State::Shard(Box::new(self.reader.open_shard()));
        Ok(())
    }

    /// Opens the bundle. The model may follow later, by `setRuntime`, and neighbours by `openNeighbours`.
    pub fn open(&mut self) -> JsResult<()> {
        self.check_loading("open")?;
        self.state = State::Refused;
        let bundle = self.reader.open().map_err(to_js_error)?;
        self.state = State::Open(Box::new(Recommender::new(bundle, clock())));
        Ok(())
    }

    /// Adds the neighbours and the values for the ranker, once their files have followed. Does nothing for what a
    /// bundle does not have, or what is there.
    #[wasm_bindgen(js_name = openNeighbours)]
    pub fn open_neighbours(&mut self) -> JsResult<()> {
        let bundle = self.get()?.bundle();
        if bundle.manifest.neighbours.is_some() && bundle.neighbours.is_none() {
            let neighbours = self.reader.neighbours().map_err(to_js_error)?;
            self.get_mut()?.set_neighbours(neighbours);
        }
        let bundle = self.get()?.bundle();
        if bundle.manifest.has_features() && bundle.features.is_none() {
            let features = self.reader.features().map_err(to_js_error)?;
            self.get_mut()?.set_features(features);
        }
        Ok(())
    }

    /// Sets the model runtime, a synchronous function `run(graph, inputs: { shape, data }[]): Float32Array[]`.
    #[wasm_bindgen(js_name = setRuntime)]
    pub fn set_runtime(&mut self, run: Function) -> JsResult<()> {
        self.get_mut()?.set_runtime(Box::new(ImportedRuntime::new(run)));
        Ok(())
    }

    /// Replays the rows of `golden.json` and returns the differences, `string[]`.
    #[wasm_bindgen(js_name = replayGolden)]
    pub fn replay_golden(&self, golden: &Uint8Array) -> JsResult<JsValue> {
        to_js(&Golden::replay(self.get()?, &golden.to_vec()).map_err(to_js_error)?)
    }

    /// Adds an event, given as JSON, and returns it as it is kept.
    pub fn record(&mut self, event: &str) -> JsResult<JsValue> {
        let event: Event = from_json(event, "event")?;
        let kept = self.get_mut()?.record(event).map_err(to_js_error)?;
        to_js(&kept)
    }

    /// The arm of a unit in an experiment, which is written to the log. `texts` are name and unit of the experiment and
    /// its arms, as JSON; there is one weight for each arm; `time` is in milliseconds UTC.
    pub fn assign(&mut self, texts: &str, weights: &Float64Array, time: Option<f64>) -> JsResult<JsValue> {
        let texts = texts_of(texts, "experiment")?;
        let [name, unit, arms @ ..] = &texts[..] else { return Err(argument("expected name and unit", "experiment")) };
        let experiment = Experiment { name, arms, weights: &weights.to_vec() };
        Ok(self.get_mut()?.assign(&experiment, unit, time.map(|time| time as i64)).map_err(to_js_error)?.into())
    }

    /// Removes the event with an id and returns whether there was one.
    pub fn remove(&mut self, event_id: &str) -> JsResult<bool> {
        Ok(self.get_mut()?.remove(event_id))
    }

    /// Replaces the kept events by others, given as a JSON array. Returns those that are kept, oldest first.
    #[wasm_bindgen(js_name = importProfile)]
    pub fn import_profile(&mut self, events: &str) -> JsResult<JsValue> {
        let events: Vec<Event> = from_json(events, "events")?;
        let recommender = self.get_mut()?;
        recommender.import_profile(events).map_err(to_js_error)?;
        to_js(recommender.profile().events())
    }

    /// Erases profile and log.
    pub fn clear(&mut self) -> JsResult<()> {
        self.get_mut()?.clear();
        Ok(())
    }

    /// A slate for the visitor. The request is given as JSON.
    pub fn recommend(&mut self, request: &str) -> JsResult<JsValue> {
        let request: Request = from_json(request, "request")?;
        let slate = self.get_mut()?.recommend(&request).map_err(to_js_error)?;
        to_js(&slate)
    }

    /// The first half of `recommend`, up to the search, for a page whose shards search. Returns what to search for, as
    /// the arguments of `search`, and the number of the slate: `{ slate, vector, k, effort, lift, removed }`.
    pub fn ask(&mut self, request: &str) -> JsResult<JsValue> {
        let pending = self.get()?.ask(from_json(request, "request")?).map_err(to_js_error)?;
        let Lift { length, rarity } = pending.lift();
        let effort = EFFORTS.iter().position(|effort| *effort == pending.effort()).unwrap_or_default();
        let slate = self.pending.iter().position(Option::is_none).unwrap_or(self.pending.len());
        let asked = Object::new().into();
        set(&asked, "slate", &slate.into());
        set(&asked, "vector", &Float32Array::from(pending.vector()).into());
        set(&asked, "k", &pending.k().into());
        set(&asked, "effort", &effort.into());
        set(&asked, "lift", &Float32Array::from([length, rarity].as_slice()).into());
        set(&asked, "removed", &Uint32Array::from(pending.removed().as_slice()).into());
        self.pending.resize_with(self.pending.len().max(slate + 1), || None);
        self.pending[slate] = Some(pending);
        Ok(asked)
    }

    /// The second half of `recommend`: the slate with a number, from the best rows of all shards, best first.
    pub fn answer(&mut self, slate: usize, rows: &Uint32Array, scores: &Float32Array) -> JsResult<JsValue> {
        let pending = self.pending.get_mut(slate).and_then(Option::take).ok_or_else(|| argument("no such slate", "answer"))?;
        let best = scores.to_vec().into_iter().zip(rows.to_vec()).collect();
        let slate = self.get_mut()?.answer(pending, best).map_err(to_js_error)?;
        to_js(&slate)
    }

    /// The best `k` rows for a vector `[dim]` without the `removed` rows, best first, as
    /// `{ rows: Uint32Array, scores: Float32Array }`.
    ///
    /// Searches the first `files` item files; all of them if it is missing. `effort`: 0 is `accurate`, 1 `fast`, 2 the
    /// search for a policy's pool. `lift`: length and rarity, or empty for none.
    pub fn search(
        &self,
        vector: &Float32Array,
        k: usize,
        effort: u8,
        lift: &Float32Array,
        removed: &Uint32Array,
        files: Option<usize>,
    ) -> JsResult<JsValue> {
        let rows: &Rows = match &self.state {
            State::Shard(rows) => rows,
            _ => &self.get()?.bundle().rows,
        };
        let effort = EFFORTS.get(usize::from(effort)).copied().unwrap_or_default();
        let lift = match lift.to_vec()[..] {
            [length, rarity] => Lift { length, rarity },
            _ => Lift::default(),
        };
        let (vector, removed) = (vector.to_vec(), removed.to_vec());
        let best = search_part(rows, &vector, k, effort, lift, &removed, files.unwrap_or(usize::MAX)).map_err(to_js_error)?;
        let (scores, rows): (Vec<f32>, Vec<u32>) = best.into_iter().unzip();
        let found = Object::new().into();
        set(&found, "rows", &Uint32Array::from(rows.as_slice()).into());
        set(&found, "scores", &Float32Array::from(scores.as_slice()).into());
        Ok(found)
    }

    /// The items of rows, with the given scores. Rows that the catalog does not have are left out.
    pub fn items(&self, rows: &Uint32Array, scores: &Float32Array) -> JsResult<JsValue> {
        let recommender = self.get()?;
        let exists = |(row, _): &(u32, f32)| (*row as usize) < recommender.bundle().rows.len();
        let found = rows.to_vec().into_iter().zip(scores.to_vec()).filter(exists);
        to_js(&found.map(|(row, score)| recommender.item(row, score)).collect::<Vec<_>>())
    }

    /// The given items, best first. Ids and request are given as JSON.
    pub fn rank(&self, ids: &str, request: &str) -> JsResult<JsValue> {
        let ids = texts_of(ids, "ids")?;
        to_js(&self.get()?.rank(&ids, &from_json(request, "request")?).map_err(to_js_error)?)
    }

    /// Why an item has its score for the profile: `{ score, bias, context, older, events }`. The request is given as
    /// JSON.
    pub fn explain(&self, id: &str, request: &str) -> JsResult<JsValue> {
        to_js(&self.get()?.explain(&from_json(request, "request")?, id).map_err(to_js_error)?)
    }

    /// The raw values that the ranker reads of the visitor and of items: `{ visitor, items }`. Ids and request are
    /// given as JSON.
    #[wasm_bindgen(js_name = featureValues)]
    pub fn feature_values(&self, ids: &str, request: &str) -> JsResult<JsValue> {
        let (recommender, request): (_, Request) = (self.get()?, from_json(request, "request")?);
        let Request { context, time, tz_offset_min, .. } = &request;
        let history = recommender.profile().events();
        let state = VisitorState { history, context, time: *time, tz_offset_min: *tz_offset_min };
        to_js(&recommender.feature_values(&state, &texts_of(ids, "ids")?).map_err(to_js_error)?)
    }

    /// The `k` items most similar to an item.
    pub fn similar(&self, id: &str, k: usize) -> JsResult<JsValue> {
        to_js(&self.get()?.similar(id, k).map_err(to_js_error)?)
    }

    /// At most `k` items whose title or id contains a text.
    pub fn find(&self, text: &str, k: usize) -> JsResult<JsValue> {
        to_js(&self.get()?.find(text, k))
    }

    /// The lines of the log without the first `written` lines that were ever added. Those of slates come without slots,
    /// which the page has in the slate: converting them twice would take a tenth of a `recommend`.
    pub fn log(&self, written: usize) -> JsResult<JsValue> {
        let without_slots = |line: &LogLine| match line {
            LogLine::Impression(shown) => LogLine::Impression(Box::new(Impression { slots: Vec::new(), ..(**shown).clone() })),
            other => other.clone(),
        };
        to_js(&self.get()?.log().since(written).map(without_slots).collect::<Vec<_>>())
    }

    /// Removes the last line of the log: a slate that the visitor may not see.
    #[wasm_bindgen(js_name = takeBack)]
    pub fn take_back(&mut self) -> JsResult<()> {
        self.get_mut()?.take_back();
        Ok(())
    }

    /// Adds a log line of an earlier visit or of another tab. Of the line it takes the kind and the texts that later
    /// slates and assignments need, as JSON: the items of an `impression`, the item of an `event`, or experiment, arm
    /// and unit of an `assignment`. A reader of whole lines would add many bytes to the module.
    pub fn restore(&mut self, line: &str) -> JsResult<()> {
        let line = line_of(texts_of(line, "log")?);
        let recommender = self.get_mut()?;
        line.into_iter().for_each(|line| recommender.restore(line));
        Ok(())
    }
}

/// The log line of a kind and its texts; texts that are missing are empty.
fn line_of(parts: Vec<String>) -> Option<LogLine> {
    let mut texts = parts.into_iter();
    let kind = texts.next()?;
    let mut next = || texts.next().unwrap_or_default();
    Some(match kind.as_str() {
        "impression" => {
            let slots = texts.map(|item| Slot { item, ..Slot::default() }).collect();
            LogLine::Impression(Box::new(Impression { slots, ..Impression::default() }))
        }
        "assignment" => {
            let (experiment, arm, unit) = (next(), next(), next());
            LogLine::Assignment(Assignment { kind, experiment, arm, unit, time: None })
        }
        _ => LogLine::Event(Event { item: next(), ..Event::default() }),
    })
}

impl Core {
    fn manifest(&self) -> JsResult<&Manifest> {
        match &self.state {
            State::Loading | State::Open(_) => Ok(self.reader.manifest()),
            State::Shard(_) | State::Refused => Err(refused()),
        }
    }

    fn check_loading(&self, call: &str) -> JsResult<()> {
        match &self.state {
            State::Loading => Ok(()),
            _ => Err(argument("the bundle is open already", call)),
        }
    }

    /// The reader of a file that may arrive now.
    fn reader(&mut self, call: &str, path: &str) -> JsResult<&mut BundleReader> {
        let role = self.reader.manifest().file(path).map_or("", |file| &file.role);
        let follows = matches!(&self.state, State::Open(_)) && [NEIGHBOURS, FEATURES].contains(&role);
        if !follows {
            self.check_loading(call)?;
        }
        Ok(&mut self.reader)
    }

    fn get(&self) -> JsResult<&Recommender> {
        match &self.state {
            State::Open(recommender) => Ok(recommender),
            State::Loading => Err(argument("the bundle is not open yet", "core")),
            State::Shard(_) | State::Refused => Err(refused()),
        }
    }

    fn get_mut(&mut self) -> JsResult<&mut Recommender> {
        match &mut self.state {
            State::Open(recommender) => Ok(recommender),
            State::Loading => Err(argument("the bundle is not open yet", "core")),
            State::Shard(_) | State::Refused => Err(refused()),
        }
    }
}

#[wasm_bindgen]
extern "C" {
    /// Pages, workers and Node all have this global; only pages have a `window`.
    #[wasm_bindgen(thread_local_v2, js_name = performance)]
    static PERFORMANCE: Performance;
}

/// The platform's clock, in microseconds.
fn clock() -> Clock {
    Box::new(|| PERFORMANCE.with(Performance::now) * 1000.0)
}

fn refused() -> JsValue {
    argument("the bundle was refused", "core")
}

fn argument(text: &str, part: &str) -> JsValue {
    to_js_error(ErrorKind::Argument(text.into()).at(part))
}

/// Reads an object of the page. Objects come in as JSON text, so that one reader serves them and the files of a bundle.
fn from_json<T: DeserializeOwned>(text: &str, part: &str) -> JsResult<T> {
    json::from_json(text.as_bytes()).map_err(|kind| {
        let kind = match kind {
            ErrorKind::Malformed(text) => ErrorKind::Argument(text),
            kind => kind,
        };
        to_js_error(kind.at(part))
    })
}

/// A list of texts. Its one reader serves all calls.
#[inline(never)]
fn texts_of(json: &str, part: &str) -> JsResult<Vec<String>> {
    from_json(json, part)
}

/// A value as plain objects and lists. Maps become a `Map`: setting the key `__proto__` of an object would not add it.
fn to_js<T: Serialize + ?Sized>(value: &T) -> JsResult<JsValue> {
    let serializer = Serializer::json_compatible().serialize_maps_as_objects(false);
    value.serialize(&serializer).map_err(|e| to_js_error(ErrorKind::Malformed(e.to_string()).at("result")))
}
