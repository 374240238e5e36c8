//! Tests of the way from events to figures, on generated data: trainings are reproducible and resumable, and the
//! evaluation reads the bundle.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use foretaste::bundle::{Manifest, sha256_hex};
use foretaste::features::{Fields, Value};
use foretaste::{Recommender, VisitorState};
use foretaste_trainer::baselines;
use foretaste_trainer::data::{Dataset, ReadOptions, context_of, event_of, read_folder};
use foretaste_trainer::evaluate::{Vectors, check_fits, measure_bundle};
use foretaste_trainer::export::{Contents, export};
use foretaste_trainer::factors::Factors;
use foretaste_trainer::measure::{Figures, measure, measure_ratings, validation_quality};
use foretaste_trainer::metrics;
use foretaste_trainer::neighbours::Family;
use foretaste_trainer::protocols::{self, Protocol, Split};
use foretaste_trainer::training::{Config, NeighbourChoice, Run, Space, TrainOptions, search, train};
use foretaste_trainer::verify::open_bundle;
use tempfile::TempDir;

use crate::common;

/// Generated data, and a bundle for fold 0 of P4.
struct Fixture {
    folder: TempDir,
    data: Dataset,
    split: Split,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let data = common::generated(folder.path(), 400, 200, 20_000);
        let split = Split::of(&data, Protocol::P4, Some(0)).unwrap();
        common::trained(&data, &split, &common::small(), folder.path());
        Fixture { folder, data, split }
    })
}

fn open(folder: &Path) -> Recommender {
    open_bundle(folder).unwrap()
}

fn mean(figures: &Figures, metric: &str) -> f64 {
    let values = &figures.values[metric];
    values.iter().sum::<f64>() / values.len() as f64
}

/// The content of every file, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entry = |e: std::io::Result<fs::DirEntry>| {
        let e = e.unwrap();
        (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())
    };
    fs::read_dir(folder).unwrap().map(entry).collect()
}

#[test]
fn beats_popularity_and_masked_ids_beat_random() {
    let f = fixture();
    let recommender = open(&f.folder.path().join("bundle"));
    check_fits(&recommender, &f.data, &f.split).unwrap();
    let [shipped, float, masked] = [Vectors::Shipped, Vectors::Float, Vectors::MaskedIds]
        .map(|v| measure_bundle(&recommender, &f.data, &f.split, v).unwrap());
    let baseline = |name| {
        let model = baselines::fit(name, &f.data, &f.split).unwrap();
        measure(&f.data, &f.split, &f.split.test, |q| Ok(model.scores(q))).unwrap()
    };
    let (popularity, random) = (baseline("popularity"), baseline("random"));
    let ndcg = |figures| mean(figures, "ndcg@100");
    assert!(ndcg(&shipped) > ndcg(&popularity) + 0.02, "{} against {}", ndcg(&shipped), ndcg(&popularity));
    assert!((ndcg(&shipped) - ndcg(&float)).abs() < 0.01, "int8 {} float {}", ndcg(&shipped), ndcg(&float));
    // In a catalog this small a random list of a hundred items hits half of all targets, so the margin is small.
    // `figures.rs` asks for three times the recall of a random list.
    assert!(ndcg(&masked) > ndcg(&random) + 0.1, "{} against {}", ndcg(&masked), ndcg(&random));
}

/// The bundle and the unquantised vectors both find hidden events and predict their ratings.
#[test]
fn predicts_the_ratings_of_hidden_events() {
    let folder = tempfile::tempdir().unwrap();
    let data = common::generated(folder.path(), 300, 100, 12_000);
    let split = Split::of(&data, Protocol::P2, None).unwrap();
    let config = Config { held_out: 0.3, weight_decay: 0.5, max_epochs: 40, ..common::small() };
    let run = common::trained(&data, &split, &config, folder.path());
    assert!(run.card.metrics.contains_key("valid_rmse"));
    let recommender = open(&folder.path().join("bundle"));
    let rmse = |vectors| mean(&measure_bundle(&recommender, &data, &split, vectors).unwrap(), "rmse");
    let (shipped, float) = (rmse(Vectors::Shipped), rmse(Vectors::Float));
    assert!((shipped - float).abs() < 0.01, "{shipped} {float}");
    for name in ["random", "weighted", "majority", "mean", "item-mean", "user-mean"] {
        let model = baselines::ratings::fit(name, &data, &split).unwrap();
        let other = mean(&measure_ratings(&data, &split.test, |q| Ok(model.predict(q))).unwrap(), "rmse");
        assert!(shipped < other, "{shipped}, {name} {other}");
    }

    let none = Config { rating_weight: 0.0, ..config };
    let refused =
        train(&data, &split, &none, 0, &folder.path().join("none"), TrainOptions { quiet: true, ..TrainOptions::default() });
    assert!(refused.unwrap_err().to_string().contains("rating_weight"));
}

#[test]
fn a_bundle_of_another_split_is_refused() {
    let f = fixture();
    let recommender = open(&f.folder.path().join("bundle"));
    for (protocol, fold) in [(Protocol::P4, Some(1)), (Protocol::P3, None), (Protocol::All, None)] {
        let split = Split::of(&f.data, protocol, fold).unwrap();
        assert!(check_fits(&recommender, &f.data, &split).unwrap_err().to_string().contains("p4 fold 0"));
    }
    let other = Dataset { sha256: "0".repeat(64), ..f.data.clone() };
    assert!(check_fits(&recommender, &other, &f.split).unwrap_err().to_string().contains("other data"));
}

/// The figures are computed from the bundle's files: setting a dimension to zero, with a new hash, changes them.
#[test]
fn figures_follow_the_bundle() {
    let f = fixture();
    let changed = f.folder.path().join("changed");
    fs::create_dir_all(&changed).unwrap();
    let mut files = files(&f.folder.path().join("bundle"));
    let mut manifest: Manifest = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let entry = manifest.files.iter_mut().find(|f| f.role == "items").unwrap();
    let bytes = files.get_mut(&entry.path).unwrap();
    let (start, len) = {
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let tensors = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let vectors = tensors.tensor("vectors").unwrap();
        let offset = vectors.data().as_ptr() as usize - bytes.as_ptr() as usize;
        assert!(offset >= 8 + header);
        (offset, vectors.data().len())
    };
    bytes[start..start + len].iter_mut().step_by(manifest.dim).for_each(|b| *b = 0);
    entry.sha256 = sha256_hex(bytes);
    files.insert("manifest.json".into(), serde_json::to_vec(&manifest).unwrap());
    files.iter().for_each(|(name, bytes)| fs::write(changed.join(name), bytes).unwrap());
    let figures = |folder: &Path| measure_bundle(&open(folder), &f.data, &f.split, Vectors::Shipped).unwrap();
    assert_ne!(figures(&f.folder.path().join("bundle")), figures(&changed));
}

/// Changing a rating from 5 to 1 lowers the mean score of the ten items nearest to the rated one. The context changes
/// the scores, and each of its fields may be missing.
#[test]
fn ratings_and_context_act() {
    let f = fixture();
    let recommender = open(&f.folder.path().join("bundle"));
    let (mut lower, mut histories) = (0, 0);
    for query in f.split.test.iter().filter(|q| q.history.len() > 3) {
        let mut history: Vec<_> = query.history.iter().map(|e| event_of(&f.data, e)).collect();
        let full = context_of(&f.data, query.user as usize, &recommender.bundle().manifest.encoding);
        let scores = |history: &[foretaste::profile::Event], context: &Fields| {
            let query = VisitorState { history, context, time: None, tz_offset_min: None };
            recommender.scores(&recommender.user(&recommender.encode(&query).unwrap()).unwrap())
        };
        let last = history.len() - 1;
        let near = recommender.similar(&history[last].item, 10).unwrap();
        let rows: Vec<usize> = near.iter().map(|i| recommender.bundle().catalog.row(&i.id).unwrap() as usize).collect();
        let mut near_score = |rating: f64| {
            history[last].value = Some(rating);
            let scores = scores(&history, &full);
            rows.iter().map(|row| scores[*row]).sum::<f32>()
        };
        lower += i32::from(near_score(1.0) < near_score(5.0));
        histories += 1;
        let none = Fields::new();
        assert_ne!(scores(&history, &full), scores(&history, &none));
        for name in full.keys() {
            let mut part = full.clone();
            part.insert(name.clone(), Value::Missing);
            assert!(scores(&history, &part).iter().all(|s| s.is_finite()));
        }
    }
    assert!(histories > 20 && lower * 3 > histories * 2, "{lower} of {histories} fell");
}

#[test]
fn equal_seeds_give_equal_bytes_and_another_seed_another_bundle() {
    let f = fixture();
    let again = tempfile::tempdir().unwrap();
    let options = ReadOptions { quiet: true, in_memory: 0, ..ReadOptions::default() };
    let data = read_folder(&f.folder.path().join("data"), &options).unwrap();
    let split = Split::of(&data, Protocol::P4, Some(0)).unwrap();
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(|| {
        common::trained(&data, &split, &common::small(), again.path());
    });
    let same = files(&again.path().join("bundle")) == files(&f.folder.path().join("bundle"));
    assert!(same, "one thread, and all; events in a file, and in memory");
}

/// Items that start from a factorisation and are frozen keep its vectors up to a factor. Items that are not frozen move
/// away from them.
#[test]
fn items_start_from_a_factorisation_and_stay_where_they_are_frozen() {
    let f = fixture();
    for start in [Factors::Svd, Factors::Ials, Factors::Ease] {
        let run = |frozen: bool| {
            let work = tempfile::tempdir().unwrap();
            let config = Config { start: Some(start), frozen, max_epochs: 1, ..common::small() };
            train(&f.data, &f.split, &config, 1, work.path(), TrainOptions { quiet: true, ..TrainOptions::default() }).unwrap()
        };
        let (frozen, free) = (run(true), run(false));
        let d = frozen.items.dim;
        let factors =
            start.vectors(f.data.items.len(), &f.split, f.split.fitted(), d, &validation_quality(&f.data, &f.split)).unwrap();
        assert_eq!(factors.len(), f.data.items.len() * d);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let cosine = |run: &Run| {
            // The id table comes first. Its row 0 stands for unknown items.
            let own: Vec<f64> = run.items.numbers[d..][..factors.len()].iter().map(|x| f64::from(*x)).collect();
            dot(&own, &factors) / (dot(&own, &own) * dot(&factors, &factors)).sqrt()
        };
        assert!((cosine(&frozen) - 1.0).abs() < 1e-6, "{start:?}: {}", cosine(&frozen));
        assert!((0.3..0.99999).contains(&cosine(&free)), "{start:?}: {}", cosine(&free));
    }
}

/// The neighbours are the best ones on validation, of the family that the settings ask for. The bundle reaches the
/// validation figure by which they were chosen, a rerun gives the same bytes, and without entries there are none.
#[test]
fn neighbours_count_for_their_share() {
    let folder = tempfile::tempdir().unwrap();
    let data = common::generated(folder.path(), 300, 150, 12_000);
    let split = Split::of(&data, Protocol::P3, None).unwrap();
    for neighbours in [NeighbourChoice::Graph, NeighbourChoice::Ease] {
        let config = Config { neighbours, rating_weight: 0.0, ..common::small() };
        let run = common::trained(&data, &split, &config, folder.path());
        assert_eq!(Run::load(&folder.path().join("run")).unwrap(), run);
        let recommender = open(&folder.path().join("bundle"));
        let settings = run.card.neighbours.as_ref().expect("neighbours are better than none");
        assert_eq!(recommender.bundle().manifest.neighbours.as_ref(), Some(&settings.weights));
        assert_eq!(matches!(settings.learnt, Family::Ease { .. }), neighbours == NeighbourChoice::Ease);
        let sizes = |role: &str| recommender.bundle().manifest.files_of(role).map(|file| file.bytes).sum::<u64>();
        assert!(sizes("neighbours") <= sizes("items"));
        let without = folder.path().join("without");
        export(&run, &without, Contents { neighbours: Some(0), ..Contents::default() }).unwrap();
        let features = open(&without).bundle().manifest.features.clone();
        assert!(features.required.iter().all(|name| name != "neighbours"));
        let ndcg = |query: &protocols::Query| {
            let history: Vec<_> = query.history.iter().map(|e| event_of(&data, e)).collect();
            let context = context_of(&data, query.user as usize, &run.card.encoding);
            let request = VisitorState { history: &history, context: &context, time: None, tz_offset_min: None };
            let user = recommender.user(&recommender.encode(&request).unwrap()).unwrap();
            let ranks =
                metrics::ranks(&recommender.scores(&user), query.universe(&data.in_events), &query.removed, &query.targets);
            metrics::ndcg(&ranks, 100)
        };
        let shipped = split.valid.iter().map(ndcg).sum::<f64>() / split.valid.len() as f64;
        let (chosen, alone) =
            (run.card.metrics["valid_ndcg@100"], run.card.curve.iter().filter_map(|e| e.valid).fold(0.0, f64::max));
        assert!((shipped - chosen).abs() < 0.002, "{shipped} {chosen}");
        assert!(chosen > alone && run.card.metrics["neighbours_share"] > 0.0, "{chosen} {alone}");
    }
}

/// The exposure curve of a report starts with the figures of the unchanged bundle; along the curve, more of the tail is
/// shown.
#[test]
fn the_exposure_curve_goes_on_from_the_figures() {
    let f = fixture();
    let work = tempfile::tempdir().unwrap();
    let page = work.path().join("page.html");
    let evaluate = |more: &[&str]| -> serde_json::Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foretaste"));
        command.args(["evaluate", "--protocol", "p4", "--fold", "0", "--json=-", "--bundle"]).arg(f.folder.path().join("bundle"));
        let output = command.arg("--data").arg(f.folder.path().join("data")).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert!(evaluate(&[]).get("exposure_curve").is_none(), "nobody asked");
    let report = evaluate(&["--report", page.to_str().unwrap()]);
    let curve = report["exposure_curve"].as_array().unwrap();
    let number = |i: usize, name: &str| curve[i][name].as_f64().unwrap();
    assert_eq!((curve.len(), number(0, "boost")), (6, 0.0));
    let (as_it_is, tail) = (&report["models"]["foretaste"], &report["exposure"]["foretaste"]["tail, the others"]);
    assert_eq!((&curve[0]["goal"], &curve[0]["tail"]), (&as_it_is["ndcg@100"], tail));
    assert_eq!((&curve[0]["gini"], &curve[0]["coverage"]), (&as_it_is["gini@10"]["mean"], &as_it_is["coverage@10"]["mean"]));
    assert!((1..6).all(|i| number(i, "boost") > number(i - 1, "boost") && number(i, "tail") >= number(i - 1, "tail")));
    assert!(number(5, "tail") > number(0, "tail") && fs::read_to_string(page).unwrap().contains("What more exposure costs"));
}

/// Ctrl-C keeps the last checkpoint, and `--resume` reaches the same bytes, also while encoders are compared.
#[cfg(unix)]
#[test]
fn a_stopped_training_goes_on_to_the_same_run() {
    let f = fixture();
    let work = tempfile::tempdir().unwrap();
    let config = work.path().join("small.toml");
    let small = "dim = 16\nhidden = 32\nhistory_len = 30\nhistory_cap = 100\nwindow = 40\nmax_epochs = 15\nrating_weight = 1.0\n";
    let command = |run: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foretaste"));
        command.args(["train", "--quiet", "--protocol", "p4", "--fold", "0", "--seed", "3", "--data"]);
        command.arg(f.folder.path().join("data")).arg("--config").arg(&config).arg("--out").arg(run);
        command
    };
    for (encoder, place) in [("encoder = 'pools'", "."), ("", "encoders/pools"), ("", "encoders/sum"), ("", ".")] {
        fs::write(&config, format!("{small}{encoder}")).unwrap();
        let (run, undisturbed) = (work.path().join("run"), work.path().join("undisturbed"));
        if !encoder.is_empty() {
            fs::create_dir(&undisturbed).unwrap();
            files(&f.folder.path().join("run"))
                .iter()
                .for_each(|(name, bytes)| fs::write(undisturbed.join(name), bytes).unwrap());
        } else if place == "encoders/pools" {
            assert!(command(&undisturbed).status().unwrap().success());
        }
        let mut child = command(&run).stderr(std::process::Stdio::piped()).spawn().unwrap();
        while !run.join(place).join("checkpoint.safetensors").exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before its first checkpoint");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let stopped = child.wait_with_output().unwrap();
        assert_eq!(stopped.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&stopped.stderr).contains("--resume"));
        assert!(!run.join("run.json").exists());
        assert!(command(&run).arg("--resume").status().unwrap().success());
        assert!(files(&run) == files(&undisturbed), "other bytes: {encoder}, {place}");
        fs::remove_dir_all(&run).unwrap();
    }
}

/// The search continues its best trial to the same towers as a training with these settings alone.
#[test]
fn a_search_ends_as_a_training_of_the_settings_that_it_chose() {
    let f = fixture();
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("search.toml");
    let ranges = "[search]\ntrials = 4\nlearning_rate = { log = [1e-3, 3e-2] }\nencoder = { choice = [\"pools\", \"gru\"] }\n";
    fs::write(&file, ranges).unwrap();
    let (base, space) = (Config { max_epochs: 6, ..common::small() }, Space::read(Some(&file)).unwrap());
    let quiet = TrainOptions { quiet: true, ..TrainOptions::default() };
    let out = work.path().join("searched");
    let chosen = search(&f.data, &f.split, (&base, &space), 3, &out, quiet).unwrap();
    let list: serde_json::Value = serde_json::from_slice(&fs::read(out.join("search.json")).unwrap()).unwrap();
    let valid: Vec<f64> = list.as_array().unwrap().iter().map(|t| t["valid"].as_f64().unwrap()).collect();
    assert_eq!(valid.len(), 4);
    assert_eq!(list[0]["epochs"], 6);

    let searched = train(&f.data, &f.split, &chosen, 3, &out, TrainOptions { resume: true, ..quiet }).unwrap();
    assert_eq!(searched.card.metrics["valid_ndcg@100_towers"], valid[0]);
    let again = search(&f.data, &f.split, (&base, &space), 3, &out, TrainOptions { resume: true, ..quiet }).unwrap();
    assert_eq!(again, chosen, "a search that is over is not done again");
    let alone = train(&f.data, &f.split, &chosen, 3, &work.path().join("alone"), quiet).unwrap();
    assert_eq!(alone, searched);
    assert_eq!(files(&work.path().join("alone"))["towers.safetensors"], files(&out)["towers.safetensors"]);
}

/// Without an encoder in the settings two are compared, and the run is that of a training with the better one alone.
#[test]
fn the_encoder_that_is_better_on_validation_is_taken() {
    let f = fixture();
    let work = tempfile::tempdir().unwrap();
    let quiet = TrainOptions { quiet: true, ..TrainOptions::default() };
    let train = |config: &Config, out: &str, resume: bool| {
        train(&f.data, &f.split, config, 3, &work.path().join(out), TrainOptions { resume, ..quiet }).unwrap()
    };
    let open = Config { encoder: None, max_epochs: 4, ..common::small() };
    let (pools, sum) = open.arms(Protocol::P4);
    let alone = [pools, sum.unwrap()].map(|config| {
        let run = train(&config, "alone", false);
        (run.card.metrics["valid_ndcg@100_towers"], run, config)
    });
    let run = train(&open, "run", false);
    let better = &alone[usize::from(alone[1].0 > 1.005 * alone[0].0)];
    assert_eq!((&run.card.config, &run), (&better.2, &better.1));
    assert!(["encoders", "encoder.json"].iter().all(|name| !work.path().join("run").join(name).exists()));
}

/// Compares a run of one epoch with the whole training, and the whole training with itself.
#[test]
fn compare_says_which_run_is_better() {
    let f = fixture();
    let work = tempfile::tempdir().unwrap();
    let short = Config { max_epochs: 1, ..common::small() };
    common::trained(&f.data, &f.split, &short, work.path());
    let compare = |first: &Path, second: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foretaste"));
        let out =
            command.arg("compare").args([first, second]).arg("--data").arg(f.folder.path().join("data")).arg("--json").output();
        let out = out.unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()
    };
    let (short, long) = (work.path().join("run"), f.folder.path().join("run"));
    let better = compare(&short, &long);
    let ndcg = &better["metrics"]["ndcg@100"];
    assert!(ndcg["diff"].as_f64().unwrap() > 0.0 && ndcg["p"].as_f64().unwrap() < 0.05, "{ndcg}");
    assert!(better["gained"][0]["diff"].as_f64().unwrap() > 0.0 && better["lost"][0]["diff"].as_f64().unwrap() < 0.0);
    let same = compare(&long, &long);
    assert_eq!((&same["metrics"]["ndcg@100"]["diff"], &same["metrics"]["ndcg@100"]["p"]), (&0.0.into(), &1.0.into()));
    assert_eq!(same["gained"].as_array().unwrap().len(), 0);
}
