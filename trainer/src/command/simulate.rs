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
    /// Visitors at a time.
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
    /// Share of visitors that are others in the next round, without a history: 0 all stay, 1 all are new.
    #[arg(long, default_value_t = Setting::default().newcomers)]
    newcomers: f64,
    /// Slots of a slate.
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    k: u32,
    /// A page for people: curves, costs and benefits with intervals, and which policy to take when.
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
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
    for (name, x) in [("--drift", args.drift), ("--newcomers", args.newcomers)] {
        if !(0.0..=1.0).contains(&x) {
            return Err(usage(format!("{name} {x}: 0 to 1 expected")));
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
