//! What the trainer reads of visitors, beside what a page reads of them: not one value may differ.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use foretaste_trainer::data::{Dataset, ReadOptions, read_folder, write_tables};
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::towers::Encoder;
use foretaste_trainer::training::{Config, Replayed, replay};
use foretaste_trainer::verify::read_bundle;

use crate::common;

/// A feature of each kind.
const FEATURES: &str = "
[features.likes]
of = 'user'
count = true
[features.rating]
of = 'user'
mean = true
window = '7 events'
[features.by_category]
of = 'user.category'
decay = '3d'
[features.tag_share]
of = 'user.tags'
rate = true
types = ['rate']
window = '30d'
[features.since_tag]
of = 'user.tags'
since = true
window = '20 events'
[features.by_hour]
of = 'item.hour'
count = true
[features.week]
cyclic = 'week'
[features.both]
cross = ['category', 'likes']
[features.left_out]
cross = ['category', 'by_hour']
";

/// Generated data with what `more` declares.
fn data(folder: &Path, more: &str) -> Dataset {
    if !folder.join("data").exists() {
        common::generated(folder, 80, 60, 2000);
    }
    let path = folder.join("data/data.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text.split("\n[features").next().unwrap().to_owned() + more).unwrap();
    read_folder(&folder.join("data"), &ReadOptions { quiet: true, ..ReadOptions::default() }).unwrap()
}

/// A bundle of that data. What a visitor's values are made of is in its encoding and catalog, so a short training does.
fn bundle(folder: &Path) -> PathBuf {
    let data = data(folder, "");
    let split = Split::of(&data, Protocol::P3, None).unwrap();
    let config = Config { encoder: Some(Encoder::Pools), max_epochs: 1, rating_weight: 0.0, ..common::small() };
    common::trained(&data, &split, &config, folder);
    folder.join("bundle")
}

#[test]
fn a_page_reads_what_the_trainer_reads() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path());
    for (more, names) in [("", &["user_mean", "user_tags_count"][..]), (FEATURES, &["likes", "by_category", "since_tag", "week"])]
    {
        let data = data(folder.path(), more);
        let mut ways: Vec<Replayed> = Vec::new();
        let found = replay(read_bundle(&bundle).unwrap(), &data, 1, |way| {
            ways.push(way.clone());
            Ok(())
        });
        let found = found.unwrap();
        assert_eq!(found.differences, 0, "{:?}", found.named);
        assert_eq!((found.visitors, found.planted), (80, 5));
        assert!(found.moments > 2000 && found.values > 20_000, "{found:?}");
        // Every value is there at some moment, and the cap of 100 events overflows.
        let asked = || ways.iter().flat_map(|way| &way.steps).filter_map(|step| step.asked.as_ref());
        for name in names {
            let has = |values: &foretaste::FeatureValues| {
                values.visitor.contains_key(*name) || values.items.iter().any(|own| own.contains_key(*name))
            };
            assert!(asked().any(|asked| has(&asked.values)), "{name}");
        }
        assert!(asked().all(|asked| !asked.values.visitor.contains_key("by_hour")));
        assert!(ways.iter().any(|way| way.steps.len() > 100 && way.visitor.contains("more events")));
    }
}

#[test]
fn what_is_declared_comes_back_from_prepared_tables() {
    let (folder, prepared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = data(folder.path(), &format!("{FEATURES}[ttl]\nuser = '90d'\n'user.tags' = '36h'\n"));
    write_tables(&data, prepared.path()).unwrap();
    let again = read_folder(prepared.path(), &ReadOptions { quiet: true, ..ReadOptions::default() }).unwrap();
    assert_eq!((data.views.len(), data.inputs.len(), data.ttl["user.tags"]), (6, 3, 129_600_000));
    assert_eq!((again.views, again.inputs, again.ttl), (data.views, data.inputs, data.ttl));
}

fn foretaste(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foretaste")).args(args).output().unwrap()
}

/// The values come from the tables, and are those that are counted. Half of the events come later.
#[test]
fn a_store_is_written_added_to_and_read_by_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let own = folder.path().join("data");
    data(folder.path(), FEATURES);
    let events = std::fs::read_to_string(own.join("events.csv")).unwrap();
    let lines: Vec<&str> = events.lines().collect();
    let text = |output: Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let write = || text(foretaste(&["features", "write", "--data", &at("data"), "--offline", &at("store"), "--json"]));
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    // The file is in order of time.
    std::fs::write(own.join("events.csv"), lines[..1000].join("\n")).unwrap();
    let first = json(&write());
    std::fs::write(own.join("events.csv"), &events).unwrap();
    let second = json(&write());
    assert_eq!(first["folder"], second["folder"]);
    let seconds = second["through"].as_i64().unwrap() / 1000;
    for at_second in [seconds - 90 * 86_400, seconds - 86_400, seconds] {
        let moment = at_second.to_string();
        let own = at("data");
        let get = ["features", "get", "--data", &own, "--user", "7", "--at", &moment];
        let store = at("store");
        let (counted, stored) =
            (json(&text(foretaste(&get))), json(&text(foretaste(&[&get[..], &["--offline", &store]].concat()))));
        for name in ["likes", "rating"] {
            assert_eq!(counted[name], stored[name], "{name} at {moment}");
        }
        assert_eq!(counted["tag_share"].as_object().map(|map| map.len()), stored["tag_share"].as_object().map(|map| map.len()));
    }
    let late = (seconds + 1).to_string();
    let get = foretaste(&["features", "get", "--data", &at("data"), "--user", "7", "--at", &late, "--offline", &at("store")]);
    assert!(String::from_utf8_lossy(&get.stderr).contains("it knows what happened until"), "{get:?}");
    // An event of the past is another.
    std::fs::write(own.join("events.csv"), events.replacen(",5,", ",4,", 1)).unwrap();
    let changed = foretaste(&["features", "write", "--data", &at("data"), "--offline", &at("store")]);
    assert!(String::from_utf8_lossy(&changed.stderr).contains("they were changed, or some came late"), "{changed:?}");
}

/// Data that is not quite that of the bundle: a title is another. And data of another shop.
#[test]
fn a_difference_is_an_error_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let own = folder.path().join("data");
    let (bundle, out) = (bundle(folder.path()).display().to_string(), at("replay.jsonl"));
    let replay = |data: &str| foretaste(&["features", "replay", &bundle, "--data", data, "--every", "9", "--out", &out]);
    let right = replay(&at("data"));
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    assert!(String::from_utf8_lossy(&right.stdout).contains(" 0 of these differ"));
    let lines = std::fs::read_to_string(&out).unwrap();
    assert!(lines.starts_with("{\"ranker\":") && lines.lines().count() == 1 + 80 + 5);

    let items = std::fs::read_to_string(own.join("items.csv")).unwrap();
    let (first, rest) = items.split_once('\n').unwrap();
    let mut cells: Vec<&str> = rest.lines().next().unwrap().split(',').collect();
    cells[1] = "Another Title";
    let changed = format!("{first}\n{}\n{}", cells.join(","), rest.split_once('\n').unwrap().1);
    std::fs::write(own.join("items.csv"), changed).unwrap();
    let wrong = replay(&at("data"));
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("the bundle was made from other data"), "{wrong:?}");

    std::fs::write(own.join("items.csv"), items.replace("\n60,", "\n61,")).unwrap();
    let other = replay(&at("data"));
    assert!(
        !other.status.success() && String::from_utf8_lossy(&other.stderr).contains("the bundle has no item `61`"),
        "{other:?}"
    );
}
