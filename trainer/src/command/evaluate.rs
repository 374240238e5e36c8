//! `foretaste evaluate`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::data::read_folder;
use foretaste_trainer::evaluate::{Experiment, Vectors, check_fits, examples, measure_bundle, measure_exposure, parts};
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::report::experiment_report;
use foretaste_trainer::verify::open_bundle;

use super::output;
use super::reading::{Reading, meet_bundle};

/// Measure a bundle under a protocol, through the code that the page runs.
///
/// A bundle that was trained on another split, or on all events, is refused, because it has already seen the events
/// that it would be tested on.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste evaluate --bundle bundle --data data --protocol p4 --fold 0 --baselines popularity")]
pub struct Args {
    /// The bundle.
    #[arg(long, value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The data folder that the bundle was trained on.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// The protocol that the bundle was trained for.
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Fold of P4 [default: 0], salt of P1 [default: 0].
    #[arg(long, value_name = "K")]
    fold: Option<u32>,
    /// Baselines to fit and measure on the same split: names separated by commas, or `all`.
    #[arg(long, value_name = "LIST", default_value = "")]
    baselines: String,
    /// Score with item vectors made from the columns alone, as if every item id were unknown.
    #[arg(long)]
    mask_ids: bool,
    /// Print one JSON object instead of the table; with FILE, write it there and print the table too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Write a page for people: figures beside the baselines and by group of users and items, what more exposure of
    /// rare items costs, and some slates.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let baselines = output::baselines(&args.baselines, args.protocol)?;
    let mut recommender = open_bundle(&args.bundle)?;
    let data = read_folder(&args.data, &args.reading.options(true))?;
    meet_bundle(&data, recommender.bundle())?;
    let split = Split::of(&data, args.protocol, args.fold)?;
    check_fits(&recommender, &data, &split)?;
    let mut experiment = Experiment::new(&data, args.protocol);
    let vectors = if args.mask_ids { Vectors::MaskedIds } else { Vectors::Shipped };
    let shipped = experiment.timed("evaluate", || measure_bundle(&recommender, &data, &split, vectors))?;
    let float = measure_bundle(&recommender, &data, &split, Vectors::Float)?;
    let seed = recommender.bundle().manifest.trained_on.seed;
    experiment.add_ours(split.fold, &[seed], &[shipped], &[float]);
    if !args.mask_ids {
        for (name, part) in parts(&recommender, args.protocol) {
            experiment.add_part(name, &[measure_bundle(&recommender, &data, &split, part)?]);
        }
    }
    experiment.add_baselines(&baselines, &split)?;
    if args.report.is_some() && !args.mask_ids {
        experiment.add_exposure(&[measure_exposure(&recommender, &data, &split)?]);
    }
    let report = experiment.report();
    if let Some(file) = &args.report {
        let slates = examples(&mut recommender, &data, &split, output::SLATES)?;
        output::page(file, &experiment_report(&report, &[], &[], &slates))?;
    }
    output::write(&report, args.json.as_deref())
}
