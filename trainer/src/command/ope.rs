//! `foretaste ope`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::evaluate::open_bundle;
use foretaste_trainer::log::{Rewards, Visitor};
use foretaste_trainer::ope::{
    ESTIMATORS, Estimator, Logged, Replay, Shrinkage, checks, estimate, estimators, examination, read_table, rejection, slates,
};
use serde_json::{Map, Value, json};

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
    let mut report = report(&log, Shrinkage { tau: args.tau, lambda: args.lambda }, args.exploring.seed());
    if let Some(stays) = stays {
        report["rejection"] = json!(stays);
    }
    output::print(&report, args.json.as_deref(), || table(&report))
}

fn report(log: &[Logged], shrinkage: Shrinkage, seed: u64) -> Value {
    let modelled = log.iter().all(|row| row.model.is_some());
    let slots = log.iter().map(|row| row.slot + 1).max().unwrap_or(1);
    let mut values = Map::new();
    let whole = slates(log).any(|slate| slate.len() > 1);
    let fits = |e: &dyn Estimator| (modelled || !e.needs_model()) && (whole || !e.of_slates());
    for estimator in estimators(shrinkage, slots).iter().filter(|e| fits(e.as_ref())) {
        values.insert(estimator.name().into(), json!(estimate(estimator.as_ref(), log, seed)));
    }
    let (rows, slates) = (log.len(), slates(log).count());
    let earned: f64 = log.iter().map(|row| row.reward).sum();
    json!({
        "rows": rows,
        "slates": slates,
        "logged": { "slot": earned / rows as f64, "slate": earned / slates as f64 },
        "estimates": values,
        "checks": checks(log),
        "examination": examination(log, seed),
    })
}

fn table(report: &Value) -> String {
    let mut text = String::new();
    let logged = &report["logged"];
    _ = writeln!(
        text,
        "{} slots of {} slates; earned a slot {:.5}, a slate {:.5}",
        report["rows"],
        report["slates"],
        logged["slot"].as_f64().unwrap_or(0.0),
        logged["slate"].as_f64().unwrap_or(0.0)
    );
    for name in ESTIMATORS {
        let found = &report["estimates"][name];
        if let (Some(value), Some(low), Some(high), Some(of)) =
            (found["value"].as_f64(), found["ci95"][0].as_f64(), found["ci95"][1].as_f64(), found["of"].as_str())
        {
            _ = writeln!(text, "{name:<28} {value:>9.5}  {low:>9.5} to {high:<9.5} a {of}");
        }
    }
    if let (Some(accepted), Some(decisions)) =
        (report["rejection"]["accepted"].as_u64(), report["rejection"]["decisions"].as_u64())
    {
        let found = &report["rejection"];
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let [value, low, high] = [&found["value"], &found["ci95"][0], &found["ci95"][1]].map(number);
        _ = writeln!(
            text,
            "rejection sampling: {accepted} of {decisions} decisions accepted, {value:.5}  {low:.5} to {high:.5} a decision"
        );
    }
    let checks = &report["checks"];
    let number = |key: &str| checks[key].as_f64().unwrap_or(0.0);
    _ = writeln!(
        text,
        "effective sample size {:.0} ({:.1} %), largest weight {:.2}, mean weight {:.3} ±{:.3}",
        number("effective_sample_size"),
        100.0 * number("effective_share"),
        number("max_weight"),
        number("mean_weight"),
        2.0 * number("mean_weight_error")
    );
    for warning in checks["warnings"].as_array().into_iter().flatten() {
        _ = writeln!(text, "warning: {}", warning.as_str().unwrap_or_default());
    }
    text
}
