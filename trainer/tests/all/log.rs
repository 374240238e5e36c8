//! Tests that convert exported logs to the formats of other tools.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The log of a visitor who saw two slates and gave feedback three times.
const LOG: &str = r#"{"id":"e0","item":"9","type":"view","time":874965757000}
{"type":"impression","slate":"s1","time":874965758012,"model":"m","policy":"softmax","request":{"k":2,"context":{"hour":20},"explore":{"policy":"softmax"}},"context":"c0","slots":[{"item":"3","score":1.5,"propensity":0.25},{"item":"a,b","score":0.5,"propensity":0.125,"standard_error":0.01}]}
{"id":"e1","item":"a,b","type":"like","slate":"s1","time":874965760000,"value":4}
{"id":"e2","item":"a,b","type":"share","time":874965761000}
{"type":"impression","slate":"s2","model":"m","policy":"greedy","context":"c0","slots":[{"item":"3","score":1.0,"propensity":1.0}]}
{"id":"e3","item":"3","type":"hide"}
{"id":"e4","item":"77","type":"click","slate":"s2"}
"#;

fn convert(to: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let [log, out] = ["ann.jsonl", "out"].map(|name| folder.path().join(name));
    fs::write(&log, LOG).unwrap();
    let args = ["log", "convert", log.to_str().unwrap(), "--to", to, "--out", out.to_str().unwrap()];
    let done = Command::new(env!("CARGO_BIN_EXE_foretaste")).args(args).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::read(out).unwrap()
}

fn lines(to: &str) -> Vec<Value> {
    String::from_utf8(convert(to)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn obp_reads_a_table() {
    let expected = "\
timestamp,item_id,position,click,propensity_score,slate,visitor
1997-09-22T22:02:38.012Z,3,1,0,0.25,s1,ann
1997-09-22T22:02:38.012Z,\"a,b\",2,1,0.125,s1,ann
,3,1,0,1,s2,ann
";
    assert_eq!(String::from_utf8(convert("obp")).unwrap(), expected);
}

#[test]
fn vowpal_wabbit_reads_decisions() {
    let lines = lines("dsjson");
    assert_eq!(lines.len(), 3);
    let second = &lines[1];
    assert_eq!(
        (&second["_label_cost"], &second["_label_probability"], &second["p"], &second["a"], &second["EventId"]),
        (&json!(-1.0), &json!(0.125), &json!([0.125]), &json!([1]), &json!("s1-1"))
    );
    assert_eq!(second["c"]["_multi"][0]["item"]["id"], "a,b");
    assert_eq!((&second["c"]["context"]["hour"], &lines[0]["_label_cost"]), (&json!(20.0), &json!(-0.0)));
    assert!(second["_labelIndex"] == 0 && second["Timestamp"] == "1997-09-22T22:02:38.012Z");
}

#[test]
fn analytics_reads_events() {
    let lines = lines("ga4");
    let names: Vec<&str> = lines.iter().map(|line| line["event_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["select_item", "view_item_list", "like", "share", "view_item_list", "hide", "select_item"]);
    let slate = &lines[1];
    assert_eq!((&slate["event_date"], &slate["event_timestamp"]), (&json!("19970922"), &json!(874_965_758_012_000_i64)));
    assert_eq!((&slate["items"][1]["item_id"], &slate["items"][1]["item_list_index"]), (&json!("a,b"), &json!("1")));
    assert_eq!(slate["items"][1]["item_params"][0], json!({"key": "propensity", "value": {"double_value": 0.125}}));
    assert_eq!(lines[2]["event_params"][0], json!({"key": "item_list_id", "value": {"string_value": "s1"}}));
    assert_eq!((&lines[4]["event_date"], &lines[4]["user_pseudo_id"]), (&Value::Null, &json!("ann")));
}

#[test]
fn parquet_has_a_row_a_slot() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slots.parquet");
    fs::write(&path, convert("parquet")).unwrap();
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let cells =
        |row: parquet::record::Row| row.get_column_iter().map(|(name, cell)| format!("{name} {cell}")).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = reader.get_row_iter(None).unwrap().map(|row| cells(row.unwrap())).collect();
    assert_eq!(rows.len(), 3);
    let expected = [
        r#"visitor "ann""#,
        r#"slate "s1""#,
        "time 874965758012",
        r#"model "m""#,
        r#"policy "softmax""#,
        r#"context "c0""#,
        "slot 1",
        r#"item "a,b""#,
        "score 0.5",
        "propensity 0.125",
        "standard_error 0.01",
        "reward 1.0",
        r#"answers "like|share""#,
    ];
    assert_eq!(rows[1], expected);
    assert_eq!([&rows[2][2], &rows[2][11], &rows[2][12]], ["time null", "reward 0E0", r#"answers "hide""#]);
}

/// `foretaste ope` reads logs of the packaged bundle and tables, and refuses data without propensities.
#[test]
fn ope_speaks_of_logs_and_tables() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tiny");
    let ope = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_foretaste")).arg("ope").args(args).output().unwrap();
        let [out, error] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
        (done.status.code(), out, error)
    };
    let shown = |slate: &str, propensity: &str| {
        format!(
            r#"{{"type":"impression","slate":"{slate}","model":"m","policy":"p","context":"c","slots":[{{"item":"52","score":1,"propensity":{propensity}}},{{"item":"51","score":1,"propensity":0.5}}]}}"#
        )
    };
    let liked = r#"{"item":"52","type":"like","slate":"a"}"#;
    // The history of tests/fixtures/draws.json. Of the remaining 58 items, 52 and 51 score highest.
    let before =
        "{\"item\":\"50\",\"type\":\"like\",\"time\":1735776001000}\n{\"item\":\"7\",\"type\":\"hide\",\"time\":1735776002000}\n";
    fs::write(at("v.jsonl"), format!("{before}{}\n{liked}\n", shown("a", "0.5"))).unwrap();
    let (code, out, _) = ope(&["--log", &at("v.jsonl"), "--bundle", bundle.to_str().unwrap(), "--epsilon", "0.5", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &report["rows"], &report["slates"], &report["logged"]["slate"]),
        (Some(0), &json!(2), &json!(1), &json!(1.0))
    );
    let best = 0.5 + 0.5 / 58.0;
    assert!((report["estimates"]["ips"]["value"].as_f64().unwrap() - best / 0.5 / 2.0).abs() < 1e-9, "{report}");
    assert_eq!(report["estimates"].as_object().unwrap().len(), 13);
    assert!(report["checks"]["warnings"][0].as_str().unwrap().contains("trust no estimate"));

    fs::write(at("v.jsonl"), shown("a", "0")).unwrap();
    let (code, _, error) = ope(&["--log", &at("v.jsonl"), "--bundle", bundle.to_str().unwrap()]);
    assert!(code == Some(1) && error.contains("v.jsonl:1: slate `a`, slot 0: propensity: expected 0 < p <= 1, got 0"), "{error}");
    fs::write(at("t.csv"), "reward,target\n1,0.5\n").unwrap();
    let (code, _, error) = ope(&["--table", &at("t.csv")]);
    assert!(code == Some(1) && error.contains("no column `propensity`"), "{error}");
    for (table, says) in [
        ("reward,propensity,target\n1,0.5,0.5\n1,0,1\n", "t.csv:3: propensity: expected 0 < p <= 1, got 0"),
        ("reward,propensity,target\n1,0.5,x\n", "t.csv:2: target: `x` is no finite number"),
        ("reward,propensity,target\nNaN,0.5,1\n", "t.csv:2: reward"),
        ("reward,propensity,target,slate,slot\n1,1,1,a,0\n1,1,1,a,0\n", "a slate has its slot 0 twice"),
        ("reward,propensity,target\n", "no rows"),
    ] {
        fs::write(at("t.csv"), table).unwrap();
        let (code, _, error) = ope(&["--table", &at("t.csv")]);
        assert!(code == Some(1) && error.contains(says), "{error}");
    }
    fs::write(at("t.csv"), "reward,propensity,target\n1,0.5,0.25\n0,0.5,0.75\n").unwrap();
    let (code, out, _) = ope(&["--table", &at("t.csv")]);
    assert!(code == Some(0) && out.contains("snips") && !out.contains("dr ") && !out.contains("slate-"), "{out}");
    assert_eq!(ope(&["--table", &at("t.csv"), "--tau", "-1"]).0, Some(2));
    assert_eq!(ope(&[]).0, Some(2));
}

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny");

/// The log of a visitor of the packaged bundle: a slate of two, and two answers. Slates and ids carry the name.
fn visit(name: &str) -> Vec<String> {
    vec![
        format!(
            r#"{{"type":"impression","slate":"{name}-s","time":1735700000000,"model":"m","policy":"p","context":"c","slots":[{{"item":"52","score":1,"propensity":0.5}},{{"item":"51","score":1,"propensity":0.25}}]}}"#
        ),
        format!(r#"{{"id":"{name}-0","item":"52","type":"view","slate":"{name}-s","time":1735700001000}}"#),
        format!(r#"{{"id":"{name}-1","item":"51","type":"like","slate":"{name}-s","time":1735700002000}}"#),
    ]
}

fn foretaste(args: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_foretaste")).args(args).output().unwrap();
    let [out, error] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
    (done.status.code(), out, error)
}

/// Converts logs to the table of Open Bandit Pipeline; returns the table and what was said.
fn table(folder: &Path, logs: &[&str]) -> (String, String) {
    let out = folder.join("table.csv");
    let paths: Vec<String> = logs.iter().map(|log| folder.join(log).to_str().unwrap().to_owned()).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let args = [&["log", "convert"], &paths[..], &["--to", "obp", "--out", out.to_str().unwrap()]].concat();
    let (code, _, said) = foretaste(&args);
    assert_eq!(code, Some(0), "{said}");
    (fs::read_to_string(out).unwrap(), said)
}

/// All verbs read a log with one reader: each refuses each fault, with file and line.
#[test]
fn every_verb_refuses_a_faulty_log() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let log = at("ann.jsonl");
    let [shown, answer, last] = <[String; 3]>::try_from(visit("ann")).unwrap();
    let slots = vec![r#"{"item":"1","score":1,"propensity":1}"#; 1001].join(",");
    let many = format!(r#"{{"type":"impression","slate":"s","model":"m","policy":"p","context":"c","slots":[{slots}]}}"#);
    for (line, says) in [
        (shown.replace("0.25", "25"), "slot 1: propensity: expected 0 < p <= 1, got 25.0: it looks like per cent"),
        (shown.replace("0.25", "0"), "propensity: expected 0 < p <= 1, got 0"),
        (shown.replace("0.25", "-0.5"), "propensity: expected 0 < p <= 1, got -0.5"),
        (shown.replace("1735700000000", "1735700000"), "it looks like seconds, so multiply it by 1,000"),
        (last.replace("1735700002000", "1735700002000000000"), "it looks like nanoseconds"),
        (last.replace("1735700002000", "100000000000000000"), "expected Unix milliseconds of the years 1990 to 2200"),
        (last.replace("\"51\"", "\"\""), "event.item: expected 1 to 4096 bytes"),
        (last.replace("\"like\"", "7"), "invalid type"),
        ("[".repeat(100_000), "expected one JSON object on each line"),
        ("{\"a\":".repeat(100_000), "not a line of an exported log"),
        ("\0".to_owned(), "expected one JSON object on each line"),
        (many, "1001 slots; a slate has at most 1000"),
        (last.replace("like", &"x".repeat(17 << 20)), "a line of more than"),
        (answer[..40].to_owned(), "not a line of an exported log"),
    ] {
        fs::write(&log, format!("{}\n{line}\n", visit("before").join("\n"))).unwrap();
        for verb in [
            &["ope", "--bundle", TINY, "--log", &log][..],
            &["ab", "--experiment", "e", "--log", &log],
            &["update", "versions", "--data", "data", "--log", &log],
            &["log", "convert", "--to", "dsjson", "--out", &at("out"), &log],
            &["recommend", TINY, "--events", &log],
        ] {
            let (code, out, error) = foretaste(verb);
            let named = error.contains("ann.jsonl:4") && error.contains(says);
            assert!(code == Some(1) && named && out.is_empty() && error.lines().count() == 1, "{verb:?}: {error}");
        }
    }
    fs::write(&log, [b"{\"item\":\"", &[0xff][..], b"\"}"].concat()).unwrap();
    assert!(foretaste(&["ope", "--bundle", TINY, "--log", &log]).2.contains("ann.jsonl:1: the line is not UTF-8"));
    for device in ["/dev/zero", folder.path().to_str().unwrap()] {
        assert!(foretaste(&["ope", "--bundle", TINY, "--log", device]).2.contains("a regular file expected"));
    }
    // A file of zeros that takes no room on the disk.
    fs::File::create(&log).unwrap().set_len(1 << 40).unwrap();
    assert!(foretaste(&["ope", "--bundle", TINY, "--log", &log]).2.contains("ann.jsonl:1: a line of more than"));
}

/// The request of the slate has a vector of another length than the bundle's: only the replay can tell.
#[test]
fn a_fault_that_the_replay_finds_has_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ann.jsonl");
    let vector = visit("ann")[0].replace("\"slots\"", "\"request\":{\"vector\":[1,2]},\"slots\"");
    fs::write(&log, format!("\n{}\n{vector}\n", visit("before").join("\n"))).unwrap();
    let (code, _, error) = foretaste(&["ope", "--bundle", TINY, "--policy", "softmax", "--log", log.to_str().unwrap()]);
    assert!(code == Some(1) && error.contains("ann.jsonl:5: "), "{error}");
}

#[test]
fn lines_that_were_delivered_twice_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let once = visit("ann").join("\n");
    let twice: String = visit("ann").iter().map(|line| format!("{line}\n{line}\n")).collect();
    for (name, text) in [("once/ann.jsonl", once), ("twice/ann.jsonl", twice)] {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (expected, said) = table(folder.path(), &["once/ann.jsonl"]);
    assert!(!said.contains("warning"), "{said}");
    let (found, said) = table(folder.path(), &["twice/ann.jsonl"]);
    assert_eq!(found, expected);
    assert!(said.contains("warning: 3 lines stand more than once in the logs; each counts once"), "{said}");
    let report = |log: &str| {
        let log = folder.path().join(log);
        let (code, out, error) = foretaste(&["ope", "--bundle", TINY, "--json", "--log", log.to_str().unwrap()]);
        assert_eq!(code, Some(0), "{error}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let [once, twice] = ["once/ann.jsonl", "twice/ann.jsonl"].map(report);
    assert_eq!((&once["rows"], &once["logged"], &once["estimates"]), (&twice["rows"], &twice["logged"], &twice["estimates"]));
    assert!(twice["checks"]["warnings"].to_string().contains("3 lines stand more than once"), "{twice}");
}

/// A file that is given twice is read once, and an export that holds an earlier one is joined with it.
#[test]
fn exports_of_one_visitor_count_once() {
    let folder = tempfile::tempdir().unwrap();
    let whole = visit("ann");
    let text = |lines: &[String]| lines.join("\n") + "\n";
    fs::write(folder.path().join("monday.jsonl"), text(&whole[..2])).unwrap();
    fs::write(folder.path().join("sunday.jsonl"), text(&whole)).unwrap();
    fs::write(folder.path().join("bob.jsonl"), text(&visit("bob"))).unwrap();
    let (expected, _) = table(folder.path(), &["bob.jsonl", "sunday.jsonl"]);
    let (found, said) = table(folder.path(), &["bob.jsonl", "sunday.jsonl", "monday.jsonl", "./bob.jsonl"]);
    assert_eq!(found, expected);
    assert!(said.contains("warning: 1 exports overlap others and are joined with them: `monday` with `sunday`"), "{said}");
    assert!(said.contains("converted: 2 slates of 2 visitors"), "{said}");
}

#[test]
fn a_folder_a_visitor_names_the_visitor() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ann", "bob"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("log.jsonl"), visit(name).join("\n")).unwrap();
    }
    let (found, _) = table(folder.path(), &["ann/log.jsonl", "bob/log.jsonl"]);
    let visitors: Vec<&str> = found.lines().skip(1).map(|line| line.rsplit(',').next().unwrap()).collect();
    assert_eq!(visitors, ["ann", "ann", "bob", "bob"]);
}

#[test]
fn logs_may_be_compressed_or_have_a_byte_order_mark() {
    let folder = tempfile::tempdir().unwrap();
    let text = visit("ann").join("\r\n");
    fs::create_dir(folder.path().join("plain")).unwrap();
    fs::write(folder.path().join("plain/ann.jsonl"), &text).unwrap();
    let (expected, _) = table(folder.path(), &["plain/ann.jsonl"]);
    fs::write(folder.path().join("ann.jsonl"), format!("\u{feff}{text}")).unwrap();
    assert_eq!(table(folder.path(), &["ann.jsonl"]).0, expected);
    let file = fs::File::create(folder.path().join("ann.jsonl.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    write!(packed, "\u{feff}{text}").unwrap();
    packed.finish().unwrap();
    assert_eq!(table(folder.path(), &["ann.jsonl.gz"]).0, expected);
}

#[test]
fn decisions_of_one_action_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let [log, out] = ["ann.jsonl", "out"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    fs::write(&log, visit("ann").join("\n")).unwrap();
    let said = foretaste(&["log", "convert", &log, "--to", "dsjson", "--out", &out]).2;
    assert!(
        said.contains("warning: each decision has one action")
            && foretaste(&["log", "convert", "--help"]).1.contains("one action")
    );
    assert!(!foretaste(&["log", "convert", &log, "--to", "obp", "--out", &out]).2.contains("warning"));
}

/// Sources that do not meet are told: answers and slates, rewards and types, items and the catalog.
#[test]
fn what_does_not_meet_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("ann.jsonl");
    let log = log.to_str().unwrap();
    let told = |text: String, more: &[&str]| {
        fs::write(log, text).unwrap();
        let (code, out, error) = foretaste(&[&["ope", "--bundle", TINY, "--log", log], more].concat());
        (code, out + &error)
    };
    let text = visit("ann").join("\n");
    let (code, said) = told(text.replace("\"view\",\"slate\":\"ann-s\"", "\"view\",\"slate\":\"ANN-S\""), &[]);
    assert!(code == Some(0) && said.contains("warning: 1 of 2 answers join no slate of the log"), "{said}");
    let (code, said) = told(text.clone(), &["--rewards", "purchse=1,view=2"]);
    assert!(said.contains("warning: --rewards: no event of the log has the type `purchse`; there are: `like`, `view`"), "{said}");
    assert_eq!(code, Some(0));
    let (code, said) = told(text.replace("\"51\"", "\"51.0\""), &[]);
    assert!(
        code == Some(0) && said.contains("warning: items of the logs in the bundle's catalog: 1 of 2 (not \"51.0\" but \"51\""),
        "{said}"
    );
    let (code, said) = told(text.replace("\"51\"", "\"51.0\"").replace("\"52\"", "\"52.0\""), &[]);
    assert!(code == Some(1) && said.contains("0 of 2 (not") && said.contains("a join made floats of whole numbers"), "{said}");
    let (code, said) = told(text, &[]);
    assert!(code == Some(0) && !said.contains("join no slate") && !said.contains("items of the logs"), "{said}");
}
