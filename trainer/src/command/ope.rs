//! `foretaste ope`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::data::Met;
use foretaste_trainer::log::{Rewards, items};
use foretaste_trainer::ope::{Estimate, Rejection, Replay, Report, Shrinkage, read_table, rejection};
use foretaste_trainer::report::policy_report;
use foretaste_trainer::verify::open_bundle;

use super::explore::Exploring;
use super::{logs, output, usage};

/// Estimate what another policy would have earned, from a log with propensities.
///
/// The log is what pages export (`exportLog`), one file for each visitor. A bundle and the options below define the
/// policy to evaluate.
///
/// With --table the log is a table instead. Its columns are `reward`, `propensity` (the probability under the logged
/// policy) and `target` (the probability under the policy to evaluate); `slate` and `slot` (counted from 0 or 1) if
/// there are slates;
/// `estimate` and `value` if there is a model of rewards. A log without propensities is refused.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste ope --log visitors/*.jsonl --bundle next --policy thompson
  foretaste ope --table decisions.csv.gz --tau 5 --json")]
pub struct Args {
    /// Exported logs (JSON lines, also .gz), one file for each visitor.
    #[arg(long, value_name = "FILE.jsonl", num_args = 1.., requires = "bundle", required_unless_present = "table")]
    log: Vec<PathBuf>,
    /// The bundle of the policy to evaluate. It may be another one than that of the log.
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    /// Read this table instead of logs: CSV, or CSV compressed with gzip (.gz).
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["log", "bundle"])]
    table: Option<PathBuf>,
    /// Reward of each type of answer: TYPE=REWARD,… Other types earn 0 [default: the weights of the bundle's positive
    /// types]
    #[arg(long, value_name = "LIST", requires = "log")]
    rewards: Option<String>,
    /// switch-dr: slots with an importance weight above this use the model of rewards alone. 0 trusts the model
    /// everywhere, large values use the weights (lower bias, higher variance).
    #[arg(long, default_value_t = Shrinkage::default().tau)]
    tau: f64,
    /// dros: 0 trusts the model of rewards alone, large values use the full importance weights (lower bias, higher
    /// variance).
    #[arg(long, default_value_t = Shrinkage::default().lambda)]
    lambda: f64,
    /// Also estimate whole visits by rejection sampling: the policy runs with the history that its own accepted slates
    /// build up. It needs logs of few items that were shown with nearly equal probability.
    #[arg(long, requires = "log")]
    rejection: bool,
    /// Also write a web page with the estimates, their intervals, and whether to trust them.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Print one JSON object instead of the table; with FILE, write it there and print the table too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    #[command(flatten)]
    exploring: Exploring,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    for (name, x) in [("--tau", args.tau), ("--lambda", args.lambda)] {
        if x.is_nan() || x < 0.0 {
            return Err(usage(format!("{name} {x}: expected 0 or more")));
        }
    }
    let (mut stays, mut warnings) = (None, Vec::new());
    let log = match (&args.table, &args.bundle) {
        (Some(table), _) => {
            let table = read_table(table)?;
            if table.first_slot > 0 {
                warnings.push(format!("the table has no slot 0: its slots are counted from {}", table.first_slot));
            }
            table.rows
        }
        (None, Some(bundle)) => {
            let (mut recommender, mut replay) = (open_bundle(bundle)?, Replay::default());
            let (policy, rewards) =
                (args.exploring.request(1)?, Rewards { named: output::pairs("--rewards", args.rewards.as_deref())? });
            let mut logs = logs::visitors(&args.log, 0.0)?;
            logs::check_rewards(&mut logs, "--rewards", &rewards);
            let catalog = &recommender.bundle().catalog;
            let met = Met::of(
                "items of the logs in the bundle's catalog",
                items(&logs.visitors),
                |id| catalog.row(id).is_some(),
                || (0..catalog.len()).map(|row| catalog.id(row as u32)),
            );
            met.check()?;
            logs.warnings.extend((met.known < met.of).then(|| met.to_string()));
            for visitor in &logs.visitors {
                replay.add(&mut recommender, visitor, &policy, &rewards)?;
            }
            if args.rejection {
                stays = Some(rejection(&mut recommender, &logs.visitors, &policy, &rewards, args.exploring.seed())?);
            }
            warnings = logs.warnings;
            replay.finish()?
        }
        (None, None) => return Err(usage("--log needs --bundle")),
    };
    let mut report = Report::of(&log, Shrinkage { tau: args.tau, lambda: args.lambda }, args.exploring.seed());
    report.rejection = stays;
    report.checks.warnings.extend(warnings);
    if let Some(file) = &args.report {
        let policy = args.table.as_ref().map_or_else(|| args.exploring.policy().to_owned(), |table| table.display().to_string());
        output::page(file, &policy_report(&report, &policy))?;
    }
    output::print(&report, args.json.as_deref(), || table(&report))
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    let (logged, checks) = (report.logged, &report.checks);
    _ = writeln!(
        text,
        "{} slots of {} slates; earned a slot {:.5}, a slate {:.5}",
        report.rows, report.slates, logged.slot, logged.slate
    );
    for (name, Estimate { value, ci95: [low, high], of }) in report.in_order() {
        _ = writeln!(text, "{name:<28} {value:>9.5}  {low:>9.5} to {high:<9.5} a {of}");
    }
    if let Some(Rejection { accepted, decisions, value, ci95, .. }) = &report.rejection {
        let [low, high] = ci95.unwrap_or([f64::NAN; 2]);
        let value = value.unwrap_or(f64::NAN);
        _ = writeln!(
            text,
            "rejection sampling: {accepted} of {decisions} decisions accepted, {value:.5}  {low:.5} to {high:.5} a decision"
        );
    }
    _ = writeln!(
        text,
        "effective sample size {:.0} ({:.1} %), largest weight {:.2}, mean weight {:.3} ±{:.3}",
        checks.effective_sample_size,
        100.0 * checks.effective_share,
        checks.max_weight,
        checks.mean_weight,
        2.0 * checks.mean_weight_error
    );
    checks.warnings.iter().for_each(|warning| _ = writeln!(text, "warning: {warning}"));
    text
}
