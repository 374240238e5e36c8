//! `foretaste update`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::data::read_folder;
use foretaste_trainer::log::Visitor;
use foretaste_trainer::training::{Run, stop_on_ctrl_c};
use foretaste_trainer::update::{Bounds, Options, Updated, Versions, update};

use super::promote::promoted;
use super::reading::Reading;
use super::{output, usage};

/// Make the next version of a bundle from exported logs.
///
/// Begins with `--run`: that training is version 1, and VERSIONS/live is what a host serves. Later with `--data` and `--log`: the champion is
/// fine-tuned on the data and the log, corrected for propensities and places, and compared with the champion. What passes the gate is the challenger,
/// which `promote` gives to visitors; pages that have the bundle before fetch the difference. Ctrl-C leaves no version behind.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste update versions --run run
  foretaste update versions --data data --log visitors/*.jsonl
  foretaste promote versions")]
pub struct Args {
    /// The folder of the versions.
    #[arg(value_name = "VERSIONS")]
    versions: PathBuf,
    /// Begin with this training.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "log"])]
    run: Option<PathBuf>,
    /// Items, users and events, with what is new since the last version.
    #[arg(long, value_name = "DATA", requires = "log", required_unless_present = "run")]
    data: Option<PathBuf>,
    /// Exported logs, one a visitor; of each visitor the latest.
    #[arg(long, value_name = "FILE.jsonl", num_args = 1..)]
    log: Vec<PathBuf>,
    /// Epochs over data and log: few keep what was learnt, many follow the log.
    #[arg(long, default_value_t = Options::default().epochs, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// Learn items alone and leave the user tower as it is: what pages fetch is small, and new users and times are read as before.
    #[arg(long)]
    items_only: bool,
    /// Most that an answer weighs for having been shown seldom: 1 corrects nothing and keeps the old policy's taste, large ones correct more and are
    /// noisier.
    #[arg(long, default_value_t = Options::default().max_weight)]
    max_weight: f64,
    /// Gate: how far quality may be shown to fall, as a share: 0 stops all that is worse beyond chance, more lets some of it pass.
    #[arg(long, default_value_t = Bounds::default().drop)]
    max_drop: f64,
    /// Gate: most by which one item's share of answers and of slates may rise: small ones stop bots and hits alike.
    #[arg(long, default_value_t = Bounds::default().surge)]
    max_surge: f64,
    /// Promote it at once where it passes.
    #[arg(long)]
    promote: bool,
    /// Fixes every draw.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// No progress.
    #[arg(long)]
    quiet: bool,
    /// One JSON object: on standard output, or in FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    stop_on_ctrl_c();
    for (name, x, most) in
        [("--max-drop", args.max_drop, 1.0), ("--max-surge", args.max_surge, 1.0), ("--max-weight", args.max_weight, 1e9)]
    {
        let least = if most > 1.0 { 1.0 } else { 0.0 };
        if !(least..=most).contains(&x) {
            return Err(usage(format!("{name} {x}: {least} to {most} expected")));
        }
    }
    let Some(data) = &args.data else {
        let Some(run) = &args.run else { return Err(usage("--run or --data expected")) };
        let versions = Versions::create(&args.versions, &Run::load(run)?)?;
        let text = || format!("version 1 is the champion: serve {}\n", versions.live().display());
        return output::print(&serde_json::json!({ "version": 1, "champion": 1 }), args.json.as_deref(), text);
    };
    let versions = Versions::open(&args.versions)?;
    let data = read_folder(data, &args.reading.options(args.quiet))?;
    let log = args.log.iter().map(|file| Visitor::read(file)).collect::<Result<Vec<_>>>()?;
    let options = Options {
        epochs: args.epochs,
        max_weight: args.max_weight,
        bounds: Bounds { drop: args.max_drop, surge: args.max_surge },
        items_only: args.items_only,
        seed: args.seed,
        quiet: args.quiet,
    };
    let updated = update(&versions, data, &log, options)?;
    let promotion =
        if args.promote && updated.gate.passed { Some(versions.promote(Some(updated.version), false)?) } else { None };
    output::print(&updated, args.json.as_deref(), || table(&updated) + &promotion.as_ref().map_or_else(String::new, promoted))
}

fn table(updated: &Updated) -> String {
    let mut text = format!(
        "version {} from version {} and {} events of {} visitors\n",
        updated.version, updated.champion, updated.events, updated.visitors
    );
    if updated.unknown > 0 {
        text += &format!("{} events of items that the data does not have were left out\n", updated.unknown);
    }
    for check in &updated.gate.checks {
        text += &format!("{} {:<9} {}\n", if check.passed { "passed" } else { "FAILED" }, check.name, check.says);
    }
    text += if updated.gate.passed { "it is the challenger\n" } else { "the gate is shut: visitors keep what they have\n" };
    text
}
