//! `foretaste features`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use foretaste_trainer::data::read_folder;
use foretaste_trainer::ranker::{stored_values, values_at, write_store};
use foretaste_trainer::training::{of_visitor, replay};
use foretaste_trainer::verify::read_bundle;
use serde_json::json;

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
    Write(Write),
    Replay(Replay),
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
    /// Read the tables that `features write` wrote here, instead of counting events.
    #[arg(long, value_name = "STORE")]
    offline: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// Write the values of all features over time as tables of Parquet: the offline store. If it has tables of the same
/// features, only what later events change is added.
#[derive(clap::Args)]
#[command(after_help = "\
example: foretaste features write --data data --offline store

STORE/HASH/ has a folder of Parquet files for each entity (`user`, `user.COLUMN`, `item`, `item.COLUMN`), and store.json,
which names them. HASH is that of the features' specification, so other features have other tables. A row has the keys of
the entity, `event_timestamp`, and a column for each feature.")]
struct Write {
    /// A data folder, or what `prepare` made of one: with all events, earlier ones among them.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// The folder of the store.
    #[arg(long, value_name = "STORE")]
    offline: PathBuf,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Replay the histories of all users, and some with planted faults, through the profile and the encoding of a page, and
/// compare what a ranker reads of a visitor after each event with what the trainer reads. One difference is an error.
#[derive(clap::Args)]
#[command(after_help = "\
example: foretaste features replay models/demo --data data

A bundle without a ranker is asked for what a ranker of this data would read. Views of items are left out: their values
are those of the bundle's time. With --out a page can be asked the same: the first line is `ranker`, what the manifest
would say, and each further line a visitor: `record` and `remove` (the number of a step), then `asked` with the values.")]
struct Replay {
    /// A bundle that was made from the data.
    bundle: PathBuf,
    /// A data folder, or what `prepare` made of one.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// Ask after every n-th event of a user.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    every: u32,
    /// Write the events and the values here, as lines of JSON.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    match args.verb {
        Verb::Get(args) => get(args),
        Verb::Write(args) => write(args),
        Verb::Replay(args) => run_replay(args),
    }
}

fn run_replay(args: Replay) -> Result<()> {
    let data = read_folder(&args.data, &args.reading.options(true))?;
    let bundle = read_bundle(&args.bundle)?;
    let name = |path: &PathBuf| path.display().to_string();
    let create = |path: &PathBuf| std::fs::File::create(path).with_context(|| name(path));
    let mut out = args.out.as_ref().map(create).transpose()?.map(std::io::BufWriter::new);
    let mut write = |line: &serde_json::Value| match (&mut out, &args.out) {
        (Some(out), Some(path)) => writeln!(out, "{line}").with_context(|| name(path)),
        _ => Ok(()),
    };
    write(&json!({ "ranker": of_visitor(&data, &bundle.manifest.encoding, bundle.manifest.ranker.as_ref()) }))?;
    let found = replay(bundle, &data, args.every as usize, |way| write(&json!(way)))?;
    if let (Some(out), Some(path)) = (&mut out, &args.out) {
        out.flush().with_context(|| name(path))?;
    }
    let (moments, values, differences) = (found.moments, found.values, found.differences);
    if args.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        found.named.iter().for_each(|difference| eprintln!("{difference}"));
        let of = format!("{} visitors and {} planted ones", found.visitors, found.planted);
        println!("{of}: {values} values at {moments} moments, {differences} of these differ");
    }
    if differences > 0 {
        let other = if found.is_of_data { "" } else { ": the bundle was made from other data" };
        bail!("the page reads other values than the trainer at {differences} of {moments} moments{other}");
    }
    Ok(())
}

fn write(args: Write) -> Result<()> {
    let data = read_folder(&args.data, &args.reading.options(true))?;
    let found = write_store(&data, &args.offline)?;
    if args.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        let of = |(table, rows): (&String, &u64)| format!("{table} {rows}");
        let added: Vec<String> = found.added.iter().map(of).collect();
        println!("{}: rows added until {}: {}", found.folder, found.through / 1000, added.join(", "));
    }
    Ok(())
}

fn get(args: Get) -> Result<()> {
    let data = read_folder(&args.data, &args.reading.options(true))?;
    let place = |ids: &[String], id: &str, what: &str| {
        ids.iter().position(|known| known == id).with_context(|| format!("the data has no {what} `{id}`"))
    };
    let user = place(&data.users, &args.user, "user")?;
    let item = args.item.as_deref().map(|id| place(&data.items, id, "item")).transpose()?;
    let (item, at) = (item.map(|row| row as u32), args.at.map(|at| at.saturating_mul(1000)));
    let values = match &args.offline {
        Some(store) => stored_values(&data, store, user, item, at)?,
        None => values_at(&data, user, item, at),
    };
    println!("{}", serde_json::to_string_pretty(&values)?);
    Ok(())
}
