//! The core module's classes: `Core`, the recommender, and `PendingSlate`, a slate whose rows are still being searched.

use js_sys::{Float32Array, Function, Object, Uint8Array, Uint32Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::Performance;

use super::convert::{JsResult, set, to_js_error};
use super::imported::ImportedRuntime;
use crate::bundle::{self, BundleReader, DEFAULT_MAX_BYTES, Lift, Manifest, Rows};
use crate::error::ErrorKind;
use crate::explore::POLICIES;
use crate::golden::Golden;
use crate::json;
use crate::model::Shapes;
use crate::profile::{Assignment, Event, Experiment, Impression, LogLine, Slot};
use crate::recommender::{self, Clock, Recommender};
use crate::request::Request;
use crate::retrieve::{Effort, search_part};

/// The effort of a search by its number in JavaScript.
const EFFORTS: [Effort; 3] = [Effort::Accurate, Effort::Fast, Effort::Pool];

/// A bundle that is being loaded, and the recommender once it is open.
#[wasm_bindgen]
pub struct Core {
    state: State,
}

enum State {
    Loading(Box<BundleReader>),
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
    pub fn new(manifest: &[u8], max_bytes: Option<f64>) -> JsResult<Core> {
        let limit = max_bytes.map_or(DEFAULT_MAX_BYTES, |b| b as u64);
        let reader = BundleReader::new(manifest, limit).map_err(to_js_error)?;
        Ok(Core { state: State::Loading(Box::new(reader)) })
    }

    /// The names of the policies.
    pub fn policies() -> Vec<String> {
        POLICIES.map(Into::into).to_vec()
    }

    /// The files of the bundle: `{ path, role, bytes, sha256 }[]`.
    pub fn files(&self) -> JsResult<JsValue> {
        to_js(&self.manifest()?.used_files().collect::<Vec<_>>())
    }

    /// The sizes of the graphs' inputs, as `new Tower` takes them: `[dim, len, context, item]`.
    pub fn shapes(&self) -> JsResult<Vec<u32>> {
        let Shapes { dim, len, context, item } = self.manifest()?.shapes();
        Ok([dim, len, context, item].map(|n| n as u32).to_vec())
    }

    /// An estimate of the memory that the open bundle takes, in bytes.
    pub fn memory(&self) -> JsResult<f64> {
        Ok(self.manifest()?.memory() as f64)
    }

    /// Starts a file: makes room for it, or discards what has arrived of it.
    pub fn begin(&mut self, path: &str) -> JsResult<()> {
        self.reader("begin")?.begin(path).map_err(to_js_error)
    }

    /// Appends bytes to a file. They are copied once, to the place where they stay.
    pub fn append(&mut self, path: &str, bytes: &Uint8Array) -> JsResult<()> {
        let reader = self.reader("append")?;
        let count = bytes.length() as usize;
        if let Some(room) = reader.room(path).map_err(to_js_error)?.get_mut(..count) {
            bytes.copy_to(room);
        }
        reader.arrived(path, count).map_err(to_js_error)
    }

    /// Where the bytes of a file are in the module's memory, `[address, length]`; valid until the next call.
    pub fn place(&mut self, path: &str) -> JsResult<Vec<f64>> {
        let bytes = self.reader("place")?.so_far(path).map_err(to_js_error)?;
        Ok(vec![bytes.as_ptr() as usize as f64, bytes.len() as f64])
    }

    /// Ends a file: checks its length and SHA-256 and keeps the parts that the core needs. Computes the hash if it is
    /// missing.
    pub fn finish(&mut self, path: &str, sha256: Option<Vec<u8>>) -> JsResult<()> {
        self.reader("finish")?.finish(path, sha256.as_deref()).map_err(to_js_error)
    }

    /// Checks the length and SHA-256 of a file that the core does not read.
    pub fn check(&self, path: &str, length: usize, sha256: &[u8]) -> JsResult<()> {
        self.manifest()?.check_file(path, length, sha256).map_err(to_js_error)
    }

    /// SHA-256 of any bytes.
    pub fn sha256(bytes: &[u8]) -> Vec<u8> {
        bundle::sha256(bytes)
    }

    /// Opens the item files that have arrived as one shard of a catalog, which can only be searched.
    #[wasm_bindgen(js_name = openShard)]
    pub fn open_shard(&mut self) -> JsResult<()> {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Loading(reader) => {
                self.state = State::Shard(Box::new(reader.open_shard()));
                Ok(())
            }
            other => {
                self.state = other;
                Err(argument("the bundle is open already", "open"))
            }
        }
    }

    /// Opens the bundle. The model may follow later, by `setRuntime`.
    pub fn open(&mut self) -> JsResult<()> {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Loading(reader) => {
                let bundle = reader.open().map_err(to_js_error)?;
                self.state = State::Open(Box::new(Recommender::new(bundle, clock())));
                Ok(())
            }
            other => {
                self.state = other;
                Err(argument("the bundle is open already", "open"))
            }
        }
    }

    /// Sets the model runtime, a synchronous function `run(graph, inputs: { shape, data }[]): Float32Array[]`.
    #[wasm_bindgen(js_name = setRuntime)]
    pub fn set_runtime(&mut self, run: Function) -> JsResult<()> {
        self.get_mut()?.set_runtime(Box::new(ImportedRuntime::new(run)));
        Ok(())
    }

    /// Replays the rows of `golden.json` and returns the differences, `string[]`.
    #[wasm_bindgen(js_name = replayGolden)]
    pub fn replay_golden(&self, golden: &[u8]) -> JsResult<JsValue> {
        to_js(&Golden::replay(self.get()?, golden).map_err(to_js_error)?)
    }

    /// Adds an event, given as JSON, and returns it as it is kept.
    pub fn record(&mut self, event: &str) -> JsResult<JsValue> {
        let event: Event = from_json(event, "event")?;
        let kept = self.get_mut()?.record(event).map_err(to_js_error)?;
        to_js(&kept)
    }

    /// The arm of a unit in an experiment, which is written to the log. There is one weight for each arm; `time` is in
    /// milliseconds UTC.
    pub fn assign(&mut self, experiment: &str, unit: &str, arms: Vec<String>, weights: &[f64], time: f64) -> JsResult<String> {
        let experiment = Experiment { name: experiment, arms: &arms, weights };
        let arm = self.get_mut()?.assign(&experiment, unit, Some(time as i64)).map_err(to_js_error)?;
        Ok(arm.into())
    }

    /// Removes the event with an id and returns whether there was one.
    pub fn remove(&mut self, event_id: &str) -> JsResult<bool> {
        Ok(self.get_mut()?.remove(event_id))
    }

    /// The kept events, oldest first.
    pub fn profile(&self) -> JsResult<JsValue> {
        to_js(self.get()?.profile().events())
    }

    /// The number of kept events.
    pub fn count(&self) -> JsResult<usize> {
        Ok(self.get()?.profile().events().len())
    }

    /// Replaces the kept events by others, given as a JSON array.
    #[wasm_bindgen(js_name = importProfile)]
    pub fn import_profile(&mut self, events: &str) -> JsResult<()> {
        let events: Vec<Event> = from_json(events, "events")?;
        self.get_mut()?.import_profile(events).map_err(to_js_error)
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

    /// The first half of `recommend`, up to the search, for a page whose shards search.
    pub fn ask(&self, request: &str) -> JsResult<PendingSlate> {
        let pending = self.get()?.ask(from_json(request, "request")?).map_err(to_js_error)?;
        Ok(PendingSlate { pending })
    }

    /// The second half of `recommend`: the slate from the best rows of all shards, best first.
    pub fn answer(&mut self, pending: PendingSlate, rows: &[u32], scores: &[f32]) -> JsResult<JsValue> {
        let best = scores.iter().copied().zip(rows.iter().copied()).collect();
        let slate = self.get_mut()?.answer(pending.pending, best).map_err(to_js_error)?;
        to_js(&slate)
    }

    /// The best `k` rows for a vector `[dim]` without the `removed` rows, best first, as
    /// `{ rows: Uint32Array, scores: Float32Array }`.
    ///
    /// Searches the first `files` item files; all of them if it is missing. `effort`: 0 is `accurate`, 1 `fast`, 2 the
    /// search for a policy's pool. `lift`: length and rarity, or empty for none.
    pub fn search(
        &self,
        vector: &[f32],
        k: usize,
        effort: u8,
        lift: &[f32],
        removed: &[u32],
        files: Option<usize>,
    ) -> JsResult<JsValue> {
        let rows: &Rows = match &self.state {
            State::Shard(rows) => rows,
            _ => &self.get()?.bundle().rows,
        };
        let effort = EFFORTS.get(usize::from(effort)).copied().unwrap_or_default();
        let lift = lift.first_chunk().map_or(Lift::default(), |[length, rarity]| Lift { length: *length, rarity: *rarity });
        let best = search_part(rows, vector, k, effort, lift, removed, files.unwrap_or(usize::MAX)).map_err(to_js_error)?;
        let (scores, rows): (Vec<f32>, Vec<u32>) = best.into_iter().unzip();
        let found = Object::new().into();
        set(&found, "rows", &Uint32Array::from(rows.as_slice()).into());
        set(&found, "scores", &Float32Array::from(scores.as_slice()).into());
        Ok(found)
    }

    /// The items of rows, with the given scores. Rows that the catalog does not have are left out.
    pub fn items(&self, rows: &[u32], scores: &[f32]) -> JsResult<JsValue> {
        let recommender = self.get()?;
        let exists = |(row, _): &(&u32, &f32)| (**row as usize) < recommender.bundle().rows.len();
        to_js(&rows.iter().zip(scores).filter(exists).map(|(row, score)| recommender.item(*row, *score)).collect::<Vec<_>>())
    }

    /// The given items, best first.
    pub fn rank(&self, ids: Vec<String>, request: &str) -> JsResult<JsValue> {
        let items = self.get()?.rank(&ids, &from_json(request, "request")?).map_err(to_js_error)?;
        to_js(&items)
    }

    /// The `k` items most similar to an item.
    pub fn similar(&self, id: &str, k: usize) -> JsResult<JsValue> {
        to_js(&self.get()?.similar(id, k).map_err(to_js_error)?)
    }

    /// At most `k` items whose title or id contains a text.
    pub fn find(&self, text: &str, k: usize) -> JsResult<JsValue> {
        to_js(&self.get()?.find(text, k))
    }

    /// The lines of the log without the first `written` lines that were ever added.
    pub fn log(&self, written: usize) -> JsResult<JsValue> {
        to_js(&self.get()?.log().since(written).collect::<Vec<_>>())
    }

    /// Adds a log line of an earlier visit or of another tab. Does nothing before the bundle is open.
    ///
    /// `texts` are the fields that later slates and assignments need: the items of an impression, the item of an event,
    /// or experiment, arm and unit of an assignment. A reader of whole lines would add many bytes to the module.
    pub fn restore(&mut self, kind: &str, texts: Vec<String>) {
        let State::Open(recommender) = &mut self.state else { return };
        let mut texts = texts.into_iter();
        recommender.restore(match kind {
            "impression" => {
                let slots = texts.map(|item| Slot { item, ..Slot::default() }).collect();
                LogLine::Impression(Box::new(Impression { slots, ..Impression::default() }))
            }
            "assignment" => {
                let mut next = || texts.next().unwrap_or_default();
                let (experiment, arm, unit) = (next(), next(), next());
                LogLine::Assignment(Assignment { kind: kind.into(), experiment, arm, unit, time: None })
            }
            _ => LogLine::Event(Event { item: texts.next().unwrap_or_default(), ..Event::default() }),
        });
    }
}

impl Core {
    fn manifest(&self) -> JsResult<&Manifest> {
        match &self.state {
            State::Loading(reader) => Ok(reader.manifest()),
            State::Open(recommender) => Ok(&recommender.bundle().manifest),
            State::Shard(_) | State::Refused => Err(refused()),
        }
    }

    fn reader(&mut self, call: &str) -> JsResult<&mut BundleReader> {
        match &mut self.state {
            State::Loading(reader) => Ok(reader),
            _ => Err(argument("the bundle is open already", call)),
        }
    }

    fn get(&self) -> JsResult<&Recommender> {
        match &self.state {
            State::Open(recommender) => Ok(recommender),
            State::Loading(_) => Err(argument("the bundle is not open yet", "core")),
            State::Shard(_) | State::Refused => Err(refused()),
        }
    }

    fn get_mut(&mut self) -> JsResult<&mut Recommender> {
        match &mut self.state {
            State::Open(recommender) => Ok(recommender),
            State::Loading(_) => Err(argument("the bundle is not open yet", "core")),
            State::Shard(_) | State::Refused => Err(refused()),
        }
    }
}

/// A slate whose rows are still being searched: what to search for.
#[wasm_bindgen]
pub struct PendingSlate {
    pending: recommender::PendingSlate,
}

#[wasm_bindgen]
impl PendingSlate {
    /// The vector to search for, `[dim]`.
    #[wasm_bindgen(getter)]
    pub fn vector(&self) -> Vec<f32> {
        self.pending.vector().to_vec()
    }

    /// How many rows to find.
    #[wasm_bindgen(getter)]
    pub fn k(&self) -> usize {
        self.pending.k()
    }

    /// The effort, as `search` takes it.
    #[wasm_bindgen(getter)]
    pub fn effort(&self) -> u8 {
        EFFORTS.iter().position(|effort| *effort == self.pending.effort()).unwrap_or_default() as u8
    }

    /// The lift, as `search` takes it.
    #[wasm_bindgen(getter)]
    pub fn lift(&self) -> Vec<f32> {
        let Lift { length, rarity } = self.pending.lift();
        vec![length, rarity]
    }

    /// The rows that must not be found.
    #[wasm_bindgen(getter)]
    pub fn removed(&self) -> Vec<u32> {
        self.pending.removed().to_vec()
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

fn to_js<T: Serialize + ?Sized>(value: &T) -> JsResult<JsValue> {
    value.serialize(&Serializer::json_compatible()).map_err(|e| to_js_error(ErrorKind::Malformed(e.to_string()).at("result")))
}
