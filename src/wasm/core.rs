//! `Core`: the recommender as a class.

use js_sys::{Float32Array, Function, Object, Uint8Array, Uint32Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

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

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// How closely a search looks, by number: 0 for `accurate`, 1 for `fast`, 2 for the rows of a policy.
const EFFORTS: [Effort; 3] = [Effort::Accurate, Effort::Fast, Effort::Pool];

/// A bundle on its way, then a recommender.
#[wasm_bindgen]
pub struct Core {
    state: State,
}

enum State {
    Loading(Box<BundleReader>),
    Open(Box<Recommender>),
    /// Some item files, for searches alone.
    Shard(Rows),
    /// The bundle was refused while it was opened.
    Refused,
}

#[wasm_bindgen]
impl Core {
    /// Starts with the bytes of `manifest.json`; `max_bytes` bounds the bundle.
    #[wasm_bindgen(constructor)]
    pub fn new(manifest: &[u8], max_bytes: Option<f64>) -> JsResult<Core> {
        let limit = max_bytes.map_or(DEFAULT_MAX_BYTES, |b| b as u64);
        let reader = BundleReader::new(manifest, limit).map_err(to_js_error)?;
        Ok(Core { state: State::Loading(Box::new(reader)) })
    }

    /// Names of the policies.
    pub fn policies() -> Vec<String> {
        POLICIES.map(Into::into).to_vec()
    }

    /// The files of the bundle: `{ path, role, bytes, sha256 }[]`.
    pub fn files(&self) -> JsResult<JsValue> {
        to_js(&self.manifest()?.used_files().collect::<Vec<_>>())
    }

    /// Lengths of the inputs of the graphs, for the tower: `[dim, len, context, item]`.
    pub fn shapes(&self) -> JsResult<Vec<u32>> {
        let Shapes { dim, len, context, item } = self.manifest()?.shapes();
        Ok([dim, len, context, item].map(|n| n as u32).to_vec())
    }

    /// Bytes of memory that the open bundle will take, about.
    pub fn memory(&self) -> JsResult<f64> {
        Ok(self.manifest()?.memory() as f64)
    }

    /// Makes room for a file, or empties it to start again.
    pub fn begin(&mut self, path: &str) -> JsResult<()> {
        self.reader("begin")?.begin(path).map_err(to_js_error)
    }

    /// The next bytes of a file: they are copied once, to where they stay.
    pub fn append(&mut self, path: &str, bytes: &Uint8Array) -> JsResult<()> {
        let reader = self.reader("append")?;
        let count = bytes.length() as usize;
        if let Some(room) = reader.room(path).map_err(to_js_error)?.get_mut(..count) {
            bytes.copy_to(room);
        }
        reader.arrived(path, count).map_err(to_js_error)
    }

    /// Where in the memory of the module the bytes of a file lie: `[address, length]`, until the next call.
    pub fn place(&mut self, path: &str) -> JsResult<Vec<f64>> {
        let bytes = self.reader("place")?.so_far(path).map_err(to_js_error)?;
        Ok(vec![bytes.as_ptr() as usize as f64, bytes.len() as f64])
    }

    /// Checks a file's length and SHA-256 and keeps what the core needs of it. Without `sha256` the core computes it.
    pub fn finish(&mut self, path: &str, sha256: Option<Vec<u8>>) -> JsResult<()> {
        self.reader("finish")?.finish(path, sha256.as_deref()).map_err(to_js_error)
    }

    /// Checks the length and SHA-256 of a file that the core itself does not need.
    pub fn check(&self, path: &str, length: usize, sha256: &[u8]) -> JsResult<()> {
        self.manifest()?.check_file(path, length, sha256).map_err(to_js_error)
    }

    /// SHA-256 of any bytes.
    pub fn sha256(bytes: &[u8]) -> Vec<u8> {
        bundle::sha256(bytes)
    }

    /// Opens the item files that have arrived, for searches alone: one shard of a catalog.
    #[wasm_bindgen(js_name = openShard)]
    pub fn open_shard(&mut self) -> JsResult<()> {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Loading(reader) => {
                self.state = State::Shard(reader.open_shard());
                Ok(())
            }
            other => {
                self.state = other;
                Err(argument("the bundle is open already", "open"))
            }
        }
    }

    /// Opens the bundle; the model may still be on its way.
    pub fn open(&mut self) -> JsResult<()> {
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Loading(reader) => {
                let clock: Clock = Box::new(|| performance_now() * 1000.0);
                let bundle = reader.open().map_err(to_js_error)?;
                self.state = State::Open(Box::new(Recommender::new(bundle, clock)));
                Ok(())
            }
            other => {
                self.state = other;
                Err(argument("the bundle is open already", "open"))
            }
        }
    }

    /// Gives the model runtime: `run(graph, inputs: { shape, data }[]): Float32Array[]`, synchronous.
    #[wasm_bindgen(js_name = setRuntime)]
    pub fn set_runtime(&mut self, run: Function) -> JsResult<()> {
        self.get_mut()?.set_runtime(Box::new(ImportedRuntime::new(run)));
        Ok(())
    }

    /// Replays the rows of `golden.json`: what differs.
    #[wasm_bindgen(js_name = replayGolden)]
    pub fn replay_golden(&self, golden: &[u8]) -> JsResult<JsValue> {
        to_js(&Golden::replay(self.get()?, golden).map_err(to_js_error)?)
    }

    /// Adds an event; gives it with its id.
    pub fn record(&mut self, event: &str) -> JsResult<JsValue> {
        let event: Event = from_json(event, "event")?;
        let kept = self.get_mut()?.record(event).map_err(to_js_error)?;
        to_js(&kept)
    }

    /// The arm of a unit in an experiment, of as many arms as weights. `time` is in milliseconds UTC.
    pub fn assign(&mut self, experiment: &str, unit: &str, arms: Vec<String>, weights: &[f64], time: f64) -> JsResult<String> {
        let experiment = Experiment { name: experiment, arms: &arms, weights };
        let arm = self.get_mut()?.assign(&experiment, unit, Some(time as i64)).map_err(to_js_error)?;
        Ok(arm.into())
    }

    /// Removes an event by its id.
    pub fn remove(&mut self, event_id: &str) -> JsResult<bool> {
        Ok(self.get_mut()?.remove(event_id))
    }

    /// The kept events, oldest first.
    pub fn profile(&self) -> JsResult<JsValue> {
        to_js(self.get()?.profile().events())
    }

    /// Number of kept events.
    pub fn count(&self) -> JsResult<usize> {
        Ok(self.get()?.profile().events().len())
    }

    /// Replaces the kept events.
    #[wasm_bindgen(js_name = importProfile)]
    pub fn import_profile(&mut self, events: &str) -> JsResult<()> {
        let events: Vec<Event> = from_json(events, "events")?;
        self.get_mut()?.import_profile(events).map_err(to_js_error)
    }

    /// Forgets profile and log.
    pub fn clear(&mut self) -> JsResult<()> {
        self.get_mut()?.clear();
        Ok(())
    }

    /// A slate for the profile.
    pub fn recommend(&mut self, request: &str) -> JsResult<JsValue> {
        let request: Request = from_json(request, "request")?;
        let slate = self.get_mut()?.recommend(&request).map_err(to_js_error)?;
        to_js(&slate)
    }

    /// The first half of a slate, where the search is shared out: everything before it.
    pub fn ask(&self, request: &str) -> JsResult<Asked> {
        let asked = self.get()?.ask(from_json(request, "request")?).map_err(to_js_error)?;
        Ok(Asked { asked })
    }

    /// The second half, of the best rows of all shards, best first.
    pub fn answer(&mut self, asked: Asked, rows: &[u32], scores: &[f32]) -> JsResult<JsValue> {
        let best = scores.iter().copied().zip(rows.iter().copied()).collect();
        let slate = self.get_mut()?.answer(asked.asked, best).map_err(to_js_error)?;
        to_js(&slate)
    }

    /// The best rows for a given vector less the removed ones, of the first `files` item files: `{ rows: Uint32Array, scores: Float32Array }`.
    /// `effort` is a place in [`EFFORTS`]; `lift` are two numbers, or none.
    pub fn search(
        &self,
        vector: &[f32],
        k: usize,
        effort: u8,
        lift: &[f32],
        removed: &[u32],
        files: Option<usize>,
    ) -> JsResult<JsValue> {
        let rows = match &self.state {
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

    /// Rows as items.
    pub fn items(&self, rows: &[u32], scores: &[f32]) -> JsResult<JsValue> {
        let recommender = self.get()?;
        let there = |(row, _): &(&u32, &f32)| (**row as usize) < recommender.bundle().rows.len();
        to_js(&rows.iter().zip(scores).filter(there).map(|(row, score)| recommender.item(*row, *score)).collect::<Vec<_>>())
    }

    /// Given items by their score.
    pub fn rank(&self, ids: Vec<String>, request: &str) -> JsResult<JsValue> {
        let items = self.get()?.rank(&ids, &from_json(request, "request")?).map_err(to_js_error)?;
        to_js(&items)
    }

    /// Items like one item.
    pub fn similar(&self, id: &str, k: usize) -> JsResult<JsValue> {
        to_js(&self.get()?.similar(id, k).map_err(to_js_error)?)
    }

    /// Items by their title.
    pub fn find(&self, text: &str, k: usize) -> JsResult<JsValue> {
        to_js(&self.get()?.find(text, k))
    }

    /// The lines of the log but for the first `written` that ever came.
    pub fn log(&self, written: usize) -> JsResult<JsValue> {
        to_js(&self.get()?.log().since(written).collect::<Vec<_>>())
    }

    /// Takes a line of an earlier visit or of another tab into the log, with what later slates and assignments ask of it alone: items of an impression or an
    /// event, or experiment, arm and unit. To read whole lines would take many bytes. Before the bundle is open nothing is taken.
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

/// A slate that waits for the best rows.
#[wasm_bindgen]
pub struct Asked {
    asked: recommender::PendingSlate,
}

#[wasm_bindgen]
impl Asked {
    /// The vector `[d]` to look for.
    #[wasm_bindgen(getter)]
    pub fn vector(&self) -> Vec<f32> {
        self.asked.vector().to_vec()
    }

    /// Rows that are wanted.
    #[wasm_bindgen(getter)]
    pub fn k(&self) -> usize {
        self.asked.k()
    }

    /// How closely to look, as `search` takes it.
    #[wasm_bindgen(getter)]
    pub fn effort(&self) -> u8 {
        EFFORTS.iter().position(|effort| *effort == self.asked.effort()).unwrap_or_default() as u8
    }

    /// What to add to scores, for a unit of length and of rarity.
    #[wasm_bindgen(getter)]
    pub fn lift(&self) -> Vec<f32> {
        let Lift { length, rarity } = self.asked.lift();
        vec![length, rarity]
    }

    /// Rows that are not allowed.
    #[wasm_bindgen(getter)]
    pub fn removed(&self) -> Vec<u32> {
        self.asked.removed().to_vec()
    }
}

fn refused() -> JsValue {
    argument("the bundle was refused", "core")
}

fn argument(text: &str, part: &str) -> JsValue {
    to_js_error(ErrorKind::Argument(text.into()).at(part))
}

/// The page's objects cross as text, so one reader serves them and the files of a bundle.
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
