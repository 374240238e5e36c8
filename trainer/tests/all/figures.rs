//! The figures on MovieLens 100K. `make test-all` downloads the data and sets FORETASTE_ML_100K to its folder. Takes
//! about twenty minutes.

use std::path::{Path, PathBuf};
use std::process::Command;

use foretaste::features::Fields;
use foretaste::profile::Event;
use foretaste::{Recommender, VisitorState};
use foretaste_trainer::baselines;
use foretaste_trainer::data::{Dataset, ReadOptions, context_of, event_of, read_folder};
use foretaste_trainer::evaluate::{Vectors, measure_bundle};
use foretaste_trainer::export::{Contents, export};
use foretaste_trainer::measure::{Figures, measure};
use foretaste_trainer::protocols::{Protocol, Split, write_split};
use foretaste_trainer::towers::Encoder;
use foretaste_trainer::training::{Config, TrainOptions, replay, train};
use foretaste_trainer::verify::{open_bundle, read_bundle};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn folder() -> PathBuf {
    std::env::var_os("FORETASTE_ML_100K").expect("FORETASTE_ML_100K names no folder: run `make test-all`").into()
}

fn data() -> Dataset {
    read_folder(&folder(), &ReadOptions { quiet: true, ..ReadOptions::default() }).unwrap()
}

fn experiment(protocol: &str, more: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foretaste"));
    command.args(["experiment", "--quiet", "--json", "--baselines", "all", "--protocol", protocol, "--data"]);
    let out = command.arg(folder()).args(more).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn mean(report: &Value, model: &str, metric: &str) -> f64 {
    report["models"][model][metric]["mean"].as_f64().unwrap()
}

#[test]
#[ignore = "needs MovieLens 100K: make test-all"]
fn splits_have_their_hashes() {
    let data = data();
    for (protocol, expected) in [
        (Protocol::P1, "a31c9306bf3f062d9b2729335df6726182e2755ee389ffe8394c9678ebba5080"),
        (Protocol::P3, "37b4f19e4584fc7d93bfb49af7ab649a43040b0f32c4e6fe3e09c213cec89f58"),
        (Protocol::P4, "ebb337f3113523ba8da9d83ee52ce528e985d640039fdc2c323fe706efce925c"),
    ] {
        let mut file = Vec::new();
        write_split(&data, protocol, 0, &mut file).unwrap();
        let got: String = Sha256::digest(&file).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(got, expected, "{}", protocol.name());
    }
}

#[test]
#[ignore = "needs MovieLens 100K: make test-all"]
fn p4_beats_every_peer_and_baselines_are_those_of_the_peers() {
    let report = experiment("p4", &[]);
    assert!(mean(&report, "foretaste", "recall@20") >= 0.30 && mean(&report, "foretaste", "ndcg@100") >= 0.39, "{report}");
    assert!(report["seconds"]["train"].as_f64().unwrap() < 120.0, "{report}");
    for (model, expected) in [
        ("popularity", [0.128, 0.201, 0.074]),
        ("item-knn", [0.228, 0.316, 0.146]),
        ("ials", [0.243, 0.332, 0.171]),
        ("ease", [0.245, 0.339, 0.175]),
        ("ease-rec", [0.290, 0.378, 0.242]),
    ] {
        for (metric, expected) in ["recall@20", "ndcg@100", "next_hr@10"].iter().zip(expected) {
            let got = mean(&report, model, metric);
            assert!((got - expected).abs() <= 0.01, "{model} {metric}: expected {expected}, got {got}");
        }
    }
}

#[test]
#[ignore = "needs MovieLens 100K: make test-all"]
fn p3_reaches_a_fifth() {
    let report = experiment("p3", &[]);
    assert!(mean(&report, "foretaste", "hr@10") >= 0.20, "{report}");
    for (model, expected) in [
        ("popularity", [0.050, 0.025]),
        ("item-knn", [0.077, 0.036]),
        ("ials", [0.095, 0.044]),
        ("ease", [0.086, 0.039]),
        ("ease-rec", [0.142, 0.077]),
    ] {
        for (metric, expected) in ["hr@10", "ndcg@10"].iter().zip(expected) {
            let got = mean(&report, model, metric);
            assert!((got - expected).abs() <= 0.01, "{model} {metric}: expected {expected}, got {got}");
        }
    }
}

#[test]
#[ignore = "needs MovieLens 100K: make test-all"]
fn p1_is_as_good_as_the_best_factorisation() {
    let report = experiment("p1", &[]);
    assert!(mean(&report, "foretaste", "rm@10") >= 0.175 && mean(&report, "foretaste", "rm@100") >= 0.64, "{report}");
    for (model, expected) in
        [("popularity", [0.089, 0.410]), ("bpr", [0.151, 0.608]), ("ials", [0.171, 0.631]), ("ease", [0.174, 0.625])]
    {
        for (metric, expected) in ["rm@10", "rm@100"].iter().zip(expected) {
            let got = mean(&report, model, metric);
            assert!((got - expected).abs() <= 0.01, "{model} {metric}: expected {expected}, got {got}");
        }
    }
}

/// The bundle's predicted ratings have a lower RMSE than random guesses, means and biases.
#[test]
#[ignore = "needs MovieLens 100K: make test-all"]
fn p2_rates_better_than_biases() {
    let report = experiment("p2", &[]);
    let rmse = |model: &str| mean(&report, model, "rmse");
    assert!(rmse("foretaste") < 0.90, "{report}");
    for model in ["random", "weighted", "majority", "mean", "user-mean", "item-mean", "bias", "item-knn"] {
        assert!(rmse("foretaste") < rmse(model), "{model}: {report}");
    }
    assert!((rmse("bias") - 0.939).abs() < 0.005, "{report}");
}

/// The frozen bundle on events after the split time, for users in the training data and for new users.
#[test]
#[ignore = "needs MovieLens 100K: make test-all"]
fn p5_beats_every_peer() {
    let report = experiment("p5", &[]);
    for metric in ["hr@10", "ndcg@10", "hr@10_new", "hr@10_known"] {
        let ours = mean(&report, "foretaste", metric);
        for peer in ["popularity", "popularity-decayed", "ease-rec", "bpr", "ials"] {
            assert!(ours > 1.2 * mean(&report, peer, metric), "{metric} {peer}: {report}");
        }
    }
    assert_eq!(mean(&report, "foretaste", "unknown_targets"), 128.0);
}

fn scores(recommender: &Recommender, history: &[Event], context: &Fields) -> Vec<f32> {
    let query = VisitorState { history, context, time: None, tz_offset_min: None };
    recommender.scores(&recommender.user(&recommender.encode(&query).unwrap()).unwrap())
}

/// Order, ratings and context change the scores. With masked ids, the recall is at least three times that of a random
/// ranking.
#[test]
#[ignore = "needs MovieLens 100K: make test-all"]
fn the_towers_are_towers() {
    let data = data();
    let split = Split::of(&data, Protocol::P4, Some(0)).unwrap();
    let work = tempfile::tempdir().unwrap();
    let options = TrainOptions { quiet: true, ..TrainOptions::default() };
    let run = train(&data, &split, &Config::of(Protocol::P4), 0, &work.path().join("run"), options).unwrap();
    export(&run, &work.path().join("bundle"), Contents::default()).unwrap();
    let recommender = open(&work.path().join("bundle"));

    let recall = |figures: Figures| figures.values["recall@20"].iter().sum::<f64>() / figures.values["recall@20"].len() as f64;
    let masked = recall(measure_bundle(&recommender, &data, &split, Vectors::MaskedIds).unwrap());
    let random = baselines::fit("random", &data, &split).unwrap();
    let random = recall(measure(&data, &split, &split.test, |q| Ok(random.scores(q))).unwrap());
    assert!(masked >= 3.0 * random, "masked {masked}, random {random}");

    let (mut lower, mut histories, mut other_order, mut other_hour) = (0, 0, 0, 0);
    for query in split.test.iter().chain(&split.valid).take(100) {
        let mut history: Vec<Event> = query.history.iter().map(|e| event_of(&data, e)).collect();
        let context = context_of(&data, query.user as usize, &recommender.bundle().manifest.encoding);
        let plain = scores(&recommender, &history, &context);
        let reversed: Vec<Event> = history.iter().rev().cloned().collect();
        other_order += i32::from(scores(&recommender, &reversed, &context) != plain);
        let mut at_night = context.clone();
        at_night.insert("hour".into(), foretaste::features::Value::Number(3.0));
        let mut at_noon = context.clone();
        at_noon.insert("hour".into(), foretaste::features::Value::Number(12.0));
        other_hour += i32::from(scores(&recommender, &history, &at_night) != scores(&recommender, &history, &at_noon));
        let last = history.len() - 1;
        let near = recommender.similar(&history[last].item, 10).unwrap();
        let mut near_score = |rating: f64| {
            history[last].value = Some(rating);
            let scores = scores(&recommender, &history, &context);
            near.iter().map(|i| scores[recommender.bundle().catalog.row(&i.id).unwrap() as usize]).sum::<f32>()
        };
        let (liked, disliked) = (near_score(5.0), near_score(1.0));
        lower += i32::from(disliked < liked);
        histories += 1;
    }
    println!("masked ids {masked:.4}, random {random:.4}; of {histories}: lower {lower}, order {other_order}, hour {other_hour}");
    assert_eq!((histories, other_order, other_hour), (100, 100, 100));
    assert!(lower > 50, "{lower} of {histories} fell");
}

fn open(folder: &Path) -> Recommender {
    open_bundle(folder).unwrap()
}

/// The bundle needs no training: what a visitor's values are made of is in the encoding and the catalog.
#[test]
#[ignore = "needs MovieLens 100K: make test-all"]
fn a_page_reads_what_the_trainer_reads_of_every_user() {
    let (data, folder) = (data(), tempfile::tempdir().unwrap());
    let split = Split::of(&data, Protocol::All, None).unwrap();
    let config = Config { encoder: Some(Encoder::Pools), max_epochs: 1, ..Config::default() };
    let run = train(&data, &split, &config, 0, folder.path(), TrainOptions { quiet: true, ..TrainOptions::default() }).unwrap();
    let bundle = folder.path().join("bundle");
    export(&run, &bundle, Contents::default()).unwrap();
    let found = replay(read_bundle(&bundle).unwrap(), &data, 1, |_| Ok(())).unwrap();
    println!("{} values at {} moments of {} visitors", found.values, found.moments, found.visitors);
    assert_eq!((found.differences, found.visitors), (0, 943), "{:?}", found.named);
    assert!(found.moments > 100_000);
}
