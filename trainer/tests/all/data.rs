//! Tests of data folders: every file format, hostile files, bad rows, the order of events, `data.toml`, and the output
//! of `prepare`.

use std::io::Write;
use std::path::{Path, PathBuf};

use foretaste::features::Value;
use foretaste_trainer::data::{Dataset, Notes, ReadOptions, inspect_folder, read_folder, write_tables};
use foretaste_trainer::report::data_report;

/// A temporary folder with these files.
pub fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

pub fn read(folder: &Path, max_bad: f64) -> anyhow::Result<(Dataset, Notes)> {
    inspect_folder(folder, &ReadOptions { max_bad, quiet: true, ..ReadOptions::default() })
}

pub fn dataset(files: &[(&str, &[u8])]) -> Dataset {
    read(folder(files).path(), 0.0).unwrap().0
}

/// The error message for a folder that must be refused. It must be a single line.
pub fn refused(files: &[(&str, &[u8])]) -> String {
    let error = format!("{:#}", read(folder(files).path(), 0.01).expect_err("a refusal"));
    assert!(!error.contains('\n'), "{error:?}");
    error
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Names and contents of files.
type Files<'a> = Vec<(&'a str, &'a [u8])>;

/// User, item, type, rating and time of an event.
type Row<'a> = (&'a str, &'a str, &'a str, Option<f64>, Option<i64>);

fn events(data: &Dataset) -> Vec<Row<'_>> {
    let name = |e: &foretaste_trainer::data::DatasetEvent| data.types[usize::from(e.kind)].name.as_str();
    data.events
        .iter()
        .map(|e| (data.users[e.user as usize].as_str(), data.items[e.item as usize].as_str(), name(e), e.rating, e.time))
        .collect()
}

const TOML: &[u8] =
    b"name = 'forms'\n[items.year]\nkind = 'category'\n[items.vec]\nkind = 'vector'\n[context.device]\nkind = 'category'\n";
const EVENTS_CSV: &str = "user,item,timestamp,rating,device\n\
    u2,b,1000000200,4.5,tv\nu1,a,1000000100,,\nu1,b,1000000100,1,phone\nu10,c|1,1000000300,2.0,tv\n";
const ITEMS_CSV: &str = "item,title,tags,price,year,vec\n\
    a,\"Ä \"\"quoted\"\", title\",red|big,1.5,1999,1 -2.5\nb,,,2,,\ncold,x,red,,2001,0.25 3\n";
const EVENTS_JSONL: &str = concat!(
    r#"{"user":"u2","item":"b","timestamp":1000000200,"rating":4.5,"device":"tv"}"#,
    "\n",
    r#"{"item":"a","user":"u1","timestamp":1000000100,"rating":null}"#,
    "\r\n\n",
    r#"{"user":"u1","item":"b","timestamp":1000000100.0,"rating":1,"device":"phone"}"#,
    "\n",
    r#"{"user":"u10","item":"c|1","timestamp":"1000000300","rating":2,"device":"tv"}"#
);
const ITEMS_JSONL: &str = concat!(
    r#"{"item":"a","title":"\u00c4 \"quoted\", title","tags":["red","big"],"price":1.5,"year":1999,"vec":[1,-2.5]}"#,
    "\n",
    r#"{"item":"b","tags":[],"price":2.0}"#,
    "\n",
    r#"{"item":"cold","title":"x","tags":["red"],"year":2001,"vec":[0.25,3]}"#,
    "\n"
);

/// Files written by pyarrow 22. The events have dictionary-encoded users, `timestamp[ms]`, a struct column that is
/// ignored, and two row groups. The items have lists, `float` and `int16` columns, and data pages of version 2.
fn parquet() -> [(&'static str, &'static [u8]); 2] {
    [("events.parquet", include_bytes!("../data/events.parquet")), ("items.parquet", include_bytes!("../data/items.parquet"))]
}

#[test]
fn every_form_gives_the_same_dataset() {
    let csv = dataset(&[("events.csv", EVENTS_CSV.as_bytes()), ("items.csv", ITEMS_CSV.as_bytes()), ("data.toml", TOML)]);
    assert_eq!(csv.users, ["u1", "u10", "u2"]);
    assert_eq!(csv.items, ["a", "b", "cold", "c|1"]);
    assert_eq!(csv.in_events, [true, true, false, true]);
    assert_eq!(csv.titles, [Some("Ä \"quoted\", title".to_owned()), None, Some("x".to_owned()), None]);
    assert_eq!(
        events(&csv),
        [
            ("u1", "a", "view", None, Some(1_000_000_100)),
            ("u1", "b", "rate", Some(1.0), Some(1_000_000_100)),
            ("u10", "c|1", "rate", Some(2.0), Some(1_000_000_300)),
            ("u2", "b", "rate", Some(4.5), Some(1_000_000_200)),
        ]
    );
    assert_eq!(csv.offsets, [0, 2, 3, 4]);
    let kinds: Vec<(&str, &str)> = csv.item_table.columns.iter().map(|c| (c.name.as_str(), c.kind)).collect();
    assert_eq!(kinds, [("price", "number"), ("tags", "set"), ("title", "text"), ("vec", "vector"), ("year", "category")]);
    let red = |more: &[&str]| Value::Set(["red"].iter().chain(more).map(|t| t.to_string()).collect());
    assert_eq!(csv.item_table.columns[1].values, [red(&["big"]), Value::Missing, red(&[]), Value::Missing]);
    assert_eq!(csv.item_table.columns[3].values[0], Value::Vector(vec![1.0, -2.5]));
    let device = &csv.context_table.columns[0].values;
    assert_eq!(device[..2], [Value::Missing, Value::Text("phone".into())]);

    let tsv = |text: &str| {
        text.replace(r#""Ä ""quoted"", title""#, "TITLE").replace(',', "\t").replace("TITLE", r#"Ä "quoted", title"#)
    };
    let crlf = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let ten = |text: &str| text.as_bytes().to_vec();
    let forms: [(&str, Vec<u8>, Vec<u8>); 8] = [
        ("csv", ten(&crlf(EVENTS_CSV)), ten(&crlf(ITEMS_CSV))),
        ("csv.gz", gz(EVENTS_CSV.as_bytes()), gz(ITEMS_CSV.as_bytes())),
        ("tsv", ten(&tsv(EVENTS_CSV)), ten(&tsv(ITEMS_CSV))),
        ("tsv.gz", gz(tsv(EVENTS_CSV).as_bytes()), gz(tsv(ITEMS_CSV).as_bytes())),
        ("jsonl", ten(EVENTS_JSONL), ten(ITEMS_JSONL)),
        // Two concatenated gzip members.
        (
            "jsonl.gz",
            [gz(&EVENTS_JSONL.as_bytes()[..99]), gz(&EVENTS_JSONL.as_bytes()[99..])].concat(),
            gz(ITEMS_JSONL.as_bytes()),
        ),
        ("parquet", parquet()[0].1.to_vec(), parquet()[1].1.to_vec()),
        ("csv", [b"extra,", EVENTS_CSV.replace('\n', "\n7,").trim_end_matches("7,").as_bytes()].concat(), ten(ITEMS_CSV)),
    ];
    for (form, event_bytes, item_bytes) in forms {
        let (event_name, item_name) = (format!("events.{form}"), format!("items.{form}"));
        let data = dataset(&[(&event_name, &event_bytes), (&item_name, &item_bytes), ("data.toml", TOML)]);
        assert_eq!(data, csv, "{form}");
    }
    let prepared = tempfile::tempdir().unwrap();
    write_tables(&csv, prepared.path()).unwrap();
    for in_memory in [usize::MAX, 0] {
        let data = read_folder(prepared.path(), &ReadOptions { max_bad: 0.0, quiet: true, in_memory, ..ReadOptions::default() })
            .unwrap();
        assert_eq!(data, csv, "prepared; {in_memory} bytes in memory");
    }
}

#[test]
fn the_hash_is_of_the_content() {
    let of = |events: &str, toml: &str| dataset(&[("events.csv", events.as_bytes()), ("data.toml", toml.as_bytes())]).sha256;
    let hash = of("user,item,rating\na,x,1\nb,y,2\n", "");
    assert_eq!(hash, of("item,user,rating,z\ny,b,2.0,9\nx,a,1.0,9\n", "name = 'other'\nlicence = 'none'"));
    let others = [
        of("user,item,rating\na,x,1\nb,y,3\n", ""),
        of("user,item,rating\na,x,1\nb,xy,2\n", ""),
        of("user,item,rating\na,x,1\nb,y,\n", ""),
        of("user,item,rating,timestamp\na,x,1,0\nb,y,2,0\n", ""),
        of("user,item,rating\na,x,1\nb,y,2\n", "[types.rate]\nweight = 2"),
    ];
    assert!(others.iter().all(|other| *other != hash) && hash.len() == 64);
}

#[test]
fn hostile_files_are_refused_with_one_line() {
    let good: &[u8] = b"user,item\na,b\n";
    let cut = &gz(EVENTS_CSV.as_bytes())[..60];
    let parquet = parquet()[0].1;
    let cases: Vec<(Files, &str)> = vec![
        (vec![], "no events.csv"),
        (vec![("events.csv", b"")], "events.csv: empty: a header line expected"),
        (vec![("events.csv", b"\n\n\n")], "empty: a header line expected"),
        (vec![("events.csv", b"user,item\n")], "no events"),
        (vec![("events.csv", b"user,thing\na,b\n")], "no column `item` among"),
        (vec![("events.csv", b"item,thing\na,b\n")], "no column `user` among"),
        (vec![("events.csv", b"user,item,user\na,b,c\n")], "two columns `user`"),
        (vec![("events.csv", b"\xff\xfeu\0s\0e\0r\0,\0i\0t\0e\0m\0\n\0")], "header line"),
        (vec![("events.csv", b"user,item\na,\"b\nc,d\n")], "line 2: the quotes are not closed"),
        (vec![("events.csv", b"user\ritem\ra\rb\r")], "no column `user`"),
        (vec![("events.csv", good), ("events.jsonl", good)], "one of them expected"),
        (vec![("events.csv.gz", cut)], "events.csv.gz"),
        (vec![("events.csv.gz", good)], "events.csv.gz"),
        (vec![("events.jsonl", good)], "no JSON object in it"),
        (vec![("events.jsonl", b"{\"user\":1}\n")], "no column `item`"),
        (vec![("events.parquet", b"")], "events.parquet"),
        (vec![("events.parquet", good)], "events.parquet"),
        (vec![("events.parquet", &parquet[..parquet.len() / 2])], "events.parquet"),
        (vec![("events.csv", good), ("items.csv", b"id,title\nb,x\n")], "items.csv: no column `item`"),
        (vec![("events.csv", good), ("data.toml", b"colour = 1")], "data.toml: line 1: unknown field `colour`"),
        (vec![("events.csv", good), ("data.toml", b"\xff")], "data.toml"),
        (vec![("events.csv", good), ("data.toml", b"[columns]\nuser = 'uid'")], "[columns] user = \"uid\": no such column"),
        (vec![("events.csv", good), ("data.toml", b"[context.item]\nkind = 'text'")], "a meaning of its own"),
        (vec![("events.csv", good), ("data.toml", b"[context.hour]\nkind = 'text'")], "[context.hour]: no such column"),
        (vec![("events.csv", good), ("data.toml", b"[items.x]\nkind = 'text'")], "there is no items table"),
        (
            vec![("events.csv", good), ("items.csv", b"item\nb\n"), ("data.toml", b"[items.x]\nkind = 'set'")],
            "[items.x]: no such column",
        ),
    ];
    for (files, expected) in cases {
        let error = refused(&files);
        assert!(error.contains(expected), "{expected:?} expected, got {error:?}");
    }
    // A bundle has at most 1,024 types, and `hide` and `like` are always among them.
    let many = |n: usize| format!("user,item,type\n{}", (0..n).map(|i| format!("u,i,t{i}\n")).collect::<String>());
    let declared = b"[types.t0]\n[types.buy]\n";
    assert!(refused(&[("events.csv", many(1023).as_bytes())]).contains("1025 types of event"));
    assert!(refused(&[("events.csv", many(1022).as_bytes()), ("data.toml", declared)]).contains("1025 types of event"));
    let fits = folder(&[("events.csv", many(1021).as_bytes()), ("data.toml", declared)]);
    assert_eq!(read(fits.path(), 0.0).unwrap().0.types.len(), 1024);
    assert!(format!("{:#}", read(&PathBuf::from("no/such/folder"), 0.0).unwrap_err()).contains("no such folder"));
}

#[test]
fn damaged_parquet_never_panics() {
    for (name, bytes) in parquet() {
        let other: &[u8] = if name.starts_with("items") { b"user,item\na,b\n" } else { b"item\nb\n" };
        let other_name = if name.starts_with("items") { "events.csv" } else { "items.csv" };
        let mut refusals = 0;
        for at in 0..bytes.len() {
            for mask in [1, 0x80, 0xff] {
                let mut damaged = bytes.to_vec();
                damaged[at] ^= mask;
                let files = folder(&[(name, &damaged), (other_name, other)]);
                refusals += usize::from(read(files.path(), 1.0).is_err());
            }
        }
        assert!(refusals > bytes.len() / 4, "{name}: {refusals} of {} refused", 3 * bytes.len());
    }
}

/// Files that claim or repeat far more than they hold. Before there were limits, each took gigabytes or minutes.
#[test]
fn parquet_is_bounded() {
    const FAR: &str = "decodes to far more bytes than a file of its length may; if it is right, write it as CSV";
    let cases = [
        ("deep_columns", "columns lie more than 64 deep in each other"),
        ("dictionary_claims_values", "column `user`: a dictionary of 6 bytes that should have 2147483647 values"),
        ("lengths_without_end", "column `user`: damaged lengths of texts, or more than 8388608, in a page of 1 values"),
        ("list_of_doubles_in_page_header", "column `user`: a damaged header of a page"),
        ("list_of_flags_in_footer", "damaged: its footer cannot be read"),
        ("list_without_end", "column `tags.list.element`: a list of more than 65536 values"),
        ("many_children", "damaged: a column of 2147483647 columns"),
        ("page_claims_2_gb", "column `user`: a page of 8 bytes that should decode to 2147483647"),
        ("page_that_decodes_to_256_mb", "column `user`: a page of 8211 bytes that should decode to 268435456"),
        ("rows_beyond_all", FAR),
        ("rows_beyond_all_claim", FAR),
        ("shared_chunks", "damaged: its columns have more bytes than the file"),
        ("shared_lengths_without_end", "column `user`: damaged lengths of texts, or more than 8388608, in a page of 1 values"),
        ("text_times_rows", FAR),
    ];
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/crashers/parquet");
    for (name, expected) in cases {
        let error = refused(&[("events.parquet", &std::fs::read(kept.join(name)).unwrap())]);
        assert!(error.ends_with(expected), "{name}: {error}");
    }
}

#[test]
fn bad_rows_are_counted_and_the_first_twenty_named() {
    let bad = concat!(
        "user,item,timestamp,rating\n",
        "u,a,1,5\n",
        ",a,1,5\n",
        "u,,1,5\n",
        "u,a,,5\n",
        "u,a,noon,5\n",
        "u,a,1.5,5\n",
        "u,a,inf,5\n",
        "u,a,99999999999999999999,5\n",
        "u,a,1700000000000,5\n",
        "u,a,1,high\n",
        "u,a,1,NaN\n",
        "u,a,1,1e999\n",
        "u,a,1\n",
        "u,a,1,5,6\n",
        "u,\"a\"b,1,5\n",
        "u, a,\" 2 \", 4 \n"
    );
    let files = folder(&[("events.csv", bad.as_bytes())]);
    let (data, notes) = read(files.path(), 1.0).unwrap();
    assert_eq!(events(&data), [("u", "a", "rate", Some(5.0), Some(1)), ("u", " a", "rate", Some(4.0), Some(2))].to_vec());
    let expected = [
        "3: user is empty",
        "4: item is empty",
        "5: timestamp \"\" is neither a whole number nor an ISO 8601 date or time",
        "6: timestamp \"noon\" is neither a whole number nor an ISO 8601 date or time",
        "7: timestamp \"1.5\" is neither a whole number nor an ISO 8601 date or time",
        "8: timestamp \"inf\" is neither a whole number nor an ISO 8601 date or time",
        "9: timestamp \"99999999999999999999\" is neither a whole number nor an ISO 8601 date or time",
        "10: timestamp \"1700000000000\" is not in the years 0 to 9999; data.toml may say time_unit = \"ms\"",
        "11: rating \"high\" is not a finite number",
        "12: rating \"NaN\" is not a finite number",
        "13: rating \"1e999\" is not a finite number",
        "14: 4 fields expected, got 3",
        "15: 4 fields expected, got 5",
        "16: text after closing quotes",
    ];
    assert_eq!(notes.tables[0].named, expected.map(|reason| format!("events.csv:{reason}")));
    assert_eq!((notes.tables[0].rows, notes.tables[0].bad), (16, 14));

    // A bad row that occurs again counts as bad, not as a repeat. Two bad rows of 202 are within the limit of 1 %,
    // three of 203 are not.
    let with = |bad: usize| {
        let good: String = (0..200).map(|i| format!("u,i{i}\n")).collect();
        folder(&[("events.csv", format!("user,item\n{good}{}", "u,\n".repeat(bad)).as_bytes())])
    };
    let (_, notes) = read(with(2).path(), 0.01).unwrap();
    assert_eq!((notes.tables[0].bad, notes.tables[0].repeated), (2, 0));
    let error = read(with(3).path(), 0.01).unwrap_err().to_string();
    assert!(error.ends_with("events.csv: 3 of 203 rows are bad, 1.5 %: at most 1 % are let pass (--max-bad)"), "{error}");
    let (_, notes) = read(with(50).path(), 0.5).unwrap();
    assert_eq!((notes.tables[0].bad, notes.tables[0].named.len()), (50, 20));
    assert_eq!(notes.tables[0].named[0], "events.csv:202: item is empty");
    let all = folder(&[("events.csv", b"user,item\n,a\n")]);
    assert!(read(all.path(), 1.0).unwrap_err().to_string().contains("no events"));
}

#[test]
fn rows_of_tables_are_checked_too() {
    let files: &[(&str, &[u8])] = &[
        ("events.csv", b"user,item\nu,a\nv,b\nv,c\n"),
        ("items.csv", b"item,price,vec\na,1,1 2\na,1,1 2\na,2,1 2\nb,cheap,1 2\nc,,1 2 3\n,1,1 2\ncold,3,[3 4]\n"),
        ("users.csv", b"user,age\nv,3\nidle,4\n"),
        ("data.toml", b"[items.price]\nkind = 'number'\n[items.vec]\nkind = 'vector'"),
    ];
    let (data, notes) = read(folder(files).path(), 1.0).unwrap();
    let expected = [
        "4: a second row of item \"a\"",
        "5: price: \"cheap\" is not a finite number",
        "6: vec: 2 numbers expected, got 3",
        "7: item is empty",
    ];
    assert_eq!(notes.tables[1].named, expected.map(|reason| format!("items.csv:{reason}")));
    assert_eq!((notes.tables[1].repeated, notes.unlisted_items, notes.idle_users), (1, 2, 1));
    // An item whose row is bad stays, but its columns are missing.
    assert_eq!((data.items.join(" "), data.users.join(" ")), ("a b c cold".into(), "u v".into()));
    let prices = [Value::Number(1.0), Value::Missing, Value::Missing, Value::Number(3.0)];
    assert_eq!(data.item_table.columns[0].values, prices);
    assert_eq!(data.user_table.columns[0].values, [Value::Missing, Value::Number(3.0)]);
}

#[test]
fn exact_repeats_count_once() {
    let text = b"user,item,timestamp,note\nu,a,1,x\nu,a,1,x\nu,a,1,y\nu,a,2,x\nu,a,1,x\n";
    let (data, notes) = read(folder(&[("events.csv", text)]).path(), 0.0).unwrap();
    assert_eq!((data.events.len(), notes.tables[0].repeated), (3, 2));
    // Rows that differ only in an ignored column remain separate events in the prepared folder.
    let prepared = tempfile::tempdir().unwrap();
    write_tables(&data, prepared.path()).unwrap();
    let (again, notes) = read(prepared.path(), 0.0).unwrap();
    assert_eq!((again.sha256, notes.tables[0].repeated), (data.sha256, 0));
}

#[test]
fn events_order_by_time_then_item_or_as_in_the_file() {
    let order = |text: &str| {
        let data = dataset(&[("events.csv", text.as_bytes())]);
        events(&data).iter().map(|e| format!("{}{}", e.0, e.1)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(order("user,item,timestamp\n2,10,5\n2,9,5\n10,1,1\n2,3,-7\n2,007,5\n2,7,5\n"), "23 2007 27 29 210 101");
    assert_eq!(order("user,item\n2,10\n2,9\n10,1\n2,3\n"), "210 29 23 101");
    assert_eq!(order("user,item\nb,1\na,2\nb,0\n"), "a2 b1 b0");
}

#[test]
fn data_toml_renames_and_declares() {
    let toml = concat!(
        "name = \"Caf\u{e9} \\\"x\\\"\"\nlicence = \"CC0\"\ntime_unit = \"ms\"\n",
        "[columns]\nuser = \"User_ID\"\nitem = \"sku\"\ntimestamp = \"at\"\nrating = \"stars\"\ntype = \"what\"\ntitle = \"label\"\n",
        "[items.colour]\nkind = \"ignore\"\n[items.code]\nkind = \"category\"\n[items.title]\nkind = \"ignore\"\n",
        "[users.age]\nkind = \"text\"\n[context.hour]\nkind = \"number\"\n",
        "[types.buy]\nweight = 2.5\n[types.return]\npositive = false\nseen = false\n"
    );
    let files: &[(&str, &[u8])] = &[
        ("events.csv", b"User_ID,sku,at,stars,what,hour\nu,1,1500,4,buy,13\nu,2,-1,,return,\nu,3,2999,2,,7\nu,3,4000,,,7\n"),
        ("items.csv", b"sku,label,colour,code\n1,One,red,7\n2,,blue,8\n"),
        ("users.csv", b"User_ID,age\nu,44\n"),
        ("data.toml", toml.as_bytes()),
    ];
    let data = dataset(files);
    assert_eq!((data.name.as_str(), data.licence.as_deref()), ("Caf\u{e9} \"x\"", Some("CC0")));
    assert_eq!(
        events(&data),
        [
            ("u", "2", "return", None, Some(-1)),
            ("u", "1", "buy", Some(4.0), Some(1)),
            ("u", "3", "rate", Some(2.0), Some(2)),
            ("u", "3", "view", None, Some(4)),
        ]
    );
    let types: Vec<_> = data.types.iter().map(|t| (t.name.as_str(), t.positive, t.seen, t.hide, t.weight, t.trained)).collect();
    assert_eq!(
        types,
        [
            ("buy", true, true, false, 2.5, true),
            ("hide", false, true, true, 0.0, false),
            ("like", true, true, false, 1.0, false),
            ("rate", true, true, false, 1.0, true),
            ("return", false, false, false, 0.0, true),
            ("view", true, true, false, 1.0, true),
        ]
    );
    assert_eq!(data.titles, [Some("One".to_owned()), None, None]);
    assert_eq!(data.item_table.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["code"]);
    assert_eq!(data.item_table.columns[0].values[0], Value::Text("7".into()));
    assert_eq!(data.user_table.columns[0].kind, "text");
    assert_eq!(data.context_table.columns[0].values[..2], [Value::Missing, Value::Number(13.0)]);
    let prepared = tempfile::tempdir().unwrap();
    write_tables(&data, prepared.path()).unwrap();
    assert_eq!(read(prepared.path(), 0.0).unwrap().0, data);
}

#[test]
fn ids_come_back_byte_for_byte() {
    let ids = ["007", "7", "a,b", "say \"hi\"", "na\u{ef}ve \u{2602}", "<b>x</b>", "__proto__", " lead", "two\nlines", "\0"];
    let row = |id: &&str| format!("u,\"{}\"\n", id.replace('"', "\"\""));
    let data = dataset(&[("events.csv", format!("user,item\n{}", ids.iter().map(row).collect::<String>()).as_bytes())]);
    let mut sorted = ids;
    sorted.sort_unstable();
    assert_eq!(data.items, sorted);
    let prepared = tempfile::tempdir().unwrap();
    write_tables(&data, prepared.path()).unwrap();
    assert_eq!(read(prepared.path(), 0.0).unwrap().0.items, sorted);
    // Two different integers that are equal as floats.
    let lines = concat!(r#"{"user":123456789012345678901234,"item":7}"#, "\n", r#"{"user":123456789012345678901235,"item":7}"#);
    assert_eq!(dataset(&[("events.jsonl", lines.as_bytes())]).users, ["123456789012345678901234", "123456789012345678901235"]);
}

#[test]
fn the_report_escapes_and_needs_nothing_else() {
    let files: &[(&str, &[u8])] = &[
        ("events.csv", b"user,item,rating,timestamp\nu,<script>x</script>,1e308,0\nu,b,-1e308,9\n,b,1,9\nu,c,<i>,9\n"),
        ("items.csv", b"item,title,<u>\nb,<img src=x>,'\"&\n"),
        ("data.toml", b"name = '<script>y</script>'\nlicence = '<a href=z>'"),
    ];
    let (data, notes) = read(folder(files).path(), 1.0).unwrap();
    let html = data_report(&data, &notes);
    for raw in ["<script", "<img", "<a ", "<i>", "<u>", "http:", "https:", "url(", "NaN", "inf"] {
        assert!(!html.contains(raw), "{raw}");
    }
    for text in
        ["&lt;script&gt;x", "&lt;img src=x&gt;", "events.csv:4: user is empty", "items.&lt;u&gt;", "prefers-color-scheme: dark"]
    {
        assert!(html.contains(text), "{text}");
    }
}
