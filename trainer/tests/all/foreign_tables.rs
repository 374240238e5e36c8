//! Tests of data folders as other programs write them: columns that nothing reads, other separators, dates and parts,
//! and files that are no files.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use foretaste::features::Value;
use foretaste_trainer::data::{Dataset, Notes, write_tables};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FixedLenByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::data::{dataset, folder, gz, read, refused};

pub fn noticed(files: &[(&str, &[u8])]) -> (Dataset, Notes) {
    read(folder(files).path(), 0.0).unwrap()
}

/// Events of `users` users; `row` makes the row of a user's event.
pub fn rows(users: usize, each: usize, row: impl Fn(usize, usize) -> String) -> String {
    (0..users).flat_map(|user| (0..each).map(move |event| (user, event))).map(|(user, event)| row(user, event)).collect()
}

/// The values of a column of a Parquet table.
enum Written {
    Bytes(Vec<Vec<u8>>),
    Numbers(Vec<f64>),
    Fixed(Vec<Vec<u8>>),
}

/// A Parquet table of these columns, each with its type in the language of Parquet schemas.
fn parquet(columns: &[(&str, Written)]) -> Vec<u8> {
    let types: String = columns.iter().map(|(kind, _)| format!("required {kind};")).collect();
    let schema = parse_message_type(&format!("message table {{{types}}}")).unwrap();
    let mut out = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut out, Arc::new(schema), Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (_, values) in columns {
        let mut column = group.next_column().unwrap().unwrap();
        let bytes = |bytes: &[u8]| ByteArray::from(bytes.to_vec());
        match values {
            Written::Bytes(v) => {
                let v: Vec<ByteArray> = v.iter().map(|value| bytes(value)).collect();
                column.typed::<ByteArrayType>().write_batch(&v, None, None)
            }
            Written::Numbers(v) => column.typed::<DoubleType>().write_batch(v, None, None),
            Written::Fixed(v) => {
                let v: Vec<_> = v.iter().map(|value| bytes(value).into()).collect();
                column.typed::<FixedLenByteArrayType>().write_batch(&v, None, None)
            }
        }
        .unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    out
}

#[test]
fn a_table_with_tabs_has_no_quotes() {
    let titles: String = (0..300)
        .map(|i| match i {
            10 => "10\t\"Heroes\n".to_owned(),
            154 => "154\tTV 24\"\n".to_owned(),
            _ => format!("{i}\tTitle {i}\n"),
        })
        .collect();
    let (data, _) =
        noticed(&[("events.tsv", b"user\titem\nu\t10\nu\t154\n"), ("items.tsv", format!("item\ttitle\n{titles}").as_bytes())]);
    assert_eq!(data.items.len(), 300);
    assert_eq!([10, 154].map(|i| data.titles[i].clone().unwrap()), ["\"Heroes", "TV 24\""]);
    // In CSV the same quotes are closed 144 lines later, which is said.
    let (data, notes) = noticed(&[
        ("events.csv", b"user,item\nu,10\nu,155\n"),
        ("items.csv", format!("item,title\n{titles}").replace('\t', ",").as_bytes()),
    ]);
    assert_eq!(data.items.len(), 156);
    assert!(notes.warnings[0].starts_with("items.csv:12: a field in quotes goes over 145 lines; "), "{:?}", notes.warnings);
}

#[test]
fn columns_that_nothing_reads_refuse_nothing() {
    let ids = |with: &str| Written::Bytes((0..20).map(|i| format!("{with}{i}").into_bytes()).collect());
    let bytes = |len: usize| Written::Fixed((0..20).map(|i| vec![0xff - i; len]).collect());
    let blob = Written::Bytes((0..20).map(|i| vec![0xff - i]).collect());
    let table = parquet(&[
        ("binary user (UTF8)", ids("u")),
        ("binary item (UTF8)", ids("i")),
        ("fixed_len_byte_array(16) key (UUID)", bytes(16)),
        ("fixed_len_byte_array(5) price (DECIMAL(10, 2))", bytes(5)),
        ("fixed_len_byte_array(2) half (FLOAT16)", bytes(2)),
        ("fixed_len_byte_array(7) raw", bytes(7)),
        ("binary blob", blob),
    ]);
    let (data, notes) = noticed(&[("events.parquet", &table)]);
    assert_eq!((data.events.len(), notes.tables[0].bad), (20, 0));
    assert_eq!(notes.tables[0].unread, ["key", "price", "half", "raw", "blob"]);

    let nested = rows(1, 20, |_, i| format!("{{\"user\":\"u\",\"item\":{i},\"images\":[{{\"small\":{i}}}],\"huge\":1e999}}\n"));
    let (data, notes) = noticed(&[("events.jsonl", nested.as_bytes())]);
    assert_eq!((data.events.len(), notes.tables[0].bad, notes.tables[0].unread.join(" ")), (20, 0, "huge images".into()));
    // Events that differ in such a column alone are two.
    let two = b"{\"user\":1,\"item\":1,\"x\":{\"a\":1}}\n{\"user\":1,\"item\":1,\"x\":{\"a\":2}}\n{\"user\":1,\"item\":1,\"x\":{\"a\":2}}\n";
    assert_eq!(dataset(&[("events.jsonl", two)]).events.len(), 2);

    // In the items table, declared to be ignored or not declared at all; declared to be read, the rows are bad.
    let events: &[u8] = b"user,item\nu,0\nu,1\n";
    let items = rows(1, 20, |_, i| format!("{{\"item\":{i},\"details\":{{\"brand\":{i}}}}}\n"));
    let with = |toml: &str| {
        read(folder(&[("events.csv", events), ("items.jsonl", items.as_bytes()), ("data.toml", toml.as_bytes())]).path(), 0.0)
    };
    let (data, notes) = with("").unwrap();
    assert_eq!((data.items.len(), data.item_table.columns.len()), (20, 0));
    assert_eq!(notes.notes, ["items.details: not read, 20 of 20 filled cells are nested deeper than a list of values"]);
    assert_eq!(with("[items.details]\nkind = 'ignore'").unwrap().0.items.len(), 20);
    assert!(with("[items.details]\nkind = 'text'").unwrap_err().to_string().contains("20 of 20 rows are bad"));
}

#[test]
fn the_types_of_parquet_are_kept() {
    let items = parquet(&[
        ("binary item (UTF8)", Written::Bytes(["a", "b", "c"].map(|id| id.as_bytes().to_vec()).to_vec())),
        ("double price", Written::Numbers(vec![1.5, f64::NAN, -2.0])),
        ("double zip", Written::Numbers(vec![f64::NAN, f64::NAN, 7.0])),
        ("fixed_len_byte_array(5) cents (DECIMAL(10, 2))", Written::Fixed(vec![vec![0, 0, 0, 1, 0], vec![0xff; 5], vec![0; 5]])),
        ("fixed_len_byte_array(2) half (FLOAT16)", Written::Fixed(vec![vec![0, 0x3c], vec![1, 0x7e], vec![0, 0xc0]])),
        ("fixed_len_byte_array(16) key (UUID)", Written::Fixed(vec![(0..16).collect(), vec![0xab; 16], vec![0; 16]])),
    ]);
    let (data, notes) = noticed(&[("events.csv", b"user,item\nu,a\nu,b\nu,c\n"), ("items.parquet", &items)]);
    let column = |name: &str| data.item_table.columns.iter().find(|c| c.name == name).unwrap();
    let number = |x: f64| if x.is_nan() { Value::Missing } else { Value::Number(x) };
    for (name, expected) in [
        ("price", [1.5, f64::NAN, -2.0]),
        ("zip", [f64::NAN, f64::NAN, 7.0]),
        ("cents", [2.56, -0.01, 0.0]),
        ("half", [1.0, f64::NAN, -2.0]),
    ] {
        assert_eq!((column(name).kind, column(name).values.clone()), ("number", expected.map(number).to_vec()), "{name}");
    }
    assert_eq!(column("key").values[0], Value::Text("00010203-0405-0607-0809-0a0b0c0d0e0f".into()));
    assert_eq!(notes.warnings, [""; 0]);
    let prepared = tempfile::tempdir().unwrap();
    write_tables(&data, prepared.path()).unwrap();
    assert_eq!(read(prepared.path(), 0.0).unwrap().0.sha256, data.sha256);
}

#[test]
fn a_number_with_a_gap_is_a_number() {
    let prices: String = (0..60).map(|i| if i == 7 { "7,\u{2014}\n".to_owned() } else { format!("{i},{i}.5\n") }).collect();
    let (data, notes) =
        noticed(&[("events.csv", b"user,item\nu,1\nu,2\n"), ("items.csv", format!("item,price\n{prices}").as_bytes())]);
    assert_eq!((data.item_table.columns[0].kind, &data.item_table.columns[0].values[7]), ("number", &Value::Missing));
    assert_eq!(notes.warnings, ["items.price: 1 of 60 filled cells are no numbers and count as missing, like \"\u{2014}\""]);
}

#[test]
fn semicolons_and_dates_give_the_same_data() {
    let of = |text: &str| noticed(&[("events.csv", text.as_bytes())]);
    let (expected, notes) = of("user,item,timestamp\nu,a,1656105611\nv,b,1656028800\n");
    assert!(notes.tables[0].told.is_empty());
    let semicolons = "fields separated by `;`";
    let dates = "timestamps read as dates, in Unix seconds of UTC";
    for (text, told) in [
        ("user;item;timestamp\nu;a;1656105611\nv;b;1656028800\n", &[semicolons][..]),
        ("user;item;timestamp\nu;a;2022-06-24T23:20:11+02:00\nv;b;2022-06-24\n", &[semicolons, dates]),
        ("user,item,timestamp\nu,a,2022-06-24 21:20:11\nv,b,1656028800\n", &[dates]),
    ] {
        let (data, notes) = of(text);
        assert_eq!(
            (data.sha256, notes.tables[0].told.clone()),
            (expected.sha256.clone(), told.iter().map(|t| (*t).to_owned()).collect())
        );
    }
    let toml: &[u8] = b"time_unit = 'ms'";
    let (_, notes) = noticed(&[("events.csv", b"user,item,timestamp\nu,a,1656105611\n"), ("data.toml", toml)]);
    let expected =
        "events.csv: the last event is of 1970-01-20: data.toml says time_unit = \"ms\", but the timestamps look like seconds";
    assert_eq!(notes.warnings, [expected]);
}

#[test]
fn messages_name_the_way_out() {
    let lz4 = include_bytes!("../data/lz4.parquet");
    let cases: [(&str, &[u8], &str); 6] = [
        (
            "events.csv",
            b"196,242,3,881250949\n",
            "the first line looks like data: a header line expected, such as user,item,timestamp",
        ),
        (
            "events.csv",
            b"\"User-ID\";\"ISBN\"\n\"1\";\"2\"\n",
            "(fields separated by `;`); data.toml may say [columns] user = \"User-ID\"",
        ),
        ("events.tsv", b"\"user\"\t\"item\"\n", "a table with tabs has no quotes around names and values"),
        ("events.csv", b"user\titem\nu\ta\n", "fields are separated by commas or semicolons in .csv, by tabs in .tsv"),
        ("events.csv", b"\xff\xfeu\0s\0e\0r\0", "header line: write the file in UTF-8"),
        (
            "events.parquet",
            lz4,
            "compressed with lz4_raw; snappy, gzip, zstd and no compression are read: write it with one of them",
        ),
    ];
    for (name, bytes, expected) in cases {
        let error = refused(&[(name, bytes)]);
        assert!(error.contains(expected), "{expected:?} expected, got {error:?}");
    }
}

/// A folder of parts with these files, in a data folder.
fn parts(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let out = tempfile::tempdir().unwrap();
    fs::create_dir(out.path().join("events.parquet")).unwrap();
    files.iter().for_each(|(name, bytes)| fs::write(out.path().join("events.parquet").join(name), bytes).unwrap());
    out
}

#[test]
fn a_table_may_be_a_folder_of_parts() {
    let part = |users: &[&str], items: &[&str]| {
        let texts = |ids: &[&str]| Written::Bytes(ids.iter().map(|id| id.as_bytes().to_vec()).collect());
        parquet(&[("binary user (UTF8)", texts(users)), ("binary item (UTF8)", texts(items))])
    };
    let (one, two) = (part(&["u", "v"], &["a", "b"]), part(&["u"], &["c"]));
    let whole = dataset(&[("events.csv", b"user,item\nu,a\nv,b\nu,c\n")]);
    let files = parts(&[("part-1.parquet", &two), ("part-0.snappy.parquet", &one), (".part-0.crc", b"x"), ("_metadata", b"x")]);
    assert_eq!(read(files.path(), 0.0).unwrap().0.sha256, whole.sha256, "parts are read in the order of their names");
    let error = |files: &[(&str, &[u8])]| format!("{:#}", read(parts(files).path(), 0.0).unwrap_err());
    let single = error(&[("part-0.parquet", &one)]);
    assert!(
        single.contains("events.parquet is a folder with one part and no _SUCCESS: it may be cut off; if it is whole"),
        "{single}"
    );
    assert_eq!(read(parts(&[("part-0.parquet", &one), ("_SUCCESS", b"")]).path(), 0.0).unwrap().0.events.len(), 2);
    let other = parquet(&[("binary user (UTF8)", Written::Bytes(vec![b"u".to_vec()]))]);
    for (second, name, expected) in [
        (other.as_slice(), "part-1.parquet", "part-1.parquet: other columns than in part-0.parquet"),
        (b"PAR1", "part-1.parquet", "part-1.parquet"),
        (b"user,item\n", "part-1.csv", "part-1.csv: a part *.parquet expected"),
    ] {
        let got = error(&[("part-0.parquet", &one), (name, second)]);
        assert!(got.contains(expected), "{got}");
    }
    assert!(error(&[]).contains("no parts in it"));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_at_once() {
    let good: &[u8] = b"user,item\nu,a\nu,b\n";
    for name in ["events.csv", "events.tsv.gz", "events.jsonl", "events.parquet", "items.csv", "users.jsonl", "data.toml"] {
        for kind in ["pipe", "device", "folder", "nothing"] {
            let others = [("events.csv", good)];
            let files = folder(if name.starts_with("events") { &[] } else { &others });
            let at = files.path().join(name);
            match kind {
                "pipe" => assert!(Command::new("mkfifo").arg(&at).status().unwrap().success()),
                "device" => std::os::unix::fs::symlink("/dev/zero", &at).unwrap(),
                "folder" => fs::create_dir(&at).unwrap(),
                _ => std::os::unix::fs::symlink("nothing", &at).unwrap(),
            }
            let error = format!("{:#}", read(files.path(), 0.0).expect_err(name));
            let expected = match (kind, name) {
                ("folder", "events.parquet") => "no parts in it",
                ("folder", _) => "a regular file expected, got a folder",
                ("nothing", _) => "cannot be read",
                _ => "a regular file expected, got a pipe or a device",
            };
            assert!(error.contains(expected) && error.contains(name), "{name}, {kind}: {error}");
        }
    }
}

#[test]
fn files_without_an_end_are_refused() {
    let sparse = |name: &str| {
        let files = folder(if name == "data.toml" { &[("events.csv", b"user,item\nu,a\n")] } else { &[] });
        fs::File::create(files.path().join(name)).unwrap().set_len(1 << 36).unwrap();
        format!("{:#}", read(files.path(), 0.0).unwrap_err())
    };
    let line = "line 1: a line of more than 67108864 bytes";
    for (name, expected) in [
        ("events.csv", line),
        ("events.tsv", line),
        ("events.jsonl", line),
        ("events.parquet", "events.parquet"),
        ("data.toml", "at most 67108864 bytes"),
    ] {
        let error = sparse(name);
        assert!(error.contains(expected), "{name}: {error}");
    }
    let bomb = gz(&vec![b'x'; (64 << 20) + 1]);
    assert!(refused(&[("events.csv.gz", &bomb)]).contains(line));
}
