//! `foretaste ab`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use foretaste_trainer::ab::{Difference, Report, Setting, experiments, report, units};
use foretaste_trainer::log::Rewards;

use super::{logs, output, usage};

/// Compare the arms of an experiment: which one earned more.
///
/// A page calls `rec.assign({ name, arms })` to get the arm of its visitor, and exports its log. Each assigned unit
/// counts once, with the rewards of the slates that it saw after its assignment.
///
/// The intervals of `a unit` and `a slate` hold for one look, at a number of units that was fixed in advance. The
/// interval of `a unit, at any look` holds at every look, so you may watch a test and stop it as soon as that interval
/// excludes 0. If units have rewards from before the assignment, CUPED narrows the interval. If the command warns of a
/// sample ratio mismatch, do not trust the figures.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste ab --log visitors/*.jsonl --experiment policy
  foretaste ab --log visitors/*.jsonl --experiment policy --metric buy=5,view=1 --weights control=9,thompson=1 --json")]
pub struct Args {
    /// Exported logs. One log may have several units, and one unit may have several logs.
    #[arg(long, value_name = "FILE.jsonl", num_args = 1.., required = true)]
    log: Vec<PathBuf>,
    /// Name of the experiment, as the page gave it to `assign`.
    #[arg(long, value_name = "NAME")]
    experiment: String,
    /// Reward of each type of answer: TYPE=REWARD,… Other types earn 0 [default: 1 for each slot with an answer other
    /// than hide and dislike]
    #[arg(long, value_name = "LIST")]
    metric: Option<String>,
    /// Weights with which the page assigned the arms: ARM=WEIGHT,… [default: equal weights]
    #[arg(long, value_name = "LIST")]
    weights: Option<String>,
    /// The arm that the others are compared with [default: `control` if there is one, else the first by name]
    #[arg(long, value_name = "ARM")]
    control: Option<String>,
    /// Probability that an interval misses the truth, above 0 and below .5: small values make wide intervals, large
    /// values narrow ones.
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Number of units in two arms at which the sequential interval is narrowest. Choose it before the first look:
    /// small values find large differences early, large values find small differences late.
    #[arg(long, default_value_t = 1000.0)]
    planned: f64,
    /// Print one JSON object instead of the table; with FILE, write it there and print the table too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    if !(args.alpha > 0.0 && args.alpha < 0.5) {
        return Err(usage(format!("--alpha {}: expected a number above 0 and below .5", args.alpha)));
    }
    if !(args.planned > 0.0 && args.planned.is_finite()) {
        return Err(usage(format!("--planned {}: expected a number above 0", args.planned)));
    }
    let rewards = Rewards { named: output::pairs("--metric", args.metric.as_deref())? };
    let weights = output::pairs("--weights", args.weights.as_deref())?;
    let mut logs = logs::visitors(&args.log, 0.0)?;
    logs::check_rewards(&mut logs, "--metric", &rewards);
    let known = experiments(&logs.visitors);
    if !known.contains(args.experiment.as_str()) {
        let known: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        bail!("the logs have no experiment `{}`; there are: {known}", args.experiment);
    }
    let setting = Setting { control: args.control, weights, alpha: args.alpha, planned: args.planned };
    let mut found = report(&args.experiment, &units(&logs.visitors, &args.experiment, &rewards), &setting)?;
    found.warnings.extend(logs.warnings);
    output::print(&found, args.json.as_deref(), || table(&found))
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    _ = writeln!(text, "{}: {} units\n", report.experiment, report.units);
    _ = writeln!(text, "{:<24} {:>9} {:>9} {:>10} {:>10}", "arm", "units", "slates", "a unit", "a slate");
    for arm in &report.arms {
        let per_slate = arm.per_slate.map_or_else(String::new, |mean| format!("{mean:.5}"));
        _ = writeln!(text, "{:<24} {:>9} {:>9} {:>10.5} {per_slate:>10}", arm.arm, arm.units, arm.slates, arm.per_unit);
    }
    let level = format!("{} %", 100.0 - 100.0 * report.alpha);
    for arm in &report.comparisons {
        _ = writeln!(text, "\n{} − {}, with intervals of {level}", arm.arm, report.control);
        let mut line = |what: &str, found: &Difference| {
            let lift = found.lift.map_or_else(String::new, |lift| format!("{:+.1} %", 100.0 * lift));
            let of = found
                .lift_interval
                .map_or_else(String::new, |[low, high]| format!("  {:+.1} to {:+.1} %", 100.0 * low, 100.0 * high));
            _ = writeln!(text, "{}  {lift:>9}{of}", row(what, found.difference, found.interval, found.p));
        };
        line("a unit", &arm.per_unit);
        arm.cuped.iter().for_each(|found| line("a unit, CUPED", found));
        arm.per_slate.iter().for_each(|found| line("a slate", found));
        let any = &arm.sequential;
        _ = writeln!(text, "{}", row("a unit, at any look", arm.per_unit.difference, any.interval, any.p));
    }
    if let Some(cuped) = report.cuped {
        let less = 100.0 * cuped.correlation * cuped.correlation;
        _ = writeln!(text, "\nCUPED: correlation {:.3} with the rewards before, {less:.1} % less variance", cuped.correlation);
    }
    let ratio = report.sample_ratio;
    _ = writeln!(text, "\nsample ratio: chi-square {:.3}, p {:.4}", ratio.chi_square, ratio.p);
    report.warnings.iter().for_each(|warning| _ = writeln!(text, "warning: {warning}"));
    text
}

fn row(what: &str, difference: f64, [low, high]: [f64; 2], p: f64) -> String {
    format!("{what:<24} {difference:>+9.5}  {low:>+9.5} to {high:<+9.5} p {p:.4}")
}
