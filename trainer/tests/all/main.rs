//! The trainer's integration tests, linked into one binary: `cargo test --release -p foretaste-trainer --test all
//! [MODULE]`.
//!
//! Inputs lie beside this folder: `data/`, `fixtures/`, `trace.json`, and the scripts that made them.

mod ab;
mod commands;
mod common;
mod data;
mod data_notices;
mod figures;
mod foreign_tables;
mod host;
mod log;
mod onnx;
mod ope;
mod ranker;
mod replay;
mod serve;
mod simulate;
mod trace;
mod training;
mod update;
mod vectors;
