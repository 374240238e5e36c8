//! Baselines that predict ratings (protocol P2), one kind per file. Settings are chosen by RMSE on the split's
//! validation part.

mod bias;
mod funk;
mod guess;
mod knn;
mod means;

use anyhow::{Result, bail, ensure};

use crate::data::Dataset;
use crate::measure::measure_ratings;
use crate::protocols::{Query, Sequence, Split};

pub use knn::{Distance, Normalisation, RatingKnn, Side};

/// A fitted model that predicts ratings.
pub trait RatingBaseline: Send + Sync {
    /// Predicted ratings of the query's targets, in their order.
    fn predict(&self, query: &Query) -> Vec<f64>;
}

/// Names of all rating baselines.
pub const NAMES: [&str; 10] =
    ["random", "weighted", "majority", "mean", "item-mean", "user-mean", "bias", "item-knn", "user-knn", "svd"];

/// Fits a baseline on the events that the split's model may see.
///
/// # Errors
/// An unknown name, or more rows than a dense matrix of neighbours may have.
pub fn fit(name: &str, data: &Dataset, split: &Split) -> Result<Box<dyn RatingBaseline>> {
    let (items, fitted) = (data.items.len(), split.fitted());
    let knn = |side| -> Result<Box<dyn RatingBaseline>> {
        let mut settings = Vec::new();
        for normalisation in Normalisation::ALL {
            // Ratings that are not all above 0 cannot be divided by their mean; skip that normalisation.
            if let Err(error) = RatingKnn::check(items, fitted, side, normalisation) {
                ensure!(normalisation == Normalisation::Ratio, error);
                continue;
            }
            settings.extend(Distance::ALL.map(|distance| (distance, normalisation)));
        }
        Ok(Box::new(chosen(data, split, &settings, |fitted, (d, n)| RatingKnn::fit(items, fitted, side, d, n))))
    };
    Ok(match name {
        "random" => Box::new(guess::Guess::fit(fitted, guess::Kind::Uniform)),
        "weighted" => Box::new(guess::Guess::fit(fitted, guess::Kind::Weighted)),
        "majority" => Box::new(guess::Guess::fit(fitted, guess::Kind::Majority)),
        "mean" => Box::new(guess::Guess::fit(fitted, guess::Kind::Mean)),
        "item-mean" => Box::new(means::ItemMean::fit(items, fitted)),
        "user-mean" => Box::new(means::UserMean::fit(fitted)),
        "bias" => Box::new(chosen(data, split, &bias::DAMPINGS, |fitted, damping| bias::Bias::fit(items, fitted, damping))),
        "item-knn" => knn(Side::Items)?,
        "user-knn" => knn(Side::Users)?,
        "svd" => Box::new(chosen(data, split, &funk::SETTINGS, |fitted, s| funk::Funk::fit(data, fitted, s))),
        other => bail!("no baseline `{other}` of ratings; there are: {}", NAMES.join(", ")),
    })
}

/// Fits the setting with the lowest RMSE on the validation part; the first of equals.
fn chosen<S: Copy, M: RatingBaseline>(data: &Dataset, split: &Split, settings: &[S], fit: impl Fn(&[Sequence], S) -> M) -> M {
    let error = |setting| {
        let model = fit(&split.train, setting);
        // A model that has diverged has no figures.
        let figures = measure_ratings(data, &split.valid, |query| Ok(model.predict(query))).unwrap_or_default();
        figures.values.get("rmse").map_or(f64::INFINITY, |v| v.iter().sum::<f64>() / v.len() as f64)
    };
    let best = settings.iter().map(|s| (error(*s), *s)).reduce(|a, b| if b.0 < a.0 { b } else { a });
    fit(split.fitted(), best.map_or(settings[0], |(_, setting)| setting))
}

/// Mean of all ratings; 0 if there are none.
fn mean_rating(fitted: &[Sequence]) -> f64 {
    let (sum, n) = ratings(fitted).fold((0.0, 0.0), |(sum, n), (.., r)| (sum + r, n + 1.0));
    if n > 0.0 { sum / n } else { 0.0 }
}

/// Mean and standard deviation of all ratings; 0 if there are none.
fn moments(fitted: &[Sequence]) -> [f64; 2] {
    let mean = mean_rating(fitted);
    let (squares, n) = ratings(fitted).fold((0.0, 0.0), |(sum, n), (.., r)| (sum + (r - mean) * (r - mean), n + 1.0));
    [mean, if n > 0.0 { (squares / n).sqrt() } else { 0.0 }]
}

/// (index of the sequence, item, rating) of every rated event.
fn ratings(fitted: &[Sequence]) -> impl Iterator<Item = (usize, u32, f64)> {
    fitted.iter().enumerate().flat_map(|(s, of)| of.events.iter().filter_map(move |e| Some((s, e.item, e.rating?))))
}

#[cfg(test)]
pub(super) mod tests {
    use crate::data::DatasetEvent;
    use crate::protocols::{Query, Sequence};

    pub fn rated(user: u32, ratings: &[(u32, f64)]) -> Vec<DatasetEvent> {
        let event = |(item, rating): &(u32, f64)| DatasetEvent {
            user,
            item: *item,
            kind: 0,
            rating: Some(*rating),
            time: None,
            weight: 1.0,
        };
        ratings.iter().map(event).collect()
    }

    pub fn sequences(users: &[&[(u32, f64)]]) -> Vec<Sequence> {
        users.iter().enumerate().map(|(u, r)| Sequence { user: u as u32, events: rated(u as u32, r).into() }).collect()
    }

    pub fn query(user: u32, history: &[(u32, f64)], targets: &[u32]) -> Query {
        Query::new(user, rated(user, history), targets.to_vec(), vec![])
    }
}
