//! `foretaste log`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Subcommand, ValueEnum};
use foretaste_trainer::log::{dsjson, ga4, obp, parquet};

use super::{logs, output};

/// Work with the logs that pages export.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Convert(Convert),
}

/// Convert logs to a form that other tools read. Nothing is sent anywhere.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste log convert visitors/*.jsonl --to parquet --out slots.parquet")]
struct Convert {
    /// Exported logs (JSON lines, also .gz), one file for each visitor: its name, or that of its folder, is the
    /// visitor.
    #[arg(required = true, value_name = "FILE.jsonl")]
    logs: Vec<PathBuf>,
    /// The form to write.
    #[arg(long, value_enum)]
    to: Form,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// A Parquet table with one row for each slot.
    Parquet,
    /// JSON lines for Vowpal Wabbit, one for each slot. Each decision has one action, the shown one: use them to learn,
    /// and do not read the average loss or other estimates that Vowpal Wabbit prints.
    Dsjson,
    /// CSV for Open Bandit Pipeline, one line for each slot.
    Obp,
    /// JSON lines as Google Analytics 4 exports them to BigQuery, one for each line of the log.
    Ga4,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let Verb::Convert(Convert { logs: files, to, out }) = args.verb;
    let logs = logs::visitors(&files, 0.0)?;
    let visitors = logs.visitors;
    match to {
        Form::Parquet => parquet(&visitors, &out)?,
        Form::Dsjson => write(&out, &dsjson(&visitors))?,
        Form::Obp => write(&out, &obp(&visitors))?,
        Form::Ga4 => write(&out, &ga4(&visitors))?,
    }
    let slates: usize = visitors.iter().map(|v| v.shown().len()).sum();
    eprintln!("converted: {slates} slates of {} visitors: {}", visitors.len(), out.display());
    logs.warnings.iter().for_each(|warning| output::warn(warning));
    if matches!(to, Form::Dsjson) {
        output::warn(
            "each decision has one action, the shown one, so the average loss and other estimates that Vowpal Wabbit prints mean \
             nothing; use `foretaste ope`",
        );
    }
    Ok(())
}

fn write(out: &Path, text: &str) -> Result<()> {
    std::fs::write(out, text).with_context(|| format!("{}: cannot be written", out.display()))
}
