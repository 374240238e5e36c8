//! `foretaste features`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use foretaste_trainer::data::read_folder;
use foretaste_trainer::ranker::values_at;

use super::reading::Reading;

/// Look at the features that a ranker reads.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Get(Get),
}

/// Print the features of a visitor at a moment as JSON: those that data.toml declares, or default ones.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste features get --data data --user 7 --item 50 --at 893286638")]
struct Get {
    /// A data folder, or what `prepare` made of one.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// The visitor.
    #[arg(long, value_name = "ID")]
    user: String,
    /// A candidate. Without one, features of items are left out, and others are told for each value that they are
    /// counted by.
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// The moment in Unix seconds: only earlier events count. Without it all events do.
    #[arg(long, value_name = "UNIX")]
    at: Option<i64>,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let Verb::Get(args) = args.verb;
    let data = read_folder(&args.data, &args.reading.options(true))?;
    let place = |ids: &[String], id: &str, what: &str| {
        ids.iter().position(|known| known == id).with_context(|| format!("the data has no {what} `{id}`"))
    };
    let user = place(&data.users, &args.user, "user")?;
    let item = args.item.as_deref().map(|id| place(&data.items, id, "item")).transpose()?;
    let values = values_at(&data, user, item.map(|row| row as u32), args.at.map(|at| at.saturating_mul(1000)));
    println!("{}", serde_json::to_string_pretty(&values)?);
    Ok(())
}
