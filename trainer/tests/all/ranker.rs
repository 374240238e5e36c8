//! The second stage through the bundle: its graph, its tables and its place in the order.

use foretaste::bundle::{Calibration, Head, RankerSpec};
use foretaste::features::{ColumnEncoding, ColumnKind, Measure, Over, View};
use foretaste_trainer::data::{ReadOptions, read_folder};
use foretaste_trainer::evaluate::{Vectors, measure_bundle, parts};
use foretaste_trainer::export::{Contents, export};
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::ranker::{Network, Ranker, RankerLoss, RankerShape};
use foretaste_trainer::towers::Encoder;
use foretaste_trainer::training::{Config, RankerCard, RankerChoice, Run, RunRanker};
use foretaste_trainer::verify::open_bundle;

use crate::common;

fn number(name: &str, mean: f64, sd: f64) -> ColumnEncoding {
    ColumnEncoding { name: name.into(), kind: ColumnKind::Number { edges: vec![], mean, sd } }
}

/// A ranker that reads the score of retrieval, two views of items, one of them by the hour, and one of the visitor, and
/// does not move the order.
fn untrained(dim: usize, items: usize) -> RunRanker {
    let view = |name: &str, of: Over| View { name: name.into(), of, measure: Measure::Count, types: vec![], window: None };
    let spec = RankerSpec {
        candidates: 20,
        views: vec![
            view("item_count", Over::Item),
            view("by_hour", Over::ItemContext("hour".into())),
            view("user_count", Over::User),
        ],
        inputs: vec![
            number("score", 0.0, 50.0),
            number("item_count", 1.0, 1.0),
            number("by_hour", 1.0, 1.0),
            number("user_count", 1.0, 1.0),
        ],
        heads: vec![Head { name: "taken".into(), weight: 1.0, calibration: Calibration::Platt(1.0, 0.0) }],
    };
    let slots = spec.inputs.iter().map(ColumnEncoding::width).sum();
    let shape = RankerShape { network: Network::Dcn, dim, slots, heads: 1 };
    let rotation = (0..dim * dim).map(|at| if at / dim == at % dim { 1.0 } else { 0.0 }).collect();
    RunRanker {
        ranker: Ranker::start(shape, Some((1, 50.0)), 7),
        card: RankerCard { shape, loss: RankerLoss::Listwise, spec, ece: 0.0, reliability: vec![], importances: vec![] },
        rotation,
        values: vec![
            (0..items).map(|item| if item % 3 == 0 { f32::NAN } else { item as f32 }).collect(),
            (0..items * 24).map(|at| at as f32).collect(),
        ],
    }
}

#[test]
fn a_shipped_ranker_orders_the_candidates() {
    let folder = tempfile::tempdir().unwrap();
    let data = common::generated(folder.path(), 120, 60, 3000);
    let split = Split::of(&data, Protocol::P3, None).unwrap();
    let config = Config { encoder: Some(Encoder::Pools), max_epochs: 3, rating_weight: 0.0, ..common::small() };
    let mut run = common::trained(&data, &split, &config, folder.path());
    let figures = |run: &Run, name: &str| {
        let bundle = folder.path().join(name);
        export(run, &bundle, Contents::default()).unwrap();
        let recommender = open_bundle(&bundle).unwrap();
        if let Some(features) = &recommender.bundle().features {
            let value = |view: usize, slot: usize| features.value(view, 7, slot);
            assert_eq!([value(0, 0), value(1, 0), value(1, 23), value(1, 24)], [Some(7.0), Some(168.0), Some(191.0), None]);
        }
        let names: Vec<&str> = parts(&recommender, Protocol::P3).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.contains(&"retrieval"), run.ranker.is_some());
        let of = |vectors| measure_bundle(&recommender, &data, &split, vectors).unwrap().values["ndcg@10"].clone();
        [of(Vectors::Shipped), of(Vectors::Retrieval)]
    };
    let [before, alone] = figures(&run, "none");
    assert_eq!(before, alone, "there is no ranker");
    let mut ranker = untrained(config.dim, data.items.len());
    run.card.ranker = Some(ranker.card.clone());
    run.ranker = Some(ranker.clone());
    let [with, retrieval] = figures(&run, "untrained");
    assert_eq!(retrieval, before);
    let moved = with.iter().zip(&before).filter(|(a, b)| a != b).count();
    assert!(moved * 20 < with.len(), "{moved} of {} lists have moved, more than near-ties", with.len());
    // The linear part of the score turned round reverses the candidates.
    ranker.ranker = Ranker::start(ranker.card.shape, Some((1, -50.0)), 7);
    run.ranker = Some(ranker);
    let [reversed, _] = figures(&run, "reversed");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(mean(&reversed) < 0.8 * mean(&before), "{} {}", mean(&reversed), mean(&before));
}

#[test]
fn a_training_with_a_ranker_is_whole_and_repeatable() {
    let folder = tempfile::tempdir().unwrap();
    common::generated(folder.path(), 80, 60, 2000);
    // Beside the default views, what only a ranker reads.
    let path = folder.path().join("data/data.toml");
    let declared = "[features.week]\ncyclic = 'week'\n[features.both]\ncross = ['category', 'hour']\n\
                    [features.placed]\ncross = ['segment', 'place']\n";
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + declared).unwrap();
    let options = ReadOptions { quiet: true, ..ReadOptions::default() };
    let data = read_folder(&folder.path().join("data"), &options).unwrap();
    let split = Split::of(&data, Protocol::P3, None).unwrap();
    let config = Config {
        encoder: Some(Encoder::Pools),
        max_epochs: 4,
        rating_weight: 0.0,
        ranker: RankerChoice::Auto,
        ..common::small()
    };
    let run = common::trained(&data, &split, &config, folder.path());
    assert_eq!(Run::load(&folder.path().join("run")).unwrap().card, run.card);
    let again = tempfile::tempdir().unwrap();
    common::trained(&data, &split, &config, again.path());
    for file in ["run/run.json", "run/towers.safetensors", "bundle/manifest.json"] {
        let [one, two] = [&folder, &again].map(|folder| std::fs::read(folder.path().join(file)).unwrap());
        assert!(one == two, "{file}");
    }
    let recommender = open_bundle(&folder.path().join("bundle")).unwrap();
    assert_eq!(recommender.bundle().manifest.ranker, run.card.ranker.map(|card| card.spec));
}
