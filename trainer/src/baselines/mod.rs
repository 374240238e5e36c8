//! Simple recommenders to compare with, one per file. Settings are chosen on the split's validation part, or were
//! chosen on that of MovieLens 100K.

mod bpr;
mod content;
mod deep_mf;
mod item_knn;
mod popularity;
mod popularity_category;
mod popularity_decayed;
mod random;
pub mod ratings;
mod transitions;
mod user_knn;

use anyhow::{Result, bail};

use crate::data::Dataset;
use crate::factors::{Ease, Ials, Svd};
use crate::measure::validation_quality;
use crate::protocols::{Model, Protocol, Split};

/// Names of the baselines that can be run under a protocol.
pub fn names(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::P2 => &ratings::NAMES,
        Protocol::Cold => &["random", "popularity-category", "content"],
        _ => &NAMES,
    }
}

/// Names of all baselines that rank items.
const NAMES: [&str; 13] = [
    "random",
    "popularity",
    "popularity-decayed",
    "content",
    "user-knn",
    "item-knn",
    "svd",
    "bpr",
    "deep-mf",
    "ials",
    "ease",
    "ease-rec",
    "transitions",
];

/// Fits a baseline on the events that the split's model may see.
///
/// # Errors
/// An unknown name, or a catalog too large for a dense item-item matrix.
pub fn fit(name: &str, data: &Dataset, split: &Split) -> Result<Box<dyn Model>> {
    let (items, fitted) = (data.items.len(), split.fitted());
    let quality = &validation_quality(data, split);
    Ok(match name {
        "random" => Box::new(random::Random { items }),
        "popularity" => Box::new(popularity::Popularity::fit(items, fitted)),
        "popularity-decayed" => Box::new(popularity_decayed::DecayedPopularity::fit(data, split, quality)),
        "popularity-category" => Box::new(popularity_category::CategoryPopularity::fit(data, fitted)),
        "content" => Box::new(content::Content::fit(data)),
        "user-knn" => Box::new(user_knn::UserKnn::fit(items, fitted)),
        "svd" => Box::new(Svd::fit(items, split, quality)),
        "bpr" => Box::new(bpr::Bpr::fit(data, split, quality)),
        "deep-mf" => Box::new(deep_mf::DeepMf::fit(data, split, quality)),
        "ials" => Box::new(Ials::fit(items, split, quality)),
        "item-knn" => Box::new(item_knn::ItemKnn::fit(items, fitted)?),
        "ease" => Box::new(Ease::fit(items, fitted, None)?),
        "ease-rec" => {
            // Predicting the next item needs a shorter memory than predicting the next fifth of a history.
            let half_life = if matches!(split.protocol, Protocol::P3 | Protocol::P5) { 3.0 } else { 8.0 };
            Box::new(Ease::fit(items, fitted, Some(half_life))?)
        }
        "transitions" => Box::new(transitions::Transitions::fit(items, split, quality)?),
        other => bail!("no baseline `{other}`; there are: {}", NAMES.join(", ")),
    })
}
