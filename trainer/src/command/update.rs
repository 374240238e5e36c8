//! `foretaste update`.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::data::read_folder;
use foretaste_trainer::training::{Run, stop_on_ctrl_c};
use foretaste_trainer::update::{Bounds, Options, Updated, Versions, update};

use super::promote::promoted;
use super::reading::Reading;
use super::{logs, output, usage};

/// Largest share of logs with a fault that an update leaves out. A fault of the page itself is in nearly every log.
const MOST_BAD: f64 = 0.2;

/// Make the next version of a bundle from exported logs.
///
/// Start with `--run`: that training becomes version 1, and a host serves VERSIONS/live. Later run it with `--data` and
/// `--log`: it fine-tunes the champion on the data and the log, corrects for propensities and positions, and compares
/// the result with the champion.
///
/// A version that passes this gate is the challenger. `promote` gives it to visitors; pages that have the previous
/// bundle fetch only the difference. Ctrl-C leaves no version behind.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste update versions --run run
  foretaste update versions --data data --log visitors/*.jsonl
  foretaste promote versions")]
pub struct Args {
    /// The folder of the versions. `--run` creates it.
    #[arg(value_name = "VERSIONS")]
    versions: PathBuf,
    /// Make this training version 1.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "log"])]
    run: Option<PathBuf>,
    /// A data folder with all items, users and events, including those since the last version.
    #[arg(long, value_name = "DATA", requires = "log", required_unless_present = "run")]
    data: Option<PathBuf>,
    /// Exported logs (JSON lines, also .gz), one file for each visitor. Exports that overlap count once. Logs with a
    /// fault are left out with a warning; if more than a fifth have one, the update is refused.
    #[arg(long, value_name = "FILE.jsonl", num_args = 1..)]
    log: Vec<PathBuf>,
    /// Number of epochs over data and log: small values keep what the champion has learned, large values follow the
    /// log.
    #[arg(long, default_value_t = Options::default().epochs, value_parser = clap::value_parser!(u32).range(1..=1000))]
    epochs: u32,
    /// Train the items only and keep the user tower. Pages then fetch little, but new values of users and times stay
    /// unknown to the tower.
    #[arg(long)]
    items_only: bool,
    /// Largest weight of an answer to an item that was unlikely to be shown: 1 corrects nothing, so the preferences of
    /// the old policy stay; large values correct more and are noisier.
    #[arg(long, default_value_t = Options::default().max_weight)]
    max_weight: f64,
    /// Gate: largest fall in quality that may pass, as a share of the champion's, 0 to 1. 0 stops every version that is
    /// significantly worse, 1 stops none.
    #[arg(long, default_value_t = Bounds::default().drop)]
    max_drop: f64,
    /// Gate: largest rise of one item's share of the answers or of the slots, 0 to 1. Small values stop bots but also
    /// sudden hits, large values stop neither.
    #[arg(long, default_value_t = Bounds::default().surge)]
    max_surge: f64,
    /// Promote the version at once if it passes the gate.
    #[arg(long)]
    promote: bool,
    /// Seed of every random draw. Equal seeds give equal bytes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print no progress.
    #[arg(long)]
    quiet: bool,
    /// Print one JSON object instead of the table; with FILE, write it there and print the table too.
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
            return Err(usage(format!("{name} {x}: expected {least} to {most}")));
        }
    }
    let Some(data) = &args.data else {
        let Some(run) = &args.run else { return Err(usage("expected --run or --data")) };
        let versions = Versions::create(&args.versions, &Run::load(run)?)?;
        let text = || format!("version 1 is the champion: serve {}\n", versions.live().display());
        return output::print(&serde_json::json!({ "version": 1, "champion": 1 }), args.json.as_deref(), text);
    };
    let logs = logs::visitors(&args.log, MOST_BAD)?;
    let versions = Versions::open(&args.versions)?;
    let data = read_folder(data, &args.reading.options(args.quiet))?;
    let options = Options {
        epochs: args.epochs,
        max_weight: args.max_weight,
        bounds: Bounds { drop: args.max_drop, surge: args.max_surge },
        items_only: args.items_only,
        seed: args.seed,
        quiet: args.quiet,
    };
    let mut updated = update(&versions, data, &logs.visitors, options)?;
    updated.warnings.extend(logs.warnings);
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
        text += &format!("{} events were left out because the data does not have their items\n", updated.unknown);
    }
    for check in &updated.gate.checks {
        text += &format!("{} {:<9} {}\n", if check.passed { "passed" } else { "FAILED" }, check.name, check.says);
    }
    text += if updated.gate.passed {
        "it passed the gate and is the challenger\n"
    } else {
        "it failed the gate: visitors keep the champion\n"
    };
    updated.warnings.iter().for_each(|warning| text += &format!("warning: {warning}\n"));
    text
}
