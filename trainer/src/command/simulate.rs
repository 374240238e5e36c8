//! `foretaste simulate`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use foretaste::Request;
use foretaste::explore::POLICIES;
use foretaste_trainer::simulate::{Round, Setting, simulate};
use foretaste_trainer::training::stop_on_ctrl_c;
use serde_json::{Map, Value, json};

use super::explore::Exploring;
use super::{output, usage};

/// What exploring costs and brings: simulated visitors are served, answer, and are learnt from, round after round.
///
/// Their tastes are known, drift, and are no dot product; items come out as the rounds go by; visitors click by position. So reward and regret are
/// told in truth, without luck.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste simulate --policies greedy,thompson --seeds 0,1,2 --rounds 10")]
pub struct Args {
    /// Policies, with commas.
    #[arg(long, value_name = "LIST", default_value = "greedy,epsilon-greedy,softmax,ucb,thompson")]
    policies: String,
    /// Seeds of the world, with commas.
    #[arg(long, value_name = "LIST", default_value = "0,1,2")]
    seeds: String,
    /// Rounds of serving and learning.
    #[arg(long, default_value_t = Setting::default().rounds, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Visitors.
    #[arg(long, default_value_t = Setting::default().users, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    users: u32,
    /// Items; half of them come out during the rounds.
    #[arg(long, default_value_t = Setting::default().items, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    items: u32,
    /// Items that a visitor meets before the first round: few are a young site, many an old one.
    #[arg(long, default_value_t = Setting::default().met, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    met: u32,
    /// Slates that a visitor sees in a round.
    #[arg(long, default_value_t = Setting::default().slates, value_parser = clap::value_parser!(u32).range(1..=100))]
    slates: u32,
    /// How far tastes move in a round, in standard deviations of tastes: 0 not at all, 1 to new ones.
    #[arg(long, default_value_t = Setting::default().drift)]
    drift: f64,
    /// Slots of a slate.
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    k: u32,
    /// No progress.
    #[arg(long)]
    quiet: bool,
    /// One JSON object: on standard output, or in FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    #[command(flatten)]
    exploring: Exploring,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    stop_on_ctrl_c();
    if !(0.0..=1.0).contains(&args.drift) {
        return Err(usage(format!("--drift {}: 0 to 1 expected", args.drift)));
    }
    let (seeds, mut policies) = (output::numbers(&args.seeds)?, Vec::new());
    for name in args.policies.split(',') {
        let known = POLICIES.iter().find(|known| **known == name);
        policies.push(*known.ok_or_else(|| usage(format!("no policy `{name}`; there are: {}", POLICIES.join(", "))))?);
    }
    let setting = Setting {
        users: args.users,
        items: args.items,
        met: args.met,
        rounds: args.rounds,
        slates: args.slates,
        drift: args.drift,
    };
    let mut all: Vec<(&str, Vec<Vec<Round>>)> = Vec::new();
    for policy in policies {
        let mut request: Request = args.exploring.request(args.k as usize)?;
        request.explore.policy = policy.into();
        let mut runs = Vec::new();
        for seed in &seeds {
            let folder = tempfile::tempdir()?;
            let rounds = simulate(setting, &request, *seed, folder.path())?;
            if let (false, Some(last)) = (args.quiet, rounds.last()) {
                eprintln!("{policy}, seed {seed}: regret {:.2}, coverage {:.3}", last.cumulative_regret, last.coverage);
            }
            runs.push(rounds);
        }
        all.push((policy, runs));
    }
    let report = report(&all, &seeds);
    output::print(&report, args.json.as_deref(), || table(&report))
}

/// A figure of all rounds, with its name.
type Figure = (&'static str, fn(&[Round]) -> f64);

/// Figures at the end.
const FIGURES: [Figure; 8] = [
    ("reward", |rounds| rounds.iter().map(|r| r.reward).sum::<f64>() / rounds.len() as f64),
    ("last_reward", |rounds| last(rounds).reward),
    ("cumulative_regret", |rounds| last(rounds).cumulative_regret),
    ("coverage", |rounds| last(rounds).coverage),
    ("gini", |rounds| last(rounds).gini),
    ("long_tail", |rounds| last(rounds).long_tail),
    ("discovery", |rounds| last(rounds).discovery),
    ("homogeneity", |rounds| last(rounds).homogeneity),
];

fn last(rounds: &[Round]) -> Round {
    rounds.last().copied().unwrap_or_default()
}

fn report(all: &[(&str, Vec<Vec<Round>>)], seeds: &[u64]) -> Value {
    let mut policies = Map::new();
    for (policy, runs) in all {
        let mut figures = Map::new();
        for (name, figure) in FIGURES {
            let values: Vec<f64> = runs.iter().map(|rounds| figure(rounds)).collect();
            // Beside the first policy, seed by seed: the same visitors, items and luck.
            let differences: Vec<f64> = runs.iter().zip(&all[0].1).map(|(own, first)| figure(own) - figure(first)).collect();
            figures.insert(name.into(), json!({ "mean": mean(&values), "half": half(&values), "diff": mean(&differences), "diff_half": half(&differences) }));
        }
        policies.insert((*policy).into(), json!({ "figures": figures, "rounds": runs }));
    }
    json!({ "seeds": seeds, "beside": all.first().map(|(policy, _)| policy), "policies": policies })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Half of the 95 % interval of a mean over seeds, by Student's t.
fn half(values: &[f64]) -> f64 {
    let n = values.len();
    if n < 2 {
        return 0.0;
    }
    let variance = values.iter().map(|x| (x - mean(values)) * (x - mean(values))).sum::<f64>() / (n - 1) as f64;
    student(n - 1) * (variance / n as f64).sqrt()
}

/// The 97.5th percentile of Student's t: from a table up to 10 degrees of freedom, then 1.96 + 2.4 / degrees, right to .005.
fn student(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
    TABLE.get(freedom - 1).copied().unwrap_or(1.96 + 2.4 / freedom as f64 + 3.0 / (freedom * freedom) as f64)
}

fn table(report: &Value) -> String {
    let mut text = format!("{:<16}", "");
    FIGURES.iter().for_each(|(name, _)| _ = write!(text, "{name:>19}"));
    text += "\n";
    for (policy, found) in report["policies"].as_object().into_iter().flatten() {
        _ = write!(text, "{policy:<16}");
        for (name, _) in FIGURES {
            let figure = &found["figures"][name];
            let number = |key: &str| figure[key].as_f64().unwrap_or(0.0);
            _ = write!(text, "{:>12.3} ±{:.3}", number("mean"), number("half"));
        }
        text += "\n";
    }
    text
}
