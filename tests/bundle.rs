//! The packaged bundle, opened natively and in a browser: the same bodies run in both.

#![cfg(feature = "tract")]

use std::collections::BTreeMap;

use foretaste::bundle::{BundleReader, DEFAULT_MAX_BYTES, sha256_hex};
use foretaste::explore::{Candidates, EpsilonGreedy, Greedy, decision_rng};
use foretaste::features::{Fields, Value};
use foretaste::golden::Golden;
use foretaste::model::TractRuntime;
use foretaste::profile::Event;
use foretaste::retrieve::{Bitmap, top_k};
use foretaste::slate::build;
use foretaste::{Explore, Query, Recommender, Request};
use include_dir::{Dir, include_dir};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

static TINY: Dir = include_dir!("$CARGO_MANIFEST_DIR/models/tiny");

type Files = BTreeMap<String, Vec<u8>>;

fn tiny() -> Files {
    TINY.files().map(|f| (f.path().display().to_string(), f.contents().to_vec())).collect()
}

fn open(files: &Files) -> foretaste::Result<Recommender> {
    let manifest = files.get("manifest.json").map_or(&[][..], |b| b);
    let mut reader = BundleReader::new(manifest, DEFAULT_MAX_BYTES)?;
    let paths: Vec<(String, String)> = reader.manifest().used_files().map(|f| (f.path.clone(), f.role.clone())).collect();
    let mut graphs = BTreeMap::new();
    for (path, role) in &paths {
        if let Some(bytes) = files.get(path) {
            reader.add_file(path, bytes)?;
            graphs.insert(role.as_str(), bytes);
        }
    }
    let bundle = reader.open()?;
    let runtime =
        TractRuntime::new(graphs["user_tower"], graphs.get("item_tower").map(|b| b.as_slice()), bundle.manifest.shapes())?;
    let mut recommender = Recommender::new(bundle, Box::new(|| 0.0));
    recommender.set_runtime(Box::new(runtime));
    Ok(recommender)
}

/// Code of the refusal after `change`.
fn refused(change: impl Fn(&mut Files)) -> String {
    let mut files = tiny();
    change(&mut files);
    open(&files).err().map_or("accepted".into(), |e| e.code().into())
}

/// Changes the manifest as JSON.
fn edit(files: &mut Files, change: impl Fn(&mut serde_json::Value)) {
    let mut manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
    change(&mut manifest);
    files.insert("manifest.json".into(), serde_json::to_vec(&manifest).unwrap());
}

fn event(item: &str) -> Event {
    Event { item: item.into(), kind: "like".into(), ..Event::default() }
}

fn ids(recommender: &Recommender, rows: impl Iterator<Item = u32>) -> Vec<String> {
    rows.map(|row| recommender.bundle().catalog.id(row).to_string()).collect()
}

#[test]
fn golden_rows_replay() {
    let recommender = open(&tiny()).unwrap();
    let faults = Golden::replay(&recommender, &tiny()["golden.json"]).unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_tampered_file_is_refused() {
    for name in tiny().into_keys().filter(|n| n != "manifest.json") {
        let flip = |files: &mut Files| {
            let bytes = files.get_mut(&name).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        };
        assert_eq!(refused(flip), "hash", "{name}");
        assert_eq!(refused(|f| f.get_mut(&name).unwrap().truncate(100)), "length", "{name}");
        if name.starts_with("items") || name.starts_with("catalog") {
            assert_eq!(refused(|f| drop(f.remove(&name))), "missing", "{name}");
        }
    }
}

#[test]
fn every_wrong_manifest_has_its_own_code() {
    assert_eq!(refused(|f| edit(f, |m| m["surprise"] = 1.into())), "unknown-key");
    assert_eq!(refused(|f| edit(f, |m| m["format_version"] = 2.into())), "too-new");
    assert_eq!(refused(|f| edit(f, |m| m["features"]["required"] = ["telepathy"].as_slice().into())), "unknown-feature");
    assert_eq!(refused(|f| edit(f, |m| m["files"][0]["path"] = "../a".into())), "path");
    assert_eq!(refused(|f| edit(f, |m| m["files"][0]["path"] = "https://example.com/a".into())), "path");
    assert_eq!(refused(|f| edit(f, |m| m["dim"] = 513.into())), "range");
    assert_eq!(refused(|f| edit(f, |m| m["dim"] = (-1).into())), "malformed");
    assert_eq!(refused(|f| edit(f, |m| m["ratings"] = serde_json::json!({ "least": 5, "most": 5 }))), "range");
    assert_eq!(refused(|f| edit(f, |m| m["ratings"] = serde_json::json!({ "least": 1 }))), "malformed");
    assert_eq!(refused(|f| drop(f.insert("manifest.json".into(), b"<!doctype html>".to_vec()))), "malformed");
    assert_eq!(refused(|f| drop(f.insert("manifest.json".into(), b"[".repeat(200_000)))), "malformed");
    assert_eq!(refused(|f| edit(f, |m| m["files"][0]["bytes"] = u64::MAX.into())), "limit");
}

#[test]
fn an_unknown_optional_feature_and_its_file_are_ignored() {
    let with_feature = |files: &mut Files| {
        edit(files, |m| {
            m["features"]["optional"] = ["later-idea"].as_slice().into();
            let file = serde_json::json!({"path": "later.bin", "role": "later", "bytes": 3, "sha256": sha256_hex(b"abc"), "feature": "later-idea"});
            m["files"].as_array_mut().unwrap().push(file);
        });
    };
    assert_eq!(refused(with_feature), "accepted");
}

/// A tower with a rating head in a bundle that declares none is refused when it runs, and ratings stay in their range.
#[test]
fn ratings_are_declared_and_stay_in_their_range() {
    let with = |range: Option<[f64; 2]>| {
        let mut files = tiny();
        edit(&mut files, |m| match range {
            Some([least, most]) => m["ratings"] = serde_json::json!({ "least": least, "most": most }),
            None => _ = m.as_object_mut().unwrap().remove("ratings"),
        });
        let mut recommender = open(&files).unwrap();
        recommender.record(event("50")).unwrap();
        recommender.recommend(&Request::default())
    };
    let ratings = |range| with(Some(range)).unwrap().items.iter().map(|i| i.rating.unwrap()).collect::<Vec<_>>();
    let wide = ratings([-100.0, 100.0]);
    let cut = ratings([f64::from(wide[0]) - 0.01, f64::from(wide[0])]);
    assert!(
        wide.iter().any(|r| *r != wide[0]) && cut.iter().all(|r| *r <= wide[0] && *r >= wide[0] - 0.0101),
        "{wide:?} {cut:?}"
    );
    assert_eq!(with(None).unwrap_err().code(), "model");
}

#[test]
fn hostile_graphs_are_refused() {
    let replace = |files: &mut Files, bytes: &[u8]| {
        edit(files, |m| {
            let file = m["files"].as_array_mut().unwrap().iter_mut().find(|f| f["role"] == "user_tower").unwrap();
            file["bytes"] = bytes.len().into();
            file["sha256"] = sha256_hex(bytes).into();
        });
        let name = files.keys().find(|n| n.starts_with("user_tower")).unwrap().clone();
        files.insert(name, bytes.to_vec());
    };
    for bytes in [&b""[..], b"not a graph", &[0xff; 1000], &[0x3a, 0x00]] {
        assert_eq!(refused(|f| replace(f, bytes)), "model", "{bytes:?}");
    }
}

#[test]
fn order_ratings_and_context_change_the_slate() {
    let mut recommender = open(&tiny()).unwrap();
    let n = recommender.bundle().manifest.items as u32;
    let items = ids(&recommender, [1, n / 2, n - 1].into_iter());
    let mut scores = |events: Vec<Event>, context: Fields| {
        recommender.import_profile(events).unwrap();
        let slate = recommender.recommend(&Request { k: 20, context, ..Request::default() }).unwrap();
        slate.items.into_iter().map(|i| (i.id, i.score)).collect::<Vec<_>>()
    };
    let plain: Vec<Event> = items.iter().map(|i| event(i)).collect();
    let rated = |stars| plain.iter().cloned().map(|e| Event { value: Some(stars), ..e }).collect::<Vec<_>>();
    let base = scores(plain.clone(), Fields::new());
    assert_eq!(base, scores(plain.clone(), Fields::new()));
    assert_ne!(base, scores(plain.iter().rev().cloned().collect(), Fields::new()));
    assert_ne!(scores(rated(1.0), Fields::new()), scores(rated(5.0), Fields::new()));
    assert_ne!(base, scores(plain.clone(), Fields::from([("segment".into(), Value::Text("student".into()))])));
    assert_ne!(base, scores(vec![], Fields::new()));
}

#[test]
fn wrong_requests_have_codes() {
    let mut recommender = open(&tiny()).unwrap();
    let mut code = |request| recommender.recommend(&request).map_or_else(|e| e.code(), |_| "ok");
    assert_eq!(code(Request { k: 0, ..Request::default() }), "range");
    assert_eq!(code(Request { context: Fields::from([("shoe".into(), Value::Missing)]), ..Request::default() }), "unknown-key");
    assert_eq!(
        code(Request { explore: Explore { policy: "best".into(), ..Explore::default() }, ..Request::default() }),
        "argument"
    );
    let wild = Explore { policy: "epsilon-greedy".into(), epsilon: f64::NAN, ..Explore::default() };
    assert_eq!(code(Request { explore: wild, ..Request::default() }), "range");
    let lost = Fields::from([("hour".into(), Value::Number(f64::NAN))]);
    assert_eq!(
        code(Request { k: usize::MAX, context: lost, time: Some(i64::MIN), tz_offset_min: Some(i32::MAX), ..Request::default() }),
        "ok"
    );
    assert_eq!(recommender.similar("nowhere", 3).unwrap_err().code(), "unknown-item");
    assert_eq!(recommender.rank(&["nowhere".into()], &Request::default()).unwrap_err().code(), "unknown-item");
    assert!(recommender.import_profile(vec![event("nowhere")]).is_ok());
    assert_eq!(recommender.recommend(&Request::default()).unwrap().items.len(), 10);
}

#[test]
fn seen_and_excluded_items_stay_away_and_ranks_agree() {
    let mut recommender = open(&tiny()).unwrap();
    let first: Vec<String> = recommender.recommend(&Request::default()).unwrap().items.into_iter().map(|i| i.id).collect();
    recommender.record(event(&first[0])).unwrap();
    recommender.record(Event { kind: "hide".into(), ..event(&first[1]) }).unwrap();
    let request = Request { k: usize::MAX, exclude: vec![first[2].clone(), "nowhere".into()], ..Request::default() };
    let slate = recommender.recommend(&request).unwrap();
    assert_eq!(slate.items.len(), recommender.bundle().manifest.items - 3);
    assert!(slate.items.iter().all(|i| !first[..3].contains(&i.id)));
    assert!(slate.items.windows(2).all(|w| w[0].score >= w[1].score));
    let shown: Vec<String> = slate.items.iter().rev().map(|i| i.id.clone()).collect();
    let ranked = recommender.rank(&shown, &Request::default()).unwrap();
    assert_eq!(
        ranked.iter().map(|i| (&i.id, i.score)).collect::<Vec<_>>(),
        slate.items.iter().map(|i| (&i.id, i.score)).collect::<Vec<_>>()
    );
}

#[test]
fn similar_is_the_cosine_without_the_item_itself() {
    let recommender = open(&tiny()).unwrap();
    let (bundle, id) = (recommender.bundle(), recommender.bundle().catalog.id(0).to_string());
    let vector = |row: u32| -> Vec<f64> { bundle.rows.vector(row).iter().map(|q| f64::from(*q)).collect() };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(x, y)| x * y).sum() };
    let own = vector(0);
    for item in recommender.similar(&id, 5).unwrap() {
        assert_ne!(item.id, id);
        let other = vector(bundle.catalog.row(&item.id).unwrap());
        let cosine = dot(&own, &other) / libm::sqrt(dot(&own, &own) * dot(&other, &other));
        assert!((f64::from(item.score) - cosine).abs() < 1e-6);
    }
}

#[test]
fn the_log_holds_slates_and_events() {
    let mut recommender = open(&tiny()).unwrap();
    let explore = Explore { policy: "epsilon-greedy".into(), epsilon: 0.5, seed: 7, decision: Some("d1".into()) };
    let request = Request { k: 5, explore, ..Request::default() };
    let slate = recommender.recommend(&request).unwrap();
    assert_eq!(recommender.recommend(&request).unwrap().items, slate.items);
    recommender.record(Event { slate: Some(slate.id.clone()), ..event(&slate.items[0].id) }).unwrap();
    let log: String = recommender.log().lines().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    let lines: Vec<serde_json::Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["type"], &lines[0]["slate"], &lines[0]["policy"]),
        (&"impression".into(), &slate.id.as_str().into(), &"epsilon-greedy".into())
    );
    assert_eq!(lines[0]["slots"][2]["propensity"].as_f64(), slate.items[2].propensity);
    assert_eq!((&lines[2]["type"], &lines[2]["slate"]), (&"like".into(), &slate.id.as_str().into()));
}

/// Chi-square of the first and of the second slot over 20,000 seeds against the stated propensities.
#[test]
fn epsilon_greedy_frequencies_fit_the_propensities() {
    let recommender = open(&tiny()).unwrap();
    let context = Fields::new();
    let query = Query { history: &[], context: &context, time: None, tz_offset_min: None };
    let scores = recommender.scores(&recommender.user_vector(&recommender.encode(&query).unwrap()).unwrap());
    // Thirty items, so that each cell expects enough draws.
    let mut allowed = Bitmap::full(scores.len());
    (30..scores.len() as u32).for_each(|row| allowed.remove(row));
    let candidates = Candidates::new(top_k(&scores, &allowed, 2), allowed.clone());
    let policy = EpsilonGreedy::new(0.4).unwrap();
    let (seeds, mut first, mut second) = (20_000u64, BTreeMap::new(), BTreeMap::new());
    for seed in 0..seeds {
        let slate = build(candidates.clone(), 2, &policy, &mut decision_rng(seed, "slate"));
        *first.entry(slate[0].row).or_insert(0u32) += 1;
        *second.entry((slate[0].row, slate[1].row)).or_insert(0u32) += 1;
    }
    let greedy = build(candidates.clone(), 2, &Greedy, &mut decision_rng(0, ""));
    let n = allowed.len() as f64;
    let p = |best: bool, n: f64| if best { 1.0 - 0.4 + 0.4 / n } else { 0.4 / n };
    let p_first = |row: u32| p(row == greedy[0].row, n);
    let p_second = |before: u32, row: u32| p(row == if before == greedy[0].row { greedy[1].row } else { greedy[0].row }, n - 1.0);
    let cell = |count: u32, p: f64| libm::pow(f64::from(count) - p * seeds as f64, 2.0) / (p * seeds as f64);
    let chi_first: f64 = allowed.iter().map(|row| cell(first.get(&row).copied().unwrap_or(0), p_first(row))).sum();
    // The second slot over all slates: its row's share, whatever came first.
    let mut totals = BTreeMap::new();
    second.iter().for_each(|((_, row), count)| *totals.entry(*row).or_insert(0) += count);
    let share = |row: u32| {
        allowed.iter().filter(|before| *before != row).map(|before| p_first(before) * p_second(before, row)).sum::<f64>()
    };
    let chi_second: f64 = allowed.iter().map(|row| cell(totals.get(&row).copied().unwrap_or(0), share(row))).sum();
    // 29 degrees of freedom: the 99.95th percentile is 61.0, a family-wise error of .001 over the two.
    assert!(chi_first < 61.0 && chi_second < 61.0, "chi-square {chi_first} and {chi_second}");
}
