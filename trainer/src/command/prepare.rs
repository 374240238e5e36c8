//! `foretaste prepare`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use foretaste_trainer::data::{inspect_folder, place_folder, write_tables};
use foretaste_trainer::report::data_report;
use serde_json::json;

use super::reading::Reading;

/// Check a data folder: write a report page, and tables that the other commands read faster.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste prepare --data data --out prepared")]
pub struct Args {
    /// The data folder. It has events; items, users and data.toml are optional.
    #[arg(long)]
    data: PathBuf,
    /// The folder to create, with report.html, Parquet tables and data.toml. Every `--data` accepts it in place of the
    /// data folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Print the findings as one JSON object; with FILE, write them there instead.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Do not print which kinds were chosen for undeclared columns. Bad rows are printed nevertheless.
    #[arg(long)]
    quiet: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let (data, notes) = inspect_folder(&args.data, &args.reading.options(args.quiet))?;
    place_folder(&args.out, |folder| {
        write_tables(&data, folder)?;
        fs::write(folder.join("report.html"), data_report(&data, &notes)).context("report.html")
    })?;
    let (users, items, events) = (data.users.len(), data.items.len(), data.events.len());
    let found = json!({
        "data": { "name": data.name, "sha256": data.sha256, "users": users, "items": items, "events": events },
        "found": notes,
    });
    match args.json {
        Some(None) => println!("{found}"),
        Some(Some(file)) => fs::write(&file, format!("{found}\n")).with_context(|| file.display().to_string())?,
        None => println!(
            "{}: {events} events, {users} users, {items} items; see {}",
            data.name,
            args.out.join("report.html").display()
        ),
    }
    Ok(())
}
