//! `foretaste train`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::data::read_folder;
use foretaste_trainer::evaluate::{Stopwatch, peak_mb};
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::training::{Config, Space, TrainOptions, search, stop_on_ctrl_c, train};

use super::reading::Reading;

/// Train the towers on a data folder.
///
/// The command chooses the number of epochs on events that are held back, then trains the towers again on all events
/// that the protocol allows. Ctrl-C keeps the last checkpoint: the same command with --resume continues from it, with
/// the same result as an undisturbed training.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste train --data data --out run --seed 1
  foretaste train --data data --out run --config settings.toml --search")]
pub struct Args {
    /// A data folder, or what `prepare` made of one.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// A file of settings that replace the protocol's defaults, one key on each line. `preset = "two-feature"` reads
    /// ids alone; `preset = "full"`, the default, reads columns, times and ratings too.
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// Which events to learn from. `all` uses every event: choose it for a bundle that you ship.
    #[arg(long, value_enum, default_value_t = Protocol::All)]
    protocol: Protocol,
    /// Fold of P4 (0 to 9), or salt of P1.
    #[arg(long, value_name = "K")]
    fold: Option<u32>,
    /// The folder of the run, for `export`.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Seed of every random draw. Equal seeds give equal bytes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// First search for better settings on validation. The trials draw from the ranges of the table [search] in F.toml,
    /// or from usual ranges.
    #[arg(long)]
    search: bool,
    /// Continue from the checkpoint in RUN, if there is one.
    #[arg(long)]
    resume: bool,
    /// Record the training for TensorBoard and MLflow while it runs. Look at it with
    /// `tensorboard --logdir DIR/tensorboard`, or with
    /// `MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri DIR/mlruns`.
    #[arg(long, value_name = "DIR")]
    track: Option<PathBuf>,
    /// Print no progress and no notes on the data. Bad rows and warnings are printed nevertheless.
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
    let data = read_folder(&args.data, &args.reading.to_learn(args.quiet))?;
    let split = Split::of(&data, args.protocol, args.fold)?;
    let mut options = TrainOptions { resume: args.resume, quiet: args.quiet, rivals: true, track: args.track.as_deref() };
    if args.search {
        let space = Space::read(args.config.as_deref())?;
        config = config.arms(args.protocol).0;
        config = search(&data, &split, (&config, &space), args.seed, &args.out, options)?;
        options.resume = true;
    }
    let run = train(&data, &split, &config, args.seed, &args.out, options)?;
    if !args.quiet {
        let (wall, cpu) = watch.seconds();
        let figures: String = run.card.metrics.iter().map(|(name, x)| format!(", {name} {x:.4}")).collect();
        eprintln!("trained in {wall:.1} s ({cpu:.1} CPU s, {:.0} MB){figures}: {}", peak_mb(), args.out.display());
    }
    Ok(())
}
