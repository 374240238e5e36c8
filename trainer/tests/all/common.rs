//! Generated data, and a training that is short but long enough to learn something.

use std::path::Path;

use foretaste_trainer::data::{Dataset, ReadOptions, read_folder, synthetic};
use foretaste_trainer::export::{Contents, export};
use foretaste_trainer::protocols::Split;
use foretaste_trainer::training::{Config, Run, TrainOptions, train};

/// Settings of a quick training. Each differs from its default.
pub fn small() -> Config {
    Config {
        dim: 16,
        hidden: 32,
        history_len: 30,
        history_cap: 100,
        window: 40,
        max_epochs: 15,
        rating_weight: 1.0,
        ..Config::default()
    }
}

/// Writes generated data to `folder/data` and reads it.
pub fn generated(folder: &Path, users: u32, items: u32, events: u32) -> Dataset {
    let data = folder.join("data");
    std::fs::create_dir(&data).unwrap();
    synthetic::write(&synthetic::Size { users, items, events }, 5, &data).unwrap();
    read_folder(&data, &ReadOptions { quiet: true, ..ReadOptions::default() }).unwrap()
}

/// Trains and exports into `folder/run` and `folder/bundle`.
pub fn trained(data: &Dataset, split: &Split, config: &Config, folder: &Path) -> Run {
    let run =
        train(data, split, config, 3, &folder.join("run"), TrainOptions { quiet: true, ..TrainOptions::default() }).unwrap();
    export(&run, &folder.join("bundle"), Contents::default()).unwrap();
    run
}
