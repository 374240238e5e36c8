//! `Core`: the recommender as a class.

use js_sys::Function;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::convert::{JsResult, to_js_error};
use super::imported::ImportedRuntime;
use crate::bundle::{BundleReader, DEFAULT_MAX_BYTES};
use crate::error::{Error, ErrorKind};
use crate::golden::Golden;
use crate::profile::Event;
use crate::recommender::{Clock, Recommender, Request};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// A bundle on its way, then a recommender.
#[wasm_bindgen]
pub struct Core {
    state: State,
}

enum State {
    Loading(Box<BundleReader>),
    Open(Box<Recommender>),
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

    /// The files to fetch: `{ path, role, bytes, sha256 }[]`.
    pub fn files(&self) -> JsResult<JsValue> {
        let manifest = match &self.state {
            State::Loading(reader) => reader.manifest(),
            State::Open(recommender) => &recommender.bundle().manifest,
            State::Refused => return Err(refused()),
        };
        to_js(&manifest.used_files().collect::<Vec<_>>())
    }

    /// Bytes of all files.
    #[wasm_bindgen(js_name = totalBytes)]
    pub fn total_bytes(&self) -> f64 {
        match &self.state {
            State::Loading(reader) => reader.manifest().used_files().map(|f| f.bytes as f64).sum(),
            State::Open(recommender) => recommender.bundle().manifest.used_files().map(|f| f.bytes as f64).sum(),
            State::Refused => 0.0,
        }
    }

    /// Checks a file's length and hash and takes what the core needs of it.
    #[wasm_bindgen(js_name = addFile)]
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) -> JsResult<()> {
        match &mut self.state {
            State::Loading(reader) => reader.add_file(path, bytes).map_err(to_js_error),
            _ => Err(argument("the bundle is open already", "addFile")),
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

    /// What the page may show of the bundle: the manifest.
    pub fn info(&self) -> JsResult<JsValue> {
        to_js(&self.get()?.bundle().manifest)
    }

    /// Replays the golden rows: what differs.
    #[wasm_bindgen(js_name = replayGolden)]
    pub fn replay_golden(&self) -> JsResult<JsValue> {
        to_js(&Golden::replay(self.get()?).map_err(to_js_error)?)
    }

    /// Adds an event; gives it with its id.
    pub fn record(&mut self, event: JsValue) -> JsResult<JsValue> {
        let event: Event = from_js(event, "event")?;
        let kept = self.get_mut()?.record(event).map_err(to_js_error)?;
        to_js(&kept)
    }

    /// Removes an event by its id.
    pub fn remove(&mut self, event_id: &str) -> JsResult<bool> {
        Ok(self.get_mut()?.remove(event_id))
    }

    /// The kept events, oldest first.
    pub fn profile(&self) -> JsResult<JsValue> {
        to_js(self.get()?.profile().events())
    }

    /// Replaces the kept events.
    #[wasm_bindgen(js_name = importProfile)]
    pub fn import_profile(&mut self, events: JsValue) -> JsResult<()> {
        let events: Vec<Event> = from_js(events, "events")?;
        self.get_mut()?.import_profile(events).map_err(to_js_error)
    }

    /// Forgets profile and log.
    pub fn clear(&mut self) -> JsResult<()> {
        self.get_mut()?.clear();
        Ok(())
    }

    /// A slate for the profile.
    pub fn recommend(&mut self, request: JsValue) -> JsResult<JsValue> {
        let request = request_of(request)?;
        let slate = self.get_mut()?.recommend(&request).map_err(to_js_error)?;
        to_js(&slate)
    }

    /// Given items by their score.
    pub fn rank(&self, ids: JsValue, request: JsValue) -> JsResult<JsValue> {
        let ids: Vec<String> = from_js(ids, "ids")?;
        let items = self.get()?.rank(&ids, &request_of(request)?).map_err(to_js_error)?;
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

    /// The log as JSONL.
    #[wasm_bindgen(js_name = exportLog)]
    pub fn export_log(&self) -> JsResult<String> {
        Ok(self.get()?.log().to_jsonl())
    }
}

impl Core {
    fn get(&self) -> JsResult<&Recommender> {
        match &self.state {
            State::Open(recommender) => Ok(recommender),
            State::Loading(_) => Err(argument("the bundle is not open yet", "core")),
            State::Refused => Err(refused()),
        }
    }

    fn get_mut(&mut self) -> JsResult<&mut Recommender> {
        match &mut self.state {
            State::Open(recommender) => Ok(recommender),
            State::Loading(_) => Err(argument("the bundle is not open yet", "core")),
            State::Refused => Err(refused()),
        }
    }
}

fn refused() -> JsValue {
    argument("the bundle was refused", "core")
}

fn argument(text: &str, part: &str) -> JsValue {
    to_js_error(ErrorKind::Argument(text.into()).at(part))
}

fn request_of(request: JsValue) -> JsResult<Request> {
    if request.is_undefined() || request.is_null() { Ok(Request::default()) } else { from_js(request, "request") }
}

fn from_js<T: DeserializeOwned>(value: JsValue, part: &str) -> JsResult<T> {
    serde_wasm_bindgen::from_value(value).map_err(|e| {
        let text = e.to_string();
        let kind = if text.contains("unknown field") { ErrorKind::UnknownKey(text) } else { ErrorKind::Argument(text) };
        to_js_error(Error { kind, part: part.into() })
    })
}

fn to_js<T: Serialize + ?Sized>(value: &T) -> JsResult<JsValue> {
    value.serialize(&Serializer::json_compatible()).map_err(|e| to_js_error(ErrorKind::Malformed(e.to_string()).at("result")))
}
