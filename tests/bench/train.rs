//! Runs a training without validation for `make bench-train`. Prints `{"epoch_s", "epoch_cpu_s", "peak_mb"}`: the mean
//! seconds and CPU seconds of an epoch, and the peak memory.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use foretaste_trainer::data::{ReadOptions, read_folder};
use foretaste_trainer::evaluate::{Stopwatch, peak_mb};
use foretaste_trainer::protocols::{Protocol, Split};
use foretaste_trainer::towers::Encoder;
use foretaste_trainer::training::{Config, TrainOptions, train};

#[derive(Parser)]
struct Args {
    #[arg(long)]
    data: PathBuf,
    /// `sasrec` or `two-tower`.
    #[arg(long)]
    model: String,
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let data = read_folder(&args.data, &ReadOptions { quiet: true, ..ReadOptions::default() })?;
    let split = Split { valid: vec![], ..Split::of(&data, Protocol::P3, None)? };
    let base = Config { inputs: vec![], next_weight: 1.0, dropout: 0.2, id_dropout: 0.0, average: 0.0, ..Config::default() };
    let config = match args.model.as_str() {
        // One window of 50 events for each user in an epoch, as the peer has it.
        "sasrec" => Config { encoder: Some(Encoder::Transformer), window: 51, history_len: 50, batch: 128, hidden: 256, ..base },
        // Each epoch uses every training event once.
        _ => Config { encoder: Some(Encoder::Mean), dim: 32, hidden: 32, window: 10_000, batch: 64, ..base },
    };
    let watch = Stopwatch::start();
    let run = train(&data, &split, &config, 1, &args.out, TrainOptions { quiet: true, ..TrainOptions::default() })?;
    let ((wall, cpu), epochs) = (watch.seconds(), run.card.curve.len() as f64);
    println!("{}", serde_json::json!({ "epoch_s": wall / epochs, "epoch_cpu_s": cpu / epochs, "peak_mb": peak_mb() }));
    Ok(())
}
