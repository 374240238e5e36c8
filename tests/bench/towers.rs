//! Writes graphs of user towers for `make bench-browser`: `OUT/NAME-L.onnx`, one for each encoder and history length L,
//! with initial weights and d = 64.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use foretaste_trainer::towers::{Encoder, SlotScale, UserShape, UserTower};
use foretaste_trainer::training::Config;

/// Number of context slots.
const CONTEXT: usize = 8;
/// Number of rows of every table.
const ROWS: usize = 16;

#[derive(Parser)]
struct Args {
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.out)?;
    for encoder in [Encoder::Pools, Encoder::Mean, Encoder::Sum, Encoder::Gru, Encoder::Transformer] {
        let shape = UserShape { encoder, dim: 64, hidden: 256, rows: [ROWS; 4], context: ROWS, rates: false };
        let tower = UserTower::start(shape, Config::default().pool_rates, 1);
        for len in [50, 200] {
            let name = format!("{encoder:?}-{len}.onnx").to_lowercase();
            std::fs::write(args.out.join(name), tower.onnx(len, CONTEXT, &SlotScale::default()))?;
        }
    }
    Ok(())
}
