//! `foretaste train`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::data::read_folder;
use foretaste_trainer::evaluate::Stopwatch;
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::training::{Config, Space, TrainOptions, search, stop_on_ctrl_c, train};

use super::reading::Reading;

/// Learn the towers from a data folder.
///
/// The number of epochs is chosen on events that are held back; then the towers are learnt again from all that the protocol allows.
/// Ctrl-C keeps the last checkpoint: the same command with --resume goes on and ends with the same numbers.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste train --data data --out run --seed 1")]
pub struct Args {
    /// A data folder, or what `prepare` made of one.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// Settings in place of the protocol's own, a key a line: `preset = "two-feature"` reads ids alone, `"full"`, the default, also columns, times and
    /// ratings.
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// What may be learnt from. `all` is every event: what one ships.
    #[arg(long, value_enum, default_value_t = Protocol::All)]
    protocol: Protocol,
    /// Fold of P4 (0 to 9), salt of P1.
    #[arg(long, value_name = "K")]
    fold: Option<u32>,
    /// The folder of the run.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Fixes every draw: equal seeds give equal bytes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// First choose settings on validation: trials drawn from the ranges of the table [search] in F.toml, or from usual ones.
    #[arg(long)]
    search: bool,
    /// Go on from the checkpoint in RUN, where there is one.
    #[arg(long)]
    resume: bool,
    /// Record the training while it runs: `tensorboard --logdir DIR/tensorboard`, and for MLflow `MLFLOW_ALLOW_FILE_STORE=true mlflow ui
    /// --backend-store-uri DIR/mlruns` or `mlflow migrate-filestore`.
    #[arg(long, value_name = "DIR")]
    track: Option<PathBuf>,
    /// No progress.
    #[arg(long)]
    quiet: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    stop_on_ctrl_c();
    let watch = Stopwatch::start();
    let mut config = Config::read(args.config.as_deref(), args.protocol)?;
    let data = read_folder(&args.data, &args.reading.options(args.quiet))?;
    let split = Split::of(&data, args.protocol, args.fold)?;
    let mut options = TrainOptions { resume: args.resume, quiet: args.quiet, track: args.track.as_deref() };
    if args.search {
        let space = Space::read(args.config.as_deref())?;
        config = search(&data, &split, (&config, &space), args.seed, &args.out, options)?;
        options.resume = true;
    }
    let run = train(&data, &split, &config, args.seed, &args.out, options)?;
    if !args.quiet {
        let (wall, cpu) = watch.seconds();
        let figures: String = run.card.metrics.iter().map(|(name, x)| format!(", {name} {x:.4}")).collect();
        eprintln!("trained in {wall:.1} s ({cpu:.1} CPU s){figures}: {}", args.out.display());
    }
    Ok(())
}
