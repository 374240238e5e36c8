//! Tests of what is said of a data folder: tables that do not meet, ids that stand for nothing, columns that are not
//! read, and a bundle of other items.

use std::path::Path;
use std::process::Command;

use super::data::{folder, read, refused};
use super::foreign_tables::{noticed, rows};

/// Runs the command: its exit code and standard error.
fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_foretaste")).args(args).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn tables_that_do_not_meet_are_refused_with_the_cause() {
    let events = rows(20, 5, |user, event| format!("{user},{}.0\n", (user + event) % 30));
    let events = format!("user,item\n{events}");
    let items: String = (0..30).map(|item| format!("{item},t\n")).collect();
    let items = format!("item,genre\n{items}");
    let error = refused(&[("events.csv", events.as_bytes()), ("items.csv", items.as_bytes())]);
    let expected = "items of the events in items.csv: 0 of 24 (not \"0.0\" but \"0\": a join made floats of whole numbers); \
                    mend the ids, or take the table out of the folder";
    assert_eq!(error, expected);
    let users: String = (0..20).map(|user| format!("{user:04},{}\n", 20 + user)).collect();
    let users = format!("user,age\n{users}");
    let error = refused(&[("events.csv", events.as_bytes()), ("users.csv", users.as_bytes())]);
    assert!(error.starts_with("users of the events in users.csv: 0 of 20 (not \"0\" but \"0000\": leading zeros"), "{error}");

    // Few of them meet: the data is read, and the terminal says so even with --quiet.
    let files = folder(&[("events.csv", b"user,item\nu,a\nu,b\nv,c\nv,d\n"), ("items.csv", b"item,price\na,1\nx,2\n")]);
    let (_, notes) = read(files.path(), 0.0).unwrap();
    assert_eq!(notes.met[0].to_string(), "items of the events in items.csv: 1 of 4 (not \"b\")");
    let (data, out) = (files.path().to_str().unwrap(), files.path().join("out"));
    let (code, error) = run(&["prepare", "--data", data, "--out", out.to_str().unwrap(), "--quiet"]);
    assert_eq!((code, error.as_str()), (Some(0), "warning: items of the events in items.csv: 1 of 4 (not \"b\")\n"));
}

#[test]
fn what_was_read_and_how_is_said_unless_quiet() {
    let files = folder(&[
        ("events.csv", b"user;item;timestamp;note\nu;a;2022-06-24;x\nu;b;2022-06-25;y\n"),
        ("items.csv", b"item,price\na,1\nb,2\n"),
        ("users.csv", b"user,age\nu,1\nidle,2\n"),
        ("data.toml", b"[types.View]\nweight = 2"),
    ]);
    let data = files.path().to_str().unwrap();
    let out = |name: &str| files.path().join(name).to_str().unwrap().to_owned();
    let (code, said) = run(&["prepare", "--data", data, "--out", &out("a")]);
    let types = "warning: types of data.toml in the events: 0 of 1 (not \"View\" but \"view\": upper and lower case differ)";
    let expected = [
        "events.csv: fields separated by `;`",
        "events.csv: timestamps read as dates, in Unix seconds of UTC",
        "events.csv: not read: note",
        types,
        "items of the events in items.csv: 2 of 2",
        "users of the events in users.csv: 1 of 1",
        "users of users.csv without events, left out: 1",
        "items.price: number (by its values)",
        "users.age: number (by its values)",
        "users.age: no tower can use it, it has one value",
    ];
    assert_eq!((code, said.lines().collect::<Vec<_>>()), (Some(0), expected.to_vec()));
    let (_, said) = run(&["prepare", "--data", data, "--out", &out("b"), "--quiet"]);
    assert_eq!(said.trim_end(), types);
    // What `prepare` wrote has no columns that are not read.
    let (_, said) = run(&["prepare", "--data", &out("a"), "--out", &out("c")]);
    assert!(!said.contains("not read"), "{said}");
}

#[test]
fn ids_that_stand_for_a_missing_value_are_counted() {
    let events = rows(10, 4, |user, event| match (user, event) {
        (0..3, _) => format!("nan,{event}\n"),
        (9, 0) => format!("{user},NULL\n"),
        _ => format!("{user},{event}\n"),
    });
    let (data, notes) = noticed(&[("events.csv", format!("user,item\n{events}").as_bytes())]);
    let rest = "if it stands for a missing value, leave these rows out";
    let expected = [("12", "user \"nan\""), ("1", "item \"NULL\"")]
        .map(|(n, id)| format!("events.csv: {n} of 40 events have the {id}: {rest}"));
    assert_eq!(notes.warnings, expected);
    assert!(data.users.contains(&"nan".to_owned()), "an id is a text, whatever it says");
}

#[test]
fn columns_that_are_not_read_are_listed_and_their_usual_names_proposed() {
    let (_, notes) = noticed(&[
        ("events.csv", b"feedback,UserId,ItemId,Rating,Timestamp\nread,0,29,3,1701360039\nread,0,17,3,1701346872\n"),
        ("data.toml", b"[columns]\nuser = 'UserId'\nitem = 'ItemId'"),
    ]);
    assert_eq!(notes.tables[0].unread, ["feedback", "Rating", "Timestamp"]);
    let expected = [("timestamp", "Timestamp"), ("rating", "Rating"), ("type", "feedback")]
        .map(|(meaning, name)| format!("events.csv: no column `{meaning}`; data.toml may say [columns] {meaning} = {name:?}"));
    assert_eq!(notes.warnings, expected);
    let (_, notes) = noticed(&[
        ("events.tsv", b"user_id:token\titem_id:token\ttimestamp:float\n0\t29\t1701360039\n"),
        ("data.toml", b"[columns]\nuser = 'user_id:token'\nitem = 'item_id:token'"),
    ]);
    assert_eq!(notes.warnings, [expected[0].replace("csv", "tsv").replace("\"Timestamp\"", "\"timestamp:float\"")]);
    // A column with another meaning is proposed for nothing, and a declared one is not listed.
    let toml = b"[columns]\ntimestamp = 'date'\n[context.time]\nkind = 'text'\n[context.what]\nkind = 'ignore'";
    let (_, notes) = noticed(&[("events.csv", b"user,item,date,time,what\nu,a,1,x,y\n"), ("data.toml", toml)]);
    assert_eq!((notes.tables[0].unread.len(), notes.warnings.len()), (0, 0));
}

#[test]
fn one_event_is_too_few_to_learn_from() {
    let work = tempfile::tempdir().unwrap();
    let out = work.path().join("out");
    for (name, text, end) in [
        ("events.csv", "user,item,type\n3,14,rate\n3,14,rate\n", "nothing can be learnt from it"),
        (
            "events.csv",
            "user;item;rating;timestamp\n3;14;5;2022-06-24\n",
            "it (fields separated by `;`; timestamps read as dates, in Unix seconds of UTC)",
        ),
    ] {
        let files = folder(&[(name, text.as_bytes())]);
        let data = files.path().to_str().unwrap();
        for verb in ["prepare", "train"] {
            let (code, error) = run(&[verb, "--data", data, "--out", out.to_str().unwrap(), "--quiet"]);
            let error = error.trim_end();
            assert!(error.contains("events.csv: one event, 2 or more expected: ") && error.ends_with(end), "{error}");
            assert!(code == Some(1) && !out.exists());
        }
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models/tiny");
        let (code, said) = run(&["recommend", tiny.to_str().unwrap(), "--data", data, "--user", "3"]);
        assert_eq!((code, said.lines().last()), (Some(0), Some("items of the events in the catalog: 1 of 1")));
    }
}

#[test]
fn a_folder_says_which_of_its_items_a_bundle_knows() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models/tiny");
    let tiny = tiny.to_str().unwrap();
    let float = rows(4, 3, |user, event| format!("{user},{}.0\n", event + 3));
    let files = folder(&[("events.csv", format!("user,item\n{float}").as_bytes())]);
    let data = files.path().to_str().unwrap();
    let cause = "items of the events in the catalog: 0 of 3 (not \"3.0\" but \"3\": a join made floats of whole numbers)";
    for how in [&["--user", "1"][..], &["--all-users"]] {
        let (code, error) = run(&[&["recommend", tiny, "--data", data], how].concat());
        assert_eq!((code, error.trim_end()), (Some(1), format!("error: the bundle is of other items: {cause}").as_str()));
    }
    let (code, error) = run(&["evaluate", "--bundle", tiny, "--data", data, "--protocol", "p4"]);
    assert!(code == Some(1) && error.contains(cause), "{error}");
    let (code, said) = run(&["recommend", tiny, "--history", "3.0,14.0,x"]);
    let expected = "note: \"14.0\" is not in the catalog; it has no effect\n\
                    note: \"3.0\" is not in the catalog; it has no effect\n\
                    note: \"x\" is not in the catalog; it has no effect\n\
                    warning: items of the history in the catalog: 0 of 3 (not \"3.0\" but \"3\": a join made floats of whole numbers)\n";
    assert_eq!((code, said.as_str()), (Some(0), expected));

    let files = folder(&[
        ("events.csv", b"user,item,type\na,3,rate\na,14,rate\na,x,rate\nb,y,bought\n"),
        ("users.csv", b"user,Segment,age\na,student,30\nb,other,40\n"),
    ]);
    let data = files.path().to_str().unwrap();
    let (code, said) = run(&["recommend", tiny, "--data", data, "--all-users"]);
    let expected = "items of the events in the catalog: 2 of 4 (not \"x\")\n\
                    types of the events in the bundle: 1 of 2 (not \"bought\")\n\
                    warning: columns that the bundle reads of users in the users table: 1 of 2 (not \"segment\" but \
                    \"Segment\": upper and lower case differ)\n\
                    users with no item that is in the catalog: 1 of 2; their slate is that of a new visitor\n";
    assert_eq!((code, said.as_str()), (Some(0), expected));
}
