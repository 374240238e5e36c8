//! Cheap recommenders to compare with, one a file. Settings are chosen on the split's validation part, or were on that of MovieLens
//! 100K.

mod bpr;
mod content;
mod deep_mf;
mod ease;
mod ials;
mod inverse;
mod item_knn;
mod popularity;
mod popularity_category;
mod popularity_decayed;
mod random;
pub mod ratings;
mod subspace;
mod svd;
mod user_knn;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::data::Dataset;
use crate::evaluate::{goal, measure};
use crate::protocols::{Protocol, Query, Sequence, Split, distinct};

/// A fitted recommender.
pub trait Baseline: Send + Sync {
    /// Scores of all items for a visitor: `[items]`, higher is better.
    fn scores(&self, query: &Query) -> Vec<f32>;
}

/// Names of the baselines that a protocol can be measured with.
pub fn names(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::P2 => &ratings::NAMES,
        Protocol::Cold => &["random", "popularity-category", "content"],
        _ => &NAMES,
    }
}

/// Names of all baselines that rank.
const NAMES: [&str; 12] = [
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
];

/// Fits a baseline on what the split's model may have seen.
///
/// # Errors
/// An unknown name; a catalog too large for a dense item-item matrix.
pub fn fit(name: &str, data: &Dataset, split: &Split) -> Result<Box<dyn Baseline>> {
    let (items, fitted) = (data.items.len(), split.fitted());
    Ok(match name {
        "random" => Box::new(random::Random { items }),
        "popularity" => Box::new(popularity::Popularity::fit(items, fitted)),
        "popularity-decayed" => Box::new(popularity_decayed::DecayedPopularity::fit(data, split)),
        "popularity-category" => Box::new(popularity_category::CategoryPopularity::fit(data, fitted)),
        "content" => Box::new(content::Content::fit(data)),
        "user-knn" => Box::new(user_knn::UserKnn::fit(items, fitted)),
        "svd" => Box::new(svd::Svd::fit(data, split)),
        "bpr" => Box::new(bpr::Bpr::fit(data, split)),
        "deep-mf" => Box::new(deep_mf::DeepMf::fit(data, split)),
        "ials" => Box::new(ials::Ials::fit(data, split)),
        "item-knn" => Box::new(item_knn::ItemKnn::fit(items, fitted)?),
        "ease" => Box::new(ease::Ease::fit(items, fitted, None)?),
        "ease-rec" => {
            // The next item asks for a shorter memory than the next fifth of a history.
            let half_life = if matches!(split.protocol, Protocol::P3 | Protocol::P5) { 3.0 } else { 8.0 };
            Box::new(ease::Ease::fit(items, fitted, Some(half_life))?)
        }
        other => bail!("no baseline `{other}`; there are: {}", NAMES.join(", ")),
    })
}

/// A factorisation that has a vector for every item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factors {
    /// Truncated SVD.
    Svd,
    /// Alternating least squares, its setting chosen on validation.
    Ials,
    /// The strongest directions of EASE's matrix.
    Ease,
}

impl Factors {
    /// Vectors of all items `[items, dim]`, learnt from `fitted`. Dimensions beyond the number of items are 0.
    ///
    /// # Errors
    /// A catalog too large for EASE's dense matrix.
    pub fn vectors(self, data: &Dataset, split: &Split, fitted: &[Sequence], dim: usize) -> Result<Vec<f64>> {
        let items = data.items.len();
        let vectors = match self {
            Factors::Svd => svd::Svd::with(items, fitted, dim).vectors(),
            Factors::Ials => ials::Ials::fit_on(data, split, fitted, dim).into_vectors(),
            Factors::Ease => ease::Ease::fit(items, fitted, None)?.vectors(dim),
        };
        Ok(padded(&vectors, vectors.len() / items.max(1), dim))
    }
}

/// Rows of `rank` numbers with zeros up to `dim`.
fn padded(rows: &[f64], rank: usize, dim: usize) -> Vec<f64> {
    let row = |row: &[f64]| row.iter().copied().chain(std::iter::repeat(0.0)).take(dim).collect::<Vec<f64>>();
    rows.chunks_exact(rank.max(1)).flat_map(row).collect()
}

/// y and z `[items, rank]` of EASE, so that a history's scores are about Σ y_i · z_j.
///
/// # Errors
/// A catalog too large for EASE's dense matrix.
pub fn linear(items: usize, fitted: &[Sequence], rank: usize) -> Result<[Vec<f64>; 2]> {
    ease::Ease::parts(items, fitted, rank)
}

/// Validation queries that choose a setting, at most.
const CHOOSING: usize = 1000;

/// A model with the setting that is best on the split's validation part.
fn chosen<S: Copy, M: Baseline>(data: &Dataset, split: &Split, settings: &[S], fit: impl Fn(&[Sequence], S) -> M) -> M {
    fit(split.fitted(), best(data, split, settings, &fit))
}

/// The setting that is best on the split's validation part; the first of equals.
fn best<S: Copy, M: Baseline>(data: &Dataset, split: &Split, settings: &[S], fit: impl Fn(&[Sequence], S) -> M) -> S {
    let queries: Vec<Query> = split.valid.iter().step_by(split.valid.len() / CHOOSING + 1).cloned().collect();
    let quality = |setting| {
        let model = fit(&split.train, setting);
        let figures = measure(data, split, &queries, |query| Ok(model.scores(query))).unwrap_or_default();
        figures.values.get(goal(split.protocol)).map_or(0.0, |values| values.iter().sum::<f64>())
    };
    let best = settings.iter().map(|s| (quality(*s), *s)).reduce(|a, b| if b.0 > a.0 { b } else { a });
    best.map_or(settings[0], |(_, setting)| setting)
}

/// Most items of a dense item-item matrix: 20,000² numbers are 1.6 GB.
const MAX_DENSE: usize = 20_000;

/// XᵀX of the binary user-item matrix: users who had both items, `[items, items]`.
fn co_occurrence(items: usize, fitted: &[Sequence]) -> Result<Vec<f32>> {
    if items > MAX_DENSE {
        bail!(
            "a dense item-item matrix has at most {MAX_DENSE} items, the data has {items}: leave item-knn, ease and ease-rec out"
        );
    }
    let mut gram = vec![0.0; items * items];
    for sequence in fitted {
        let distinct = distinct(&sequence.events);
        for a in &distinct {
            distinct.iter().for_each(|b| gram[*a as usize * items + *b as usize] += 1.0);
        }
    }
    Ok(gram)
}

/// Users of each item, from the items of each user.
fn inverted(items: usize, items_of: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let mut users_of = vec![Vec::new(); items];
    for (user, items) in items_of.iter().enumerate() {
        items.iter().for_each(|item| users_of[*item as usize].push(user as u32));
    }
    users_of
}

/// Σ over the history of weight · row of the item: the score of every item. `weight` gets the event's age, 0 for the newest;
/// an item that occurs again counts once, at its newest.
fn weighted_rows(matrix: &[f32], items: usize, query: &Query, weight: impl Fn(usize) -> f32) -> Vec<f32> {
    let mut scores = vec![0.0; items];
    let mut seen = vec![false; items];
    for (age, event) in query.history.iter().rev().enumerate() {
        let item = event.item as usize;
        if !std::mem::replace(&mut seen[item], true) {
            let weight = weight(age);
            scores.iter_mut().zip(&matrix[item * items..][..items]).for_each(|(s, m)| *s += weight * m);
        }
    }
    scores
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::data::Event;
    use crate::protocols::{Query, Sequence};

    pub fn events(items: &[u32]) -> Vec<Event> {
        items.iter().map(|item| Event { user: 0, item: *item, kind: 0, rating: None, time: None, weight: 1.0 }).collect()
    }

    pub fn sequences(histories: &[&[u32]]) -> Vec<Sequence> {
        histories.iter().enumerate().map(|(u, h)| Sequence { user: u as u32, events: events(h).into() }).collect()
    }

    pub fn query(items: &[u32]) -> Query {
        Query::new(0, events(items), vec![], vec![])
    }

    #[test]
    fn an_item_counts_once_at_its_newest_age() {
        let matrix = [1.0, 2.0, 10.0, 20.0];
        assert_eq!(super::weighted_rows(&matrix, 2, &query(&[0, 1, 0]), |age| 0.5f32.powi(age as i32)), [6.0, 12.0]);
    }
}
