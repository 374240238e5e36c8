//! `foretaste ab`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use foretaste_trainer::ab::{Difference, Report, Setting, experiments, report, units};
use foretaste_trainer::log::{Rewards, Visitor};

use super::{output, usage};

/// Which arm of an experiment earned more, told from logs with assignments.
///
/// A page asks `rec.assign({ name, arms })` for the arm of its visitor and exports its log. Each unit of the assignment counts once, with the rewards of the
/// slates that it saw after it. The first intervals hold for one look, at a number of units that was fixed before; the sequential one holds at every look, so a
/// test may be watched and stopped when 0 has left it. With rewards before the assignment CUPED narrows the interval. A sample ratio mismatch says that
/// the figures are not to be trusted.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste ab --log visitors/*.jsonl --experiment policy
  foretaste ab --log visitors/*.jsonl --experiment policy --metric buy=5,view=1 --weights control=9,thompson=1 --json")]
pub struct Args {
    /// Exported logs; one may speak of several units, and several of one unit.
    #[arg(long, value_name = "FILE.jsonl", num_args = 1.., required = true)]
    log: Vec<PathBuf>,
    /// Name of the experiment.
    #[arg(long, value_name = "NAME")]
    experiment: String,
    /// What answers are worth: TYPE=WORTH,… [default: 1 for each slot that is answered, not by hides and dislikes alone]
    #[arg(long, value_name = "LIST")]
    metric: Option<String>,
    /// Weights that the arms had: ARM=WEIGHT,… [default: alike]
    #[arg(long, value_name = "LIST")]
    weights: Option<String>,
    /// The arm that others are compared with [default: `control`, else the first by name]
    #[arg(long, value_name = "ARM")]
    control: Option<String>,
    /// Chance that an interval misses the truth, 0 to .5: small ones make wide intervals.
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Units of two arms at which the sequential interval is to be narrow; chosen before the first look. Few find great differences early, many small ones late.
    #[arg(long, default_value_t = 1000.0)]
    planned: f64,
    /// One JSON object: on standard output, or in FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    if !(args.alpha > 0.0 && args.alpha < 0.5) {
        return Err(usage(format!("--alpha {}: more than 0 and less than .5 expected", args.alpha)));
    }
    if !(args.planned > 0.0 && args.planned.is_finite()) {
        return Err(usage(format!("--planned {}: a number above 0 expected", args.planned)));
    }
    let rewards = Rewards { named: output::pairs("--metric", args.metric.as_deref())? };
    let weights = output::pairs("--weights", args.weights.as_deref())?;
    let visitors: Vec<Visitor> = args.log.iter().map(|file| Visitor::read(file)).collect::<Result<_>>()?;
    let known = experiments(&visitors);
    if !known.contains(args.experiment.as_str()) {
        let known: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        bail!("the logs have no experiment `{}`; there are: {known}", args.experiment);
    }
    let setting = Setting { control: args.control, weights, alpha: args.alpha, planned: args.planned };
    let found = report(&args.experiment, &units(&visitors, &args.experiment, &rewards), &setting)?;
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
