//! `foretaste ope`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::evaluate::open_bundle;
use foretaste_trainer::log::{Rewards, Visitor};
use foretaste_trainer::ope::{Estimate, Rejection, Replay, Report, Shrinkage, read_table, rejection};
use foretaste_trainer::report::policy_report;

use super::explore::Exploring;
use super::{output, usage};

/// What another policy would have earned, told from a log with propensities.
///
/// Logs are those that pages export (`exportLog`), a file a visitor; the policy in question is given by a bundle and the knobs below. Or a table of
/// `reward`, `propensity` (of the log), `target` (of the policy in question), with `slate` and `slot` where there are slates, `estimate` and `value`
/// where there is a model of rewards. A log without propensities is refused.
#[derive(clap::Args)]
#[command(after_help = "\
examples:
  foretaste ope --log visitors/*.jsonl --bundle next --policy thompson
  foretaste ope --table decisions.csv.gz --tau 5 --json")]
pub struct Args {
    /// Exported logs, one a visitor.
    #[arg(long, value_name = "FILE.jsonl", num_args = 1.., requires = "bundle", required_unless_present = "table")]
    log: Vec<PathBuf>,
    /// The bundle whose policy is in question; needs not be the one of the log.
    #[arg(long, value_name = "BUNDLE")]
    bundle: Option<PathBuf>,
    /// A table in place of logs: CSV, also with .gz.
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["log", "bundle"])]
    table: Option<PathBuf>,
    /// What answers are worth: TYPE=WORTH,… [default: the weights of the bundle's positive types]
    #[arg(long, value_name = "LIST", requires = "log")]
    rewards: Option<String>,
    /// Of switch-dr: weights above are left to the model of rewards; 0 trusts it alone.
    #[arg(long, default_value_t = Shrinkage::default().tau)]
    tau: f64,
    /// Of dros: small values trust the model of rewards, large ones the weights.
    #[arg(long, default_value_t = Shrinkage::default().lambda)]
    lambda: f64,
    /// Also run the policy through the logged stays by rejection sampling, its own history and all: for logs of few items that were shown nearly alike.
    #[arg(long, requires = "log")]
    rejection: bool,
    /// A page for people: estimates with intervals, and whether to believe them.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// One JSON object: on standard output, or in FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    #[command(flatten)]
    exploring: Exploring,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    for (name, x) in [("--tau", args.tau), ("--lambda", args.lambda)] {
        if x.is_nan() || x < 0.0 {
            return Err(usage(format!("{name} {x}: 0 or more expected")));
        }
    }
    let mut stays = None;
    let log = match (&args.table, &args.bundle) {
        (Some(table), _) => read_table(table)?,
        (None, Some(bundle)) => {
            let (mut recommender, mut replay) = (open_bundle(bundle)?, Replay::default());
            let (policy, rewards) =
                (args.exploring.request(1)?, Rewards { named: output::pairs("--rewards", args.rewards.as_deref())? });
            let visitors = args.log.iter().map(|file| Visitor::read(file)).collect::<Result<Vec<_>>>()?;
            for visitor in &visitors {
                replay.add(&mut recommender, visitor, &policy, &rewards)?;
            }
            if args.rejection {
                stays = Some(rejection(&mut recommender, &visitors, &policy, &rewards, args.exploring.seed())?);
            }
            replay.finish()?
        }
        (None, None) => return Err(usage("--log needs --bundle")),
    };
    let mut report = Report::of(&log, Shrinkage { tau: args.tau, lambda: args.lambda }, args.exploring.seed());
    report.rejection = stays;
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
