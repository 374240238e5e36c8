//! Vector columns in any units: a column of items that comes first, with cells that are missing, and a column of users.

use std::fmt::Write;
use std::path::Path;

use foretaste::Recommender;
use foretaste::features::{Fields, Value};
use foretaste_trainer::data::{Dataset, ReadOptions, read_folder};
use foretaste_trainer::evaluate::{Vectors, measure_bundle};
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::random::mix;
use foretaste_trainer::towers::Scales;
use foretaste_trainer::training::{Config, Run};
use foretaste_trainer::verify::open_bundle;

use crate::common;

const ITEMS: u64 = 60;
const USERS: u64 = 120;

fn config() -> Config {
    Config { rating_weight: 0.0, max_epochs: 4, ..common::small() }
}

/// A number from −2 to 2 in eighths, so that powers of two scale it without rounding.
fn eighth(seed: u64, i: u64) -> f64 {
    (mix(seed, i) % 33) as f64 / 8.0 - 2.0
}

fn cell(seed: u64, dim: u64, units: f64, origin: f64) -> String {
    let numbers: Vec<String> = (0..dim).map(|k| (eighth(seed, k) * units + origin).to_string()).collect();
    format!("[{}]", numbers.join(" "))
}

/// Two tastes: items of one parity. The first number of an item's vector tells its parity.
fn data(folder: &Path, units: f64, origin: f64) -> Dataset {
    std::fs::create_dir_all(folder).unwrap();
    let (mut events, mut items, mut users) =
        ("user,item,timestamp\n".to_owned(), "item,look\n".to_owned(), "user,taste\n".to_owned());
    for item in 0..ITEMS {
        let side = (if item % 2 == 0 { 2.0 } else { -2.0 }) * units + origin;
        let rest = cell(item, 3, units, origin).replacen('[', &format!("[{side} "), 1);
        _ = writeln!(items, "{item},{}", if item % 10 == 9 { "" } else { &rest });
    }
    for user in 0..USERS {
        _ = writeln!(users, "{user},{}", cell(1000 + user, 2, units, origin));
        for i in 0..12 {
            let other = u64::from(mix(user, i).is_multiple_of(10));
            let item = (mix(user, 100 + i) % (ITEMS / 2) * 2 + user + other) % ITEMS;
            _ = writeln!(events, "{user},{item},{}", 1_700_000_000 + user * 1000 + i * 90);
        }
    }
    let declared = "[items.look]\nkind = 'vector'\n[users.taste]\nkind = 'vector'\n".to_owned();
    for (name, text) in [("events.csv", events), ("items.csv", items), ("users.csv", users), ("data.toml", declared)] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    read_folder(folder, &ReadOptions { quiet: true, ..ReadOptions::default() }).unwrap()
}

fn trained(folder: &Path, units: f64, origin: f64) -> (Run, Recommender) {
    let data = data(&folder.join("data"), units, origin);
    let run = common::trained(&data, &Split::of(&data, Protocol::All, None).unwrap(), &config(), folder);
    (run, open_bundle(&folder.join("bundle")).unwrap())
}

#[test]
fn the_units_of_a_vector_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |name: &str, units| {
        let (run, recommender) = trained(&folder.path().join(name), units, 0.0);
        let items = recommender.bundle().manifest.files_of("items").map(|file| file.sha256.clone()).collect::<Vec<_>>();
        (items, run.items.numbers, run.user.numbers)
    };
    let one = rows("a", 1.0);
    assert_eq!(rows("b", 1024.0), one);
    assert_eq!(rows("c", 1048576.0), one);
    assert_eq!(rows("d", 1.0 / 1024.0), one);
}

/// `export` has compared the rows with the graph. Here the graph is asked for what no row of the catalog has.
#[test]
fn graphs_read_raw_vectors_and_know_a_missing_one() {
    let folder = tempfile::tempdir().unwrap();
    let (run, recommender) = trained(folder.path(), 3.0, 1000.0);
    let (encoding, scales) = (&run.card.encoding, &run.card.scales);
    assert_eq!((scales.items.len(), scales.context.len()), (1, 1));
    let expected = |fields: &Fields| {
        let mut bag = encoding.encode_item(fields).unwrap();
        scales.item_slots(encoding).apply(&mut bag);
        run.items.forward(&[0], [&bag])
    };
    let look = |numbers: [f64; 4]| Fields::from([("look".to_owned(), Value::Vector(numbers.to_vec()))]);
    let vectors = [Fields::new(), look([1000.0; 4]), look([0.0, 1.0, 2.0, 3.0]), look([0.0; 4]), look([994.0, 1003.0, 0.0, 1e4])];
    for fields in &vectors {
        let (vector, bias) = recommender.item_vector(fields).unwrap();
        let (wanted, wanted_bias) = expected(fields);
        let close = |a: f32, b: f32| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
        assert!(vector.iter().zip(&wanted).all(|(a, b)| close(*a, *b)) && close(bias, wanted_bias[0]), "{fields:?}");
    }
    let (missing, zero) = (recommender.item_vector(&vectors[0]).unwrap(), recommender.item_vector(&vectors[3]).unwrap());
    assert_ne!(missing, zero, "a vector of zeros is not a missing one");
}

/// What a vector tells helps with items that nobody had, in whatever units it stands.
#[test]
fn new_items_are_known_by_their_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let quality = |name: &str, units, origin| {
        let at = folder.path().join(name);
        let data = data(&at.join("data"), units, origin);
        let split = Split::of(&data, Protocol::Cold, None).unwrap();
        common::trained(&data, &split, &config(), &at);
        let figures = measure_bundle(&open_bundle(&at.join("bundle")).unwrap(), &data, &split, Vectors::Shipped).unwrap();
        let values = &figures.values[&Protocol::Cold.goal().name()];
        values.iter().sum::<f64>() / values.len() as f64
    };
    let plain = quality("plain", 1.0, 0.0);
    for (name, units, origin) in [("large", 1e6, 0.0), ("far", 1.0, 1000.0), ("small", 1e-6, 1.0)] {
        let found = quality(name, units, origin);
        assert!((found - plain).abs() < 0.1, "{name}: {found} beside {plain}");
    }
}

#[test]
fn a_run_without_scales_reads_vectors_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) = trained(folder.path(), 1.0, 0.0);
    let card = folder.path().join("run/run.json");
    let mut older: serde_json::Value = serde_json::from_slice(&std::fs::read(&card).unwrap()).unwrap();
    older.as_object_mut().unwrap().remove("scales").unwrap();
    std::fs::write(&card, older.to_string()).unwrap();
    let older = Run::load(&folder.path().join("run")).unwrap();
    assert_eq!(older.card.scales, Scales::default());
    assert_ne!(older.rows(), run.rows());
    foretaste_trainer::export::export(&older, &folder.path().join("older"), Default::default()).unwrap();
}
