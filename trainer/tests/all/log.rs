//! Tests that convert exported logs to the formats of other tools.

use std::fs;
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
    let before = "{\"item\":\"50\",\"type\":\"like\",\"time\":1000}\n{\"item\":\"7\",\"type\":\"hide\",\"time\":2000}\n";
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
    assert!(code == Some(1) && error.contains("propensity 0"), "{error}");
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
