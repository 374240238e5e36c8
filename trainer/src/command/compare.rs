//! `foretaste compare`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use foretaste_trainer::data::{Dataset, read_folder};
use foretaste_trainer::evaluate::{Paired, Vectors, check_fits, measure_bundle};
use foretaste_trainer::export::{Contents, export};
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::training::Run;
use foretaste_trainer::verify::open_bundle;
use serde::Serialize;

use super::output;
use super::reading::Reading;

/// Compare two runs on the test part of their split, through the bundles that they export.
///
/// Both must have been trained on the same data and split. For every metric it says whether the difference is more than
/// chance, and it names the users who gained and lost most.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste compare run-a run-b --data data")]
pub struct Args {
    /// The first run.
    #[arg(value_name = "RUN_A")]
    first: PathBuf,
    /// The second run; differences are second minus first.
    #[arg(value_name = "RUN_B")]
    second: PathBuf,
    /// The data folder that both were trained on.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// How many of the users who gained most, and of those who lost most, are named.
    #[arg(long, value_name = "N", default_value_t = 5)]
    users: usize,
    /// Seed of the draws of the tests.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object instead of the table; with FILE, write it there and print the table too.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// How two runs differ.
#[derive(Debug, Serialize)]
struct Comparison {
    protocol: &'static str,
    /// The protocol's goal, by which users are ordered.
    goal: String,
    /// By metric.
    metrics: BTreeMap<String, Paired>,
    /// The users whose goal got better most, and those whose goal got worse most.
    gained: Vec<UserDifference>,
    lost: Vec<UserDifference>,
}

/// The mean difference of the goal over a user's queries, second run minus first.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct UserDifference {
    user: String,
    diff: f64,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let runs = [&args.first, &args.second].map(|folder| Run::load(folder));
    let [first, second] = runs;
    let (first, second) = (first?, second?);
    let (a, b) = (&first.card.trained_on, &second.card.trained_on);
    ensure!(
        (&a.protocol, a.fold, &a.data_sha256) == (&b.protocol, b.fold, &b.data_sha256),
        "the runs have seen other data or another split: {} {} and {} {}",
        a.protocol,
        a.fold.unwrap_or(0),
        b.protocol,
        b.fold.unwrap_or(0)
    );
    let protocol = <Protocol as clap::ValueEnum>::from_str(&a.protocol, false).map_err(anyhow::Error::msg)?;
    ensure!(
        protocol != Protocol::All,
        "both runs have seen every event, so there is nothing left to test on: train with --protocol"
    );
    let data = read_folder(&args.data, &args.reading.options(true))?;
    let split = Split::of(&data, protocol, a.fold)?;
    let work = tempfile::tempdir().context("no temporary folder")?;
    let figures = |run: &Run, folder: &Path| {
        export(run, folder, Contents::default())?;
        let recommender = open_bundle(folder)?;
        check_fits(&recommender, &data, &split)?;
        measure_bundle(&recommender, &data, &split, Vectors::Shipped)
    };
    let (x, y) = (figures(&first, &work.path().join("a"))?, figures(&second, &work.path().join("b"))?);
    let shared =
        x.values.iter().filter_map(|(metric, x)| Some((metric.clone(), Paired::of(x, y.values.get(metric)?, args.seed))));
    let goal = protocol.goal();
    let users = by_user(&data, &split, &x.values[&goal.name()], &y.values[&goal.name()]);
    let better = goal.metric.better.sign();
    let most = |sign: f64| -> Vec<UserDifference> {
        let mut of: Vec<_> = users.iter().filter(|u| sign * u.diff > 0.0).cloned().collect();
        of.sort_by(|a, b| (sign * b.diff).total_cmp(&(sign * a.diff)));
        of.truncate(args.users);
        of
    };
    let (gained, lost) = (most(better), most(-better));
    let comparison = Comparison { protocol: protocol.name(), goal: goal.name(), metrics: shared.collect(), gained, lost };
    output::print(&comparison, args.json.as_deref(), || comparison.table())
}

/// The mean difference of the goal for each user, in the order of their numbers.
fn by_user(data: &Dataset, split: &Split, first: &[f64], second: &[f64]) -> Vec<UserDifference> {
    let goal = split.protocol.goal();
    let users = split.test.iter().flat_map(|query| std::iter::repeat_n(query.user, goal.values(query)));
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for (user, (a, b)) in users.zip(first.iter().zip(second)) {
        let (sum, n) = sums.entry(user).or_default();
        (*sum, *n) = (*sum + b - a, *n + 1.0);
    }
    sums.into_iter().map(|(user, (sum, n))| UserDifference { user: data.users[user as usize].clone(), diff: sum / n }).collect()
}

impl Comparison {
    fn table(&self) -> String {
        let mut out = format!("{:<16}{:>10}{:>10}{:>12}   {:<22}{:>8}", self.protocol, "A", "B", "B − A", "95 %", "p");
        for (metric, p) in &self.metrics {
            let interval = format!("[{:+.4}, {:+.4}]", p.ci95[0], p.ci95[1]);
            out.push_str(&format!(
                "\n{metric:<16}{:>10.4}{:>10.4}{:>+12.4}   {interval:<22}{:>8.4}",
                p.first, p.second, p.diff, p.p
            ));
        }
        for (name, users) in [("gained", &self.gained), ("lost", &self.lost)] {
            let users: Vec<String> = users.iter().map(|u| format!("{} {:+.3}", u.user, u.diff)).collect();
            out.push_str(&format!(
                "\nmost {name} ({}): {}",
                self.goal,
                if users.is_empty() { "nobody".into() } else { users.join(", ") }
            ));
        }
        out.push('\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_who_gained_and_lost() {
        let user = |user: &str, diff| UserDifference { user: user.into(), diff };
        let metrics = BTreeMap::from([("ndcg@10".to_owned(), Paired::of(&[0.0, 1.0], &[1.0, 1.0], 0))]);
        let c = Comparison { protocol: "p3", goal: "ndcg@10".into(), metrics, gained: vec![user("7", 1.0)], lost: vec![] };
        let table = c.table();
        assert!(
            table.contains("+0.5000") && table.contains("gained (ndcg@10): 7 +1.000") && table.contains("lost (ndcg@10): nobody")
        );
    }
}
