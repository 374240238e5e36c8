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
#[command(after_help = "\
example: foretaste prepare --data data --out prepared

a data folder:
  events.csv   an event a row: user, item; optional: timestamp, rating, type
               timestamp is in Unix seconds, or an ISO 8601 date or time (UTC if it has no offset)
  items.csv    optional; an item a row: item, title and any other columns
  users.csv    optional; a user a row: user and any other columns
  data.toml    optional; other names and kinds of columns, the meaning of types:
                 time_unit = \"ms\"
                 [columns]
                 user = \"User_ID\"
                 [items.year]
                 kind = \"category\"   (set, number, text, vector, ignore)
                 [types.skip]
                 positive = false
Each table may also be .tsv (without quotes) or .jsonl, all three with .gz, or .parquet. A Parquet table may be a folder
of two or more parts, or of one part and _SUCCESS. In .csv the header says whether commas or semicolons separate.
The kind of a column that data.toml does not declare is the type that a Parquet file gives it. Otherwise cells with `|`
make a set, and 95 % of numbers a number; the rest is a category, or a text if it has more than 1,000 values.")]
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
    /// Do not print notes: kinds that were chosen for undeclared columns, columns that are not read, how the tables
    /// meet. Bad rows and warnings are printed nevertheless.
    #[arg(long)]
    quiet: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let (data, notes) = inspect_folder(&args.data, &args.reading.to_learn(args.quiet))?;
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
