//! `foretaste experiment`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use foretaste_trainer::data::read_folder;
use foretaste_trainer::evaluate::{Experiment, Vectors, check_fits, examples, measure_bundle, measure_exposure, parts};
use foretaste_trainer::export::{Contents, export};
use foretaste_trainer::measure::Figures;
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::report::experiment_report;
use foretaste_trainer::training::{Config, TrainOptions, stop_on_ctrl_c, train};
use foretaste_trainer::verify::open_bundle;

use super::output;
use super::reading::Reading;

/// Train, export and evaluate over folds and seeds, beside baselines.
///
/// For each fold and seed a bundle is trained, exported and measured as it would ship. Figures are means over all
/// queries of all folds; several seeds are averaged query by query, so the intervals are over queries.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste experiment --data data --protocol p4 --folds 0-9 --baselines all --json p4.json")]
pub struct Args {
    /// A data folder.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// Settings that replace the protocol's defaults, one key a line. `preset = "two-feature"` reads ids alone;
    /// `"full"`, the default, also reads columns, times and ratings.
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// The protocol.
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Folds of P4 and of the cold items, or salts of P1 and P2: `0-9`, `0,3` [default: all ten folds, salt 0].
    #[arg(long, value_name = "LIST")]
    folds: Option<String>,
    /// Seeds of the training.
    #[arg(long, value_name = "LIST", default_value = "0")]
    seeds: String,
    /// Baselines to fit and measure on the same splits: names separated by commas, or `all`.
    #[arg(long, value_name = "LIST", default_value = "")]
    baselines: String,
    /// Print one JSON object instead of the table; with FILE, write it there and print the table too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Write a page for people: figures beside the baselines and by group of users and items, what more exposure of
    /// rare items costs, and some slates.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Keep runs and bundles in this folder; without it they are deleted at the end.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print no progress.
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    stop_on_ctrl_c();
    let baselines = output::baselines(&args.baselines, args.protocol)?;
    let seeds = output::numbers(&args.seeds)?;
    let folds: Vec<Option<u32>> = match (&args.folds, args.protocol) {
        (Some(list), _) => output::numbers(list)?.into_iter().map(|k| Some(k as u32)).collect(),
        (None, Protocol::P4 | Protocol::Cold) => (0..10).map(Some).collect(),
        (None, _) => vec![None],
    };
    let config = Config::read(args.config.as_deref(), args.protocol)?;
    let data = read_folder(&args.data, &args.reading.options(true))?;
    let temporary = tempfile::tempdir().context("no temporary folder")?;
    let work = args.keep.as_deref().unwrap_or(temporary.path());
    let options = TrainOptions { quiet: true, ..TrainOptions::default() };

    let mut experiment = Experiment::new(&data, args.protocol);
    // The curve and the slates are those of the first training.
    let (mut curve, mut bins, mut slates) = (Vec::new(), Vec::new(), Vec::new());
    let mut nobody = None;
    // The figures of each part alone: those that every bundle has are reported.
    let (mut of_parts, mut bundles) = (BTreeMap::<&str, Vec<Vec<Figures>>>::new(), 0);
    for fold in folds {
        let split = Split::of(&data, args.protocol, fold)?;
        if let Err(why) = split.asked() {
            nobody = Some(why);
            continue;
        }
        let (mut shipped, mut float, mut boosted) = (Vec::new(), Vec::new(), Vec::new());
        let mut alone = BTreeMap::<&str, Vec<Figures>>::new();
        for seed in &seeds {
            let name = format!("{}-{}-{seed}", args.protocol.name(), split.fold.unwrap_or(0));
            let (run, bundle) = (work.join(format!("run-{name}")), work.join(format!("bundle-{name}")));
            let trained = experiment.timed("train", || train(&data, &split, &config, *seed, &run, options))?;
            experiment.timed("export", || export(&trained, &bundle, Contents::default()))?;
            let mut recommender = open_bundle(&bundle)?;
            check_fits(&recommender, &data, &split)?;
            let figures = experiment.timed("evaluate", || measure_bundle(&recommender, &data, &split, Vectors::Shipped))?;
            if !args.quiet {
                let means: String =
                    figures.values.iter().map(|(m, v)| format!("  {m} {:.4}", v.iter().sum::<f64>() / v.len() as f64)).collect();
                eprintln!("{name}{means}");
            }
            if args.report.is_some() && slates.is_empty() {
                (curve, slates) = (trained.card.curve, examples(&mut recommender, &data, &split, output::SLATES)?);
                bins = trained.card.ranker.map(|ranker| ranker.reliability).unwrap_or_default();
            }
            if args.report.is_some() {
                boosted.push(measure_exposure(&recommender, &data, &split)?);
            }
            shipped.push(figures);
            float.push(measure_bundle(&recommender, &data, &split, Vectors::Float)?);
            bundles += 1;
            for (name, part) in parts(&recommender, args.protocol) {
                alone.entry(name).or_default().push(measure_bundle(&recommender, &data, &split, part)?);
            }
        }
        experiment.add_ours(split.fold, &seeds, &shipped, &float);
        alone.into_iter().for_each(|(name, figures)| of_parts.entry(name).or_default().push(figures));
        experiment.add_exposure(&boosted);
        experiment.add_baselines(&baselines, &split)?;
    }
    for (name, folds) in of_parts.iter().filter(|(_, folds)| folds.iter().map(Vec::len).sum::<usize>() == bundles) {
        folds.iter().for_each(|figures| experiment.add_part(name, figures));
    }
    match (nobody, experiment.is_empty()) {
        (Some(why), true) => return Err(why),
        (Some(why), false) => eprintln!("note: {why}; folds like it are left out"),
        _ => {}
    }
    let report = experiment.report();
    if let Some(file) = &args.report {
        output::page(file, &experiment_report(&report, &curve, &bins, &slates))?;
    }
    output::write(&report, args.json.as_deref())
}
