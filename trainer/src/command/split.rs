//! `foretaste split`.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context, Result};
use foretaste_trainer::data::read_folder;
use foretaste_trainer::protocols::{Protocol, write_split};

use super::reading::Reading;

/// Write a CSV file that says which part of a protocol each event belongs to.
#[derive(clap::Args)]
#[command(after_help = "example: foretaste split --data data --protocol p4 --out split.csv")]
pub struct Args {
    /// A data folder, or what `prepare` made of one.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// The protocol that splits the events.
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// Salt of P1: another salt gives another random split.
    #[arg(long, default_value_t = 0)]
    salt: u32,
    /// The file to write.
    #[arg(long, value_name = "FILE.csv")]
    out: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<()> {
    let data = read_folder(&args.data, &args.reading.options(true))?;
    let named = || format!("{}: cannot be written", args.out.display());
    let file = File::create(&args.out).with_context(named)?;
    write_split(&data, args.protocol, args.salt, BufWriter::new(file)).with_context(named)
}
