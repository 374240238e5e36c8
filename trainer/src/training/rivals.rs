//! Is a cheap model better on validation? A training says so before anybody ships it.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::neighbours::EASE_ITEMS;
use super::validation::Validation;
use crate::baselines;
use crate::data::Dataset;
use crate::protocols::{Protocol, Split};

/// The models, cheapest first.
const CHEAP: [&str; 6] = ["popularity", "popularity-decayed", "item-knn", "ease-rec", "transitions", "ials"];
/// Most multiplications of iALS, about a minute of one core.
const MOST_WORK: usize = 100_000_000_000;

/// The best of the cheap models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rival {
    /// Its name.
    pub name: String,
    /// Its figure on validation.
    pub valid: f64,
    /// Ours on the same queries.
    pub ours: f64,
}

impl Rival {
    /// A sentence for the model card if the cheap model is better, else nothing.
    pub fn warning(&self) -> String {
        let Rival { name, valid, ours } = self;
        if valid > ours {
            format!(" On validation the baseline {name} was better: {valid:.4} against {ours:.4}.")
        } else {
            String::new()
        }
    }
}

/// The best cheap model that is learnt from what the towers are learnt from; `None` if there is nothing to rank.
/// `ours` is our quality on the queries of [`Validation::mean_gain`].
///
/// # Errors
/// A model that cannot be fitted.
pub fn best(data: &Dataset, split: &Split, validation: &Validation, ours: f64) -> Result<Option<Rival>> {
    let ranks = !matches!(split.protocol, Protocol::P2 | Protocol::Cold) && !validation.is_empty();
    let train = Split { refit: None, test: Vec::new(), ..split.clone() };
    let mut best: Option<Rival> = None;
    for name in CHEAP.into_iter().filter(|name| ranks && is_cheap(name, data, split)) {
        let model = baselines::fit(name, data, &train)?;
        let valid = validation.mean_gain(|_, query| model.scores(query));
        if best.as_ref().is_none_or(|best| valid > best.valid) {
            best = Some(Rival { name: name.into(), valid, ours });
        }
    }
    Ok(best)
}

fn is_cheap(name: &str, data: &Dataset, split: &Split) -> bool {
    let (users, items) = (split.train.len(), data.items.len());
    let events: usize = split.train.iter().map(|sequence| sequence.events.len()).sum();
    match name {
        "item-knn" | "ease-rec" => items <= EASE_ITEMS,
        // Twelve sweeps of seven settings: 64 × 64 for each event on both sides, and a system of 64 unknowns for each.
        "ials" => 84 * (2 * events * 64 * 64 + (users + items) * 64 * 64 * 64 / 3) <= MOST_WORK,
        _ => true,
    }
}
