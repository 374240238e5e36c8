//! Writes graphs for `make bench-browser`, with initial weights and d = 64: user towers `OUT/NAME-L.onnx`, one for each
//! encoder and history length L, and rankers `OUT/ranker-NAME.onnx`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use foretaste_trainer::ranker::{Network, Ranker, RankerShape};
use foretaste_trainer::towers::{Encoder, SlotScale, UserShape, UserTower};
use foretaste_trainer::training::Config;

/// Number of context slots.
const CONTEXT: usize = 8;
/// Number of rows of every table.
const ROWS: usize = 16;
/// Most slots of a candidate, and rows of the ranker's tables.
const RANKER: [usize; 2] = [40, 400];

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
    for network in [Network::Dcn, Network::WideDeep] {
        let ranker: Ranker = Ranker::start(RankerShape { network, dim: 64, slots: RANKER[1], heads: 1 }, Some((0, 1.0)), 1);
        let straight: Vec<f32> = (0..64 * 64).map(|i| f32::from(u8::from(i % 65 == 0))).collect();
        let name = format!("ranker-{network:?}.onnx").to_lowercase();
        std::fs::write(args.out.join(name), ranker.onnx(RANKER[0], &straight))?;
    }
    Ok(())
}
