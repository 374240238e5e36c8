//! A recommender that is a folder of static files.
//!
//! The trainer of this repository turns interaction events into a *bundle*: a manifest, two small ONNX graphs, the
//! vectors of all items in int8, and a catalog. This crate opens the bundle and recommends from it: in a visitor's
//! browser as WebAssembly, or natively. No server takes part.
//!
//! # Overview
//!
//! A request passes these stages; each is a module with types of its own:
//!
//! 1. [`bundle`] checks the files and holds the rows and the catalog.
//! 2. [`profile`] keeps what the visitor did, and a log of what was shown.
//! 3. [`features`] encodes the profile and the context of the request as numbers.
//! 4. [`model`] runs the user tower on them, which gives the visitor's vector.
//! 5. [`kernels`] score items against that vector, and [`retrieve`] finds the best of the allowed ones.
//! 6. [`slate`] fills the list slot by slot: a policy of [`explore`] draws each item and tells with which probability.
//!
//! [`Recommender`] ties the stages together, and most programs need little else.
//!
//! # Example: open a bundle and recommend
//!
//! [`Bundle::from_files`](bundle::Bundle::from_files) asks for the bytes of each file, wherever you keep them, and
//! checks their lengths and hashes. It returns the bundle and its graphs. The graphs need a
//! [`ModelRuntime`](model::ModelRuntime), here tract (feature `tract`).
//!
//! ```
//! # #[cfg(feature = "tract")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{error::Error, fs, path::Path};
//!
//! use foretaste::bundle::{Bundle, Graphs};
//! use foretaste::model::TractRuntime;
//! use foretaste::profile::Event;
//! use foretaste::{Recommender, Request};
//!
//! fn open(folder: &Path) -> Result<(Bundle, Graphs), Box<dyn Error>> {
//!     let manifest = fs::read(folder.join("manifest.json"))?;
//!     Bundle::from_files(&manifest, |file| Ok(Some(fs::read(folder.join(&file.path))?)))
//! }
//!
//! let (bundle, graphs) = open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny"))?;
//! let runtime = TractRuntime::new(&graphs, bundle.manifest.shapes())?;
//!
//! // The clock only measures the stages of a request. One that stands still will do.
//! let mut recommender = Recommender::new(bundle, Box::new(|| 0.0));
//! recommender.set_runtime(Box::new(runtime));
//!
//! recommender.record(Event { item: "2".into(), kind: "like".into(), ..Event::default() })?;
//! let slate = recommender.recommend(&Request { k: 5, ..Request::default() })?;
//! assert_eq!(slate.items.len(), 5);
//! assert!(slate.items.iter().all(|item| item.id != "2"), "an item that was seen is not recommended again");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tract"))]
//! # fn main() {}
//! ```
//!
//! # Example: score every item
//!
//! Scores are logits: the dot product of the visitor's vector with the item's, plus the item's bias. A vector from any
//! source will do; without a graph to run, no model runtime is needed. Here it is the vector of an item, so that the
//! scores tell what goes with it.
//!
//! ```
//! # use foretaste::{Recommender, User, bundle::Bundle};
//! # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
//! # let read = |name: &str| std::fs::read(folder.join(name));
//! # type Any = Box<dyn std::error::Error>;
//! # let (bundle, _) = Bundle::from_files::<_, Any>(&read("manifest.json")?, |file| Ok(Some(read(&file.path)?)))?;
//! # let recommender = Recommender::new(bundle, Box::new(|| 0.0));
//! let (rows, catalog) = (&recommender.bundle().rows, &recommender.bundle().catalog);
//! let row = catalog.row("2").expect("the catalog has an item 2");
//! let mut vector = vec![0.0; rows.dim()];
//! rows.vector_into(row, &mut vector);
//!
//! let scores = recommender.scores(&User { vector, ..User::default() });
//! assert_eq!(scores.len(), rows.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Example: search for the best items
//!
//! A search gives the best `k` rows and their scores, best first, without scoring every item of a large catalog.
//!
//! ```
//! # use foretaste::{Recommender, bundle::Bundle};
//! # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
//! # let read = |name: &str| std::fs::read(folder.join(name));
//! # type Any = Box<dyn std::error::Error>;
//! # let (bundle, _) = Bundle::from_files::<_, Any>(&read("manifest.json")?, |file| Ok(Some(read(&file.path)?)))?;
//! # let recommender = Recommender::new(bundle, Box::new(|| 0.0));
//! use foretaste::retrieve::Effort;
//!
//! let vector = vec![0.5; recommender.bundle().rows.dim()];
//! let best = recommender.search(&vector, 3, Effort::Accurate)?;
//! assert!(best.windows(2).all(|pair| pair[0].0 >= pair[1].0));
//! let ids: Vec<&str> = best.iter().map(|(_, row)| recommender.bundle().catalog.id(*row)).collect();
//! assert_eq!(ids.len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Example: a slate drawn by a policy
//!
//! A policy that explores sometimes shows items whose score is not the highest. Each item carries its *propensity*, the
//! probability with which it was drawn into its slot; the log keeps it, so that another policy can be judged by what
//! this one showed. Equal seeds draw equal slates.
//!
//! ```
//! # use foretaste::bundle::Bundle;
//! # let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
//! # let read = |name: &str| std::fs::read(folder.join(name));
//! # type Any = Box<dyn std::error::Error>;
//! # let (bundle, _) = Bundle::from_files::<_, Any>(&read("manifest.json")?, |file| Ok(Some(read(&file.path)?)))?;
//! # let mut recommender = foretaste::Recommender::new(bundle, Box::new(|| 0.0));
//! use foretaste::{Explore, Request};
//!
//! let request = Request {
//!     k: 5,
//!     // In place of the user tower's output, so that this example needs no model runtime.
//!     vector: Some(vec![0.5; recommender.bundle().rows.dim()]),
//!     explore: Explore { policy: "softmax".into(), temperature: 0.5, seed: 7, ..Explore::default() },
//!     ..Request::default()
//! };
//! let slate = recommender.recommend(&request)?;
//! assert!(slate.items.iter().all(|item| item.propensity.is_some_and(|p| p > 0.0 && p <= 1.0)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Crate features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `tract` | `model::TractRuntime`, which runs the graphs with tract; takes minutes to compile |
//! | `wasm-core` | the JavaScript class `Core`: everything but the graphs |
//! | `wasm-tower` | the JavaScript class `Tower`: tract and one call that runs a graph; turns on `tract` |
//!
//! Without `tract`, give the recommender a [`ModelRuntime`](model::ModelRuntime) of your own, or requests with a
//! `vector`.
//!
//! # Invariants
//!
//! - The crate does no I/O and reads neither a clock nor global randomness: bytes, time and seeds are arguments. So any
//!   slate can be drawn again.
//! - Nothing of a bundle is used before its length and hash are checked, and limits come before allocations. A bundle
//!   may come from a stranger.
//! - Equal inputs give equal encodings and, for an equal visitor's vector, equal scores on every target, bit for bit.
//!   Only the towers may round differently.
//! - Items are row numbers inside and string ids in [`Recommender`]'s methods. Ties are broken by row.
//! - An [`Error`] has a stable [`code`](ErrorKind::code), says what was expected and what was found, and names the part
//!   at fault.

pub mod bundle;
mod error;
pub mod explore;
pub mod features;
pub mod golden;
mod json;
pub mod kernels;
pub mod model;
pub mod profile;
pub mod rank;
mod recommender;
mod request;
pub mod retrieve;
pub mod slate;
#[cfg(any(feature = "wasm-core", feature = "wasm-tower"))]
pub mod wasm;

pub use error::{Error, ErrorKind, Result};
pub use explore::Explore;
pub use features::EncodedState;
pub use recommender::{Appraisal, Clock, EventPart, Explanation, FeatureValues, Recommender, User, VisitorState};
pub use request::{Item, MAX_SLOTS, Request, Slate, Stages, Timings};

// The unit tests run in a browser too.
#[cfg(all(test, target_arch = "wasm32"))]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
