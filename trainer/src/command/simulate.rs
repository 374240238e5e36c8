//! `foretaste simulate`.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Result;
use foretaste::Request;
use foretaste::explore::POLICIES;
use foretaste_trainer::report::simulation_report;
use foretaste_trainer::simulate::{FIGURES, Outcome, Setting, simulate};
use foretaste_trainer::training::stop_on_ctrl_c;

use super::explore::Exploring;
use super::{output, usage};

/// Measure what exploration costs and earns, with simulated visitors.
///
/// In each round the visitors see slates and answer them, then the towers learn from the answers. The visitors' tastes
/// are known and drift, and no dot product describes them exactly. New items are released during the rounds, and clicks
/// depend on the position in the slate. Rewards and regrets are computed from the true click probabilities, so they are
/// free of the luck of single clicks.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste simulate --policies greedy,thompson --seeds 0,1,2 --rounds 10")]
pub struct Args {
    /// Policies to compare, separated by commas.
    #[arg(long, value_name = "LIST", default_value = "greedy,epsilon-greedy,softmax,ucb,thompson")]
    policies: String,
    /// Seeds of the simulated world, as `0,1,2` or `0-2`. More seeds give narrower intervals and take longer.
    #[arg(long, value_name = "LIST", default_value = "0,1,2")]
    seeds: String,
    /// Number of rounds of serving and learning.
    #[arg(long, default_value_t = Setting::default().rounds, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Number of visitors in each round.
    #[arg(long, default_value_t = Setting::default().users, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    users: u32,
    /// Number of items. Half of them are released during the rounds.
    #[arg(long, default_value_t = Setting::default().items, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    items: u32,
    /// Number of items that a visitor has met before the first round: small values simulate a young site, large values
    /// an old one.
    #[arg(long, default_value_t = Setting::default().met, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    met: u32,
    /// Number of slates that a visitor sees in a round.
    #[arg(long, default_value_t = Setting::default().slates, value_parser = clap::value_parser!(u32).range(1..=100))]
    slates: u32,
    /// How far tastes move in a round, in standard deviations of tastes: 0 keeps them, 1 replaces them with new ones.
    #[arg(long, default_value_t = Setting::default().drift)]
    drift: f64,
    /// Share of visitors that are replaced after a round by new ones without a history: 0 keeps all, 1 replaces all.
    #[arg(long, default_value_t = Setting::default().newcomers)]
    newcomers: f64,
    /// Number of slots in a slate.
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    k: u32,
    /// Also write a web page with curves, costs and benefits with intervals, and advice on which policy to choose when.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Print no progress.
    #[arg(long)]
    quiet: bool,
    /// Print one JSON object instead of the table; with FILE, write it there and print the table too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    #[command(flatten)]
    exploring: Exploring,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    stop_on_ctrl_c();
    for (name, x) in [("--drift", args.drift), ("--newcomers", args.newcomers)] {
        if !(0.0..=1.0).contains(&x) {
            return Err(usage(format!("{name} {x}: expected 0 to 1")));
        }
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
        newcomers: args.newcomers,
    };
    let mut outcome = Outcome { seeds, ..Outcome::default() };
    for policy in policies {
        let mut request: Request = args.exploring.request(args.k as usize)?;
        request.explore.policy = policy.into();
        let mut runs = Vec::new();
        for seed in &outcome.seeds {
            let folder = tempfile::tempdir()?;
            let rounds = simulate(setting, &request, *seed, folder.path())?;
            if let (false, Some(last)) = (args.quiet, rounds.last()) {
                eprintln!("{policy}, seed {seed}: regret {:.2}, coverage {:.3}", last.cumulative_regret, last.coverage);
            }
            runs.push(rounds);
        }
        outcome.policies.push((policy.into(), runs));
    }
    if let Some(file) = &args.report {
        output::page(file, &simulation_report(&outcome, &setting, args.k as usize))?;
    }
    output::print(&outcome, args.json.as_deref(), || table(&outcome))
}

fn table(outcome: &Outcome) -> String {
    let mut text = format!("{:<16}", "");
    FIGURES.iter().for_each(|(name, _)| _ = write!(text, "{name:>19}"));
    text += "\n";
    for (policy, (name, _)) in outcome.policies.iter().enumerate() {
        _ = write!(text, "{name:<16}");
        for (_, figure) in FIGURES {
            let found = outcome.figure(policy, figure);
            _ = write!(text, "{:>12.3} ±{:.3}", found.mean, found.half);
        }
        text += "\n";
    }
    text
}
