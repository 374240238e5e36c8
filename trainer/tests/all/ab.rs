//! Tests of `foretaste ab`, from the logs of devices to the report.

use std::fs;
use std::path::Path;
use std::process::Command;

use foretaste::explore::{decision_rng, unit};
use foretaste::profile::{Event, Experiment, LogLine};
use foretaste::{Explore, Request};
use foretaste_trainer::verify::open_bundle;
use serde_json::Value;

fn ab(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut logs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.sort();
    let done = Command::new(env!("CARGO_BIN_EXE_foretaste")).args(["ab", "--log"]).args(logs).args(args).output().unwrap();
    let [out, error] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
    (done.status.code(), out, error)
}

fn number(report: &Value, pointer: &str) -> f64 {
    report.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer}: {report}"))
}

/// The core assigns three hundred devices, which see slates and click. Devices in the arm `thompson` click twice as
/// often.
#[test]
fn devices_log_and_the_command_tells_the_arms_apart() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny");
    let mut recommender = open_bundle(&bundle).unwrap();
    let (arms, weights) = (["control", "thompson"].map(String::from), [1.0, 1.0]);
    let mut sums = [[0.0; 3]; 2];
    for visitor in 0..300 {
        recommender.clear();
        let mut rng = decision_rng(visitor, "visitor");
        // Some visitors click often both before and during the experiment. CUPED uses this correlation.
        let eager = unit(&mut rng);
        let mut slates = |recommender: &mut foretaste::Recommender, arm: &str, chance: f64| {
            let mut clicks = 0.0;
            for slate in 0..3 {
                let explore =
                    Explore { policy: "thompson".into(), decision: Some(format!("{arm}{slate}")), ..Explore::default() };
                let slate = recommender.recommend(&Request { k: 2, explore, ..Request::default() }).unwrap();
                for item in &slate.items {
                    if unit(&mut rng) < chance {
                        let [kind, item, slate] = ["view", &item.id, &slate.id].map(String::from);
                        recommender.record(Event { kind, item, slate: Some(slate), ..Event::default() }).unwrap();
                        clicks += 1.0;
                    }
                }
            }
            clicks
        };
        slates(&mut recommender, "before", 0.6 * eager);
        let name = format!("visitor {visitor}");
        let arm = recommender
            .assign(&Experiment { name: "policy", arms: &arms, weights: &weights }, &name, Some(1_735_700_001_000))
            .unwrap()
            .to_owned();
        let lines = recommender.log().lines().count();
        assert_eq!(
            recommender
                .assign(&Experiment { name: "policy", arms: &arms, weights: &weights }, &name, Some(1_735_700_002_000))
                .unwrap(),
            arm
        );
        assert_eq!(recommender.log().lines().count(), lines, "asked again, nothing is written");
        let which = usize::from(arm == "thompson");
        let reward = slates(&mut recommender, &arm, eager * if which == 1 { 0.6 } else { 0.3 });
        sums[which] = [sums[which][0] + 1.0, sums[which][1] + reward, sums[which][2] + 3.0];
        let text: String = recommender.log().lines().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        fs::write(folder.path().join(format!("{visitor}.jsonl")), text).unwrap();
    }
    let (code, out, error) = ab(folder.path(), &["--experiment", "policy", "--json"]);
    assert_eq!(code, Some(0), "{error}");
    let report: Value = serde_json::from_str(&out).unwrap();
    for (i, [units, reward, slates]) in sums.iter().enumerate() {
        assert_eq!(number(&report, &format!("/arms/{i}/units")), *units);
        assert!((number(&report, &format!("/arms/{i}/per_unit")) - reward / units).abs() < 1e-12);
        assert!((number(&report, &format!("/arms/{i}/per_slate")) - reward / slates).abs() < 1e-12);
    }
    assert!(
        number(&report, "/comparisons/0/per_unit/p") < 1e-4 && number(&report, "/comparisons/0/sequential/p") < 0.01,
        "{report}"
    );
    assert!(number(&report, "/comparisons/0/sequential/interval/0") > 0.0);
    // Every device saw three slates, so a slate is a third of a unit.
    let thirds = 3.0 * number(&report, "/comparisons/0/per_slate/standard_error");
    assert!((thirds / number(&report, "/comparisons/0/per_unit/standard_error") - 1.0).abs() < 0.02);
    let narrower =
        number(&report, "/comparisons/0/cuped/standard_error") / number(&report, "/comparisons/0/per_unit/standard_error");
    let rho = number(&report, "/cuped/correlation");
    assert!(rho > 0.3 && narrower < 0.96, "{rho} {narrower}");
    assert_eq!(report["warnings"], serde_json::json!([]));

    let (code, out, _) = ab(folder.path(), &["--experiment", "policy"]);
    assert!(code == Some(0) && out.contains("thompson − control, with intervals of 95 %"), "{out}");
    for part in ["a unit, CUPED", "a slate", "a unit, at any look", "sample ratio: chi-square"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    // Other weights than the assignment used are reported as a sample ratio mismatch.
    let (_, out, _) = ab(folder.path(), &["--experiment", "policy", "--weights", "control=3,thompson=1", "--metric", "view=2"]);
    assert!(out.contains("warning: sample ratio mismatch"), "{out}");
    let (code, _, error) = ab(folder.path(), &["--experiment", "polcy"]);
    assert!(code == Some(1) && error.contains("no experiment `polcy`; there are: `policy`"), "{error}");

    // The other commands read logs with assignments too.
    let log = folder.path().join("0.jsonl");
    let run = |args: &[&str]| Command::new(env!("CARGO_BIN_EXE_foretaste")).args(args).output().unwrap();
    let [log, bundle] = [log.to_str().unwrap(), bundle.to_str().unwrap()];
    assert!(run(&["ope", "--log", log, "--bundle", bundle]).status.success());
    let out = run(&["log", "convert", log, "--to", "ga4", "--out", "/dev/stdout"]).stdout;
    assert!(String::from_utf8(out).unwrap().contains(r#""string_value":"policy-"#));
    assert!(run(&["recommend", bundle, "--events", log]).status.success());
}

/// Valid and malformed assignment lines in one log of four units.
#[test]
fn lines_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.jsonl");
    let assigned =
        |unit: &str, arm: &str| format!(r#"{{"type":"assignment","experiment":"e","arm":"{arm}","unit":"{unit}"}}"#) + "\n";
    let four: String = [("u", "a"), ("v", "a"), ("w", "b"), ("x", "b")].iter().map(|(unit, arm)| assigned(unit, arm)).collect();
    // The type of an event may be the name of another kind of line.
    fs::write(&file, format!("{four}{{\"item\":\"7\",\"type\":\"assignment\"}}\n{{\"item\":\"7\",\"type\":\"impression\"}}\n"))
        .unwrap();
    let (code, out, error) = ab(folder.path(), &["--experiment", "e"]);
    assert!(code == Some(0) && out.contains("warning: arm a has 2 units"), "{out} {error}");
    for (more, says) in [
        (r#"{"type":"assignment","experiment":"e","arm":"a"}"#, "missing field `unit`"),
        (r#"{"type":"assignment","experiment":"e","arm":"a","unit":"u","shoe":1}"#, "unknown field `shoe`"),
        (r#"{"type":"assignment","experiment":"e","arm":"a","unit":7}"#, "invalid type"),
    ] {
        fs::write(&file, format!("{four}{more}\n")).unwrap();
        let (code, _, error) = ab(folder.path(), &["--experiment", "e"]);
        assert!(code == Some(1) && error.contains("log.jsonl:5") && error.contains(says), "{error}");
    }
    fs::write(&file, assigned("u", "a") + &assigned("v", "a") + &assigned("w", "b")).unwrap();
    assert!(ab(folder.path(), &["--experiment", "e"]).2.contains("arm `b` has one unit"));
    fs::write(&file, four + &assigned("u", "b")).unwrap();
    assert!(ab(folder.path(), &["--experiment", "e"]).2.contains("arm `a` has one unit"), "a unit of two arms is left out");
    for flag in [["--alpha", "0.7"], ["--planned", "0"], ["--metric", "view"], ["--weights", "a=x"]] {
        assert_eq!(ab(folder.path(), &[&["--experiment", "e"][..], &flag].concat()).0, Some(2), "{flag:?}");
    }
    fs::write(&file, "").unwrap();
    assert!(ab(folder.path(), &["--experiment", "e"]).2.contains("there are: none"));
}

/// A metric of a type that no log has, overlapping exports, and a made-up time of an assignment are told.
#[test]
fn what_looks_like_a_mistake_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let text = |units: std::ops::Range<usize>| -> String {
        let unit = |unit: usize| {
            let time = 1_735_700_000_000_i64 + 10_000 * unit as i64;
            let shown = format!(
                r#"{{"type":"impression","slate":"s{unit}","time":{time},"model":"m","policy":"p","context":"c","slots":[{{"item":"1","score":1,"propensity":1}}]}}"#
            );
            let assigned =
                format!(r#"{{"type":"assignment","experiment":"e","arm":"{}","unit":"u{unit}","time":1}}"#, ["a", "b"][unit % 2]);
            format!("{assigned}\n{shown}\n{{\"item\":\"1\",\"type\":\"view\",\"time\":{}}}\n", time + 1000)
        };
        units.map(unit).collect()
    };
    fs::write(folder.path().join("all.jsonl"), text(0..80)).unwrap();
    let metric = |types: &str| ab(folder.path(), &["--experiment", "e", "--metric", types]).1;
    let once = metric("view=1");
    assert!(once.contains("80 units") && once.contains("80 assignments have a time that is none"), "{once}");
    assert!(!once.contains("no event"));
    let said = metric("purchse=1");
    assert!(said.contains("warning: --metric: no event of the log has the type `purchse`; there are: `view`"), "{said}");
    // The last half again, in another file.
    fs::write(folder.path().join("more.jsonl"), text(40..80)).unwrap();
    let twice = metric("view=1");
    assert!(twice.contains("120 lines stand more than once") && twice.contains("`more` with `all`"), "{twice}");
    let figures = |text: &str| text.lines().filter(|line| !line.starts_with("warning")).map(String::from).collect::<Vec<_>>();
    assert_eq!(figures(&once), figures(&twice));
}

/// The recommender ignores assignments: its slates are the same with and without one.
#[test]
fn assignments_change_no_slate() {
    let mut recommender = open_bundle(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny")).unwrap();
    let arms = ["a", "b"].map(String::from);
    let mut slates = Vec::new();
    for assign in [false, true] {
        recommender.clear();
        recommender.record(Event { item: "50".into(), kind: "like".into(), ..Event::default() }).unwrap();
        if assign {
            recommender.assign(&Experiment { name: "e", arms: &arms, weights: &[1.0, 1.0] }, "u", None).unwrap();
        }
        let explore = Explore { policy: "thompson".into(), ignored: 0.5, decision: Some("d".into()), ..Explore::default() };
        slates.push(recommender.recommend(&Request { explore, ..Request::default() }).unwrap().items);
    }
    assert_eq!(slates[0], slates[1]);
    assert_eq!(recommender.log().lines().filter(|line| matches!(line, LogLine::Assignment(_))).count(), 1);
}
