//! The table of targets.

mod bundle;
mod graph;
mod page;
mod text;
mod trainer;

use crate::Target;
use crate::mutate;
use crate::onnx;

/// All targets, by what they read.
pub const TARGETS: &[Target] = &[
    text("json", text::json, &["models/tiny/manifest.json"], 32),
    text("manifest", bundle::manifest, &["models/tiny/manifest.json"], 64),
    text("catalog", bundle::catalog, &["models/tiny/catalog-000.19f7402887aaa505.json"], 64),
    binary("items", bundle::items, &["models/tiny/items-000.f5e1a99a1dc88a88.safetensors"], 64),
    binary("neighbours", bundle::neighbours, &[], 64),
    binary("features", bundle::features, &[], 64),
    text("golden", bundle::golden, &[], 64),
    graph("user_tower", graph::user_tower, &["models/tiny/user_tower.3be46193c553b86d.onnx"]),
    graph("item_tower", graph::item_tower, &["models/tiny/item_tower.8e5f296157b8b268.onnx"]),
    text("profile", page::profile, &[], 64),
    text("request", page::request, &[], 64),
    text("log", trainer::log, &[], 64),
    text("folder", trainer::folder, &[], 128),
    binary("parquet", trainer::parquet, &[], 256),
    text("settings", trainer::settings, &["tests/fixtures/tiny.toml"], 32),
    text("table", trainer::table, &[], 64),
];

const fn text(name: &'static str, run: fn(&[u8]) -> bool, files: &'static [&'static str], megabytes: usize) -> Target {
    Target { name, files, run, mutate: mutate::text, megabytes, seconds: 2 }
}

const fn binary(name: &'static str, run: fn(&[u8]) -> bool, files: &'static [&'static str], megabytes: usize) -> Target {
    Target { name, files, run, mutate: mutate::bytes, megabytes, seconds: 2 }
}

const fn graph(name: &'static str, run: fn(&[u8]) -> bool, files: &'static [&'static str]) -> Target {
    Target { name, files, run, mutate: onnx::mutate, megabytes: 700, seconds: 5 }
}
