//! Trains two towers on interaction events, exports them as a bundle of static files, and evaluates the bundle.
//!
//! The command `foretaste` is a thin layer over this library. `src/docs/architecture.md` tells what each module
//! answers.

pub mod ab;
pub mod baselines;
pub mod data;
pub mod evaluate;
pub mod export;
pub mod factors;
pub mod files;
pub mod log;
pub mod losses;
pub mod measure;
pub mod metrics;
pub mod neighbours;
pub mod onnx;
pub mod ope;
pub mod ops;
pub mod optimizer;
pub mod protocols;
pub mod random;
pub mod ranker;
pub mod report;
pub mod simulate;
mod time;
pub mod towers;
pub mod tracking;
pub mod training;
pub mod update;
pub mod verify;
