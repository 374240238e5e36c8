//! Runs the command on the packaged bundle: the forms of a history, the exit codes, and the faults that `verify`
//! reports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models/tiny")
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foretaste")).args(args).output().unwrap()
}

/// The standard output of a call that must succeed.
fn out(args: &[&str]) -> String {
    let output = run(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The exit code and standard error of a call that must fail.
fn refused(args: &[&str]) -> (Option<i32>, String) {
    let output = run(args);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn slate(args: &[&str]) -> Vec<(String, f64)> {
    let bundle = tiny();
    let mut all = vec!["recommend", bundle.to_str().unwrap(), "--json"];
    all.extend(args);
    let json: Value = serde_json::from_str(&out(&all)).unwrap();
    let item = |i: &Value| (i["id"].as_str().unwrap().to_owned(), i["score"].as_f64().unwrap());
    json["items"].as_array().unwrap().iter().map(item).collect()
}

#[test]
fn histories_in_all_their_forms() {
    let plain = slate(&["--history", "3,14", "-k", "5"]);
    assert_eq!(plain.len(), 5);
    assert_eq!(slate(&["--history", "3,nobody,14", "-k", "5"]), plain, "an unknown item has no effect");
    assert_ne!(slate(&["--history", "3:1,14:5", "-k", "5"]), plain, "ratings act");
    assert_ne!(slate(&["--history", "3@1700000000,14@1700000005", "-k", "5"]), plain, "times act");
    assert_ne!(slate(&["--history", "3,14", "--context", "segment=student", "-k", "5"]), plain, "context acts");
    assert_eq!(slate(&["--history", "", "-k", "100"]).len(), 60);
    let json: Value =
        serde_json::from_str(&out(&["recommend", tiny().to_str().unwrap(), "--history", "3:5,14:4", "--json"])).unwrap();
    assert!((1.0..=5.0).contains(&json["items"][0]["rating"].as_f64().unwrap()), "the packaged bundle predicts ratings");
    let why = ["recommend", tiny().to_str().unwrap(), "--history", "3:5,14:4", "-k", "2", "--explain"].map(String::from);
    let why: Vec<&str> = why.iter().map(String::as_str).collect();
    let json: Value = serde_json::from_str(&out(&[&why[..], &["--json"]].concat())).unwrap();
    for item in json["items"].as_array().unwrap() {
        let explanation = &item["explanation"];
        let events = explanation["events"].as_array().unwrap().iter().map(|event| event["part"].as_f64().unwrap()).sum::<f64>();
        let rest: f64 = ["bias", "context", "older"].map(|name| explanation[name].as_f64().unwrap()).iter().sum();
        assert!((events + rest - item["score"].as_f64().unwrap()).abs() < 1e-4, "{item}");
    }
    assert_eq!(out(&why).matches("without it number ").count(), 4);
    let explored = slate(&["--history", "3,14", "-k", "5", "--epsilon", "1", "--seed", "2"]);
    assert_eq!(slate(&["--history", "3,14", "-k", "5", "--epsilon", "1", "--seed", "2"]), explored);
    assert_ne!(explored, plain);
}

/// A log as a page exports it, with slates between the events.
#[test]
fn an_exported_log_is_a_history() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let shown = r#"{"type":"impression","slate":"a","model":"m","policy":"greedy","context":"c","slots":[{"item":"3","score":1.0,"propensity":1.0}]}"#;
    fs::write(
        &log,
        format!("{shown}\n{{\"item\":\"3\",\"type\":\"view\"}}\n\n{{\"item\":\"14\",\"type\":\"view\",\"slate\":\"a\"}}\n"),
    )
    .unwrap();
    assert_eq!(slate(&["--events", log.to_str().unwrap()]), slate(&["--history", "3,14"]));
    fs::write(&log, "{\"item\":\"3\",\"type\":\"view\"}\n{\"itme\":\"3\"}\n").unwrap();
    let (code, error) = refused(&["recommend", tiny().to_str().unwrap(), "--events", log.to_str().unwrap()]);
    assert!(code == Some(1) && error.contains("log.jsonl:2") && error.contains("itme"), "{error}");
}

#[test]
fn users_of_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, table) = (at("data"), at("slates.parquet"));
    out(&["data", "get", "synthetic", "--users", "20", "--items", "60", "--events", "200", "--to", &data, "--quiet"]);
    let bundle = tiny();
    let all = out(&["recommend", bundle.to_str().unwrap(), "--data", &data, "--all-users", "-k", "2", "--json"]);
    let lines: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    let user = lines[7]["user"].as_str().unwrap();
    let alone = slate(&["--data", &data, "--user", user, "-k", "2"]);
    assert_eq!(alone[0].0, lines[7]["items"][0]["id"].as_str().unwrap());
    out(&["recommend", bundle.to_str().unwrap(), "--data", &data, "--all-users", "-k", "2", "--out", &table]);
    assert_eq!(&fs::read(table).unwrap()[..4], b"PAR1");
}

#[test]
fn usage_is_2_and_anything_else_is_1() {
    let bundle = tiny();
    let bundle = bundle.to_str().unwrap();
    for args in [
        &["recommend", bundle][..],
        &["recommend", bundle, "--history", "3", "-k", "0"],
        &["recommend", bundle, "--history", "3", "--data", "nowhere"],
        &["recommend", bundle, "--history", "3", "--user", "1"],
        &["experiment", "--data", "nowhere", "--protocol", "p4", "--baselines", "best"],
        &["experiment", "--data", "nowhere", "--protocol", "p4", "--folds", "x"],
        &["split", "--protocol", "p9"],
        &["train", "--data", "nowhere", "--out", "nowhere-else", "--max-bad", "nan"],
        &["split", "--data", "nowhere", "--protocol", "p4", "--out", "nowhere-else.csv", "--max-bad", "2"],
    ] {
        assert_eq!(refused(args).0, Some(2), "{args:?}");
    }
    for (args, named) in [
        (&["recommend", "nowhere", "--history", "3"][..], "nowhere/manifest.json"),
        (&["recommend", bundle, "--history", "3:x"], "3:x"),
        (&["recommend", bundle, "--history", "3", "--context", "shoe=1"], "shoe"),
        (&["recommend", bundle, "--history", "3", "--context", "hour=abc"], "hour=abc: expected a whole number from 0 to 23"),
        (&["recommend", bundle, "--history", "3", "--context", "hour=24"], "hour=24"),
        (&["recommend", bundle, "--history", "3", "--context", "hour=-1"], "hour=-1"),
        (&["recommend", bundle, "--history", "3", "--context", "hour=1.5"], "hour=1.5"),
        (&["recommend", bundle, "--history", "3", "--context", "segment=student,weekday=x"], "weekday=x"),
        (&["export", "--run", "nowhere", "--out", "nowhere-else"], "no finished training"),
        (&["train", "--data", "nowhere", "--out", "nowhere-else"], "nowhere"),
        (&["verify", "nowhere"], "nowhere"),
        (&["serve", "nowhere"], "nowhere"),
    ] {
        let (code, error) = refused(args);
        assert_eq!(code, Some(1), "{args:?}");
        assert!(error.trim_end().lines().last().unwrap().contains(named), "{args:?}: {error}");
    }
    assert!(!Path::new("nowhere-else/run.json").exists());
}

/// Errors that name what is missing, where a row of zeros would say nothing.
#[test]
fn what_tells_nothing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let events = |name: &str, each: u32| {
        fs::create_dir(at(name)).unwrap();
        let rows: String =
            (0..8).flat_map(|user| (0..each).map(move |i| format!("{user},{},{},4\n", (user + i) % 5, user * 100 + i))).collect();
        fs::write(folder.path().join(name).join("events.csv"), format!("user,item,timestamp,rating\n{rows}")).unwrap();
        at(name)
    };
    let (single, several) = (events("single", 1), events("several", 5));
    fs::write(at("rates.toml"), "rating_weight = 0.5\nmax_epochs = 1\n").unwrap();
    fs::write(at("short.toml"), "max_epochs = 1\ndim = 8\nhidden = 8\n").unwrap();
    let [rates, short, out] = ["rates.toml", "short.toml", "out"].map(at);
    for (args, named) in [
        (&["train", "--data", &several, "--config", &rates, "--out", &out][..], "rating_weight is 0.5"),
        (&["experiment", "--data", &several, "--config", &short, "--protocol", "all"], "all asks nobody"),
        (&["experiment", "--data", &single, "--config", &short, "--protocol", "p3", "--baselines", "all"], "p3 asks nobody"),
        (&["experiment", "--data", &single, "--config", &short, "--protocol", "p4"], "asks nobody"),
    ] {
        let (code, error) = refused(args);
        assert!(code == Some(1) && error.trim_end().lines().last().unwrap().contains(named), "{args:?}: {error}");
    }
    // Of ten folds some ask nobody: the others are measured.
    let json = out_of_experiment(&several, &short);
    let folds = json["folds"].as_array().unwrap().len();
    assert!((1..10).contains(&folds), "{json}");
    assert!(json["models"]["foretaste"]["recall@20"]["n"].as_u64().unwrap() >= folds as u64);
}

fn out_of_experiment(data: &str, config: &str) -> Value {
    let args = ["experiment", "--data", data, "--config", config, "--protocol", "p4", "--json", "--quiet"];
    serde_json::from_str(&out(&args)).unwrap()
}

#[test]
fn verify_names_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    for file in fs::read_dir(tiny()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    let bundle = folder.path().to_str().unwrap();
    let good: Value = serde_json::from_str(&out(&["verify", bundle, "--json"])).unwrap();
    assert_eq!(good["ok"], true);
    let file = folder.path().join("checks.json");
    assert!(out(&["verify", bundle, "--json", file.to_str().unwrap()]).starts_with("ok "), "a table for people beside the file");
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap(), good);
    let rows = fs::read_dir(bundle).unwrap().map(|f| f.unwrap().path()).find(|p| p.to_str().unwrap().contains("items-")).unwrap();
    let mut bytes = fs::read(&rows).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&rows, bytes).unwrap();
    let output = run(&["verify", bundle, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let bad: Value = serde_json::from_slice(&output.stdout).unwrap();
    let wrong: Vec<&str> =
        bad["checks"].as_array().unwrap().iter().filter(|c| c["ok"] == false).map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("items-") && wrong[0].ends_with("SHA-256") && wrong[1].contains("opens"), "{wrong:?}");
}
