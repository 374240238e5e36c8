//! The quality of the towers on the validation queries, which training uses to choose epochs and settings.

use anyhow::{Result, ensure};
use foretaste::bundle::RatingRange;
use foretaste::features::{EncodedState, Encoding};
use rayon::prelude::*;

use super::Ratings;
use super::row_events::RowEvents;
use crate::data::{Dataset, context_of};
use crate::losses::squared_error;
use crate::metrics::{self, Metric, NDCG, RMSE};
use crate::protocols::{Protocol, Query, Split};
use crate::towers::{CatalogRows, Linear, SlotScale, UserTower};

/// Length of the list that NDCG is computed of.
const TOP: usize = 100;

/// The validation queries, encoded once.
pub struct Validation<'a> {
    queries: Vec<(EncodedState, &'a Query)>,
    /// Whether each item has an event.
    universe: &'a [bool],
    protocol: Protocol,
    /// The range of the ratings, if the protocol asks for ratings.
    ratings: Option<RatingRange>,
}

impl<'a> Validation<'a> {
    /// Encodes the validation queries of a split. `scale` is that of the context's slots.
    ///
    /// # Errors
    /// The protocol is P2 and `ratings` is `None`: the data has no two different ratings, or the settings do not ask
    /// for ratings.
    pub fn new(
        data: &'a Dataset,
        split: &'a Split,
        encoding: &Encoding,
        scale: &SlotScale,
        ratings: Option<&Ratings>,
    ) -> Result<Self> {
        let predicts_ratings = split.protocol == Protocol::P2;
        ensure!(
            !predicts_ratings || ratings.is_some(),
            "p2 predicts ratings: it needs events with different ratings and a rating_weight above 0"
        );
        let events = RowEvents::new(data, &encoding.history);
        let encode = |query: &'a Query| {
            let context = context_of(data, query.user as usize, encoding);
            let mut state = encoding.encode_state(&events.of(&query.history), &context, None, 0)?;
            scale.apply(&mut state.context);
            Ok((state, query))
        };
        Ok(Validation {
            queries: split.valid.iter().map(encode).collect::<Result<_>>()?,
            universe: &data.in_events,
            protocol: split.protocol,
            ratings: ratings.filter(|_| predicts_ratings).map(|r| r.range),
        })
    }

    /// Whether there are no queries.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// The metric that chooses epochs and settings: RMSE for P2, else NDCG@100 (of P1, over the single targets). A
    /// quality is its value times its sign, so higher is better.
    pub fn metric(&self) -> Metric {
        if self.ratings.is_some() { RMSE } else { NDCG.at(TOP) }
    }

    /// Returns the quality of the user tower over a catalog, with or without a linear model, and half the width of the
    /// figure's 95 % interval.
    ///
    /// # Errors
    /// A score or rating that is not finite.
    pub fn quality(&self, user: &UserTower, rows: &CatalogRows, linear: Option<&Linear>) -> Result<(f64, f64)> {
        let d = user.shape.dim;
        let CatalogRows { vectors, biases, .. } = rows;
        let vector = |row: u32| &vectors[row as usize * d..][..d];
        let read = |row: u32| &rows.read()[row as usize * d..][..d];
        // For each query: the sum of its gains or squared errors, and their number.
        let one = |(encoded, query): &(EncodedState, &Query)| -> (f64, f64) {
            let history = &encoded.history.rows;
            let rows: Vec<f32> = history.iter().flat_map(|row| read(*row)).copied().collect();
            let [u, rating] = user.forward_one(encoded, &rows);
            if let Some(range) = self.ratings {
                let error = |(item, rated): (&u32, &f64)| {
                    let predicted = f64::from(squared_error::predict(&rating, vector(*item)));
                    metrics::cut(predicted, [range.least, range.most]).map_or(f64::NAN, |p| p - rated)
                };
                let squares = query.targets.iter().zip(&query.ratings).map(error).map(|e| e * e);
                return (squares.sum(), query.ratings.len() as f64);
            }
            let score = |(v, b): (&[f32], &f32)| b + v.iter().zip(&u).map(|(v, u)| v * u).sum::<f32>();
            let mut scores: Vec<f32> = vectors.chunks_exact(d).zip(biases).map(score).collect();
            if let Some(linear) = linear {
                linear.add_to(&mut scores, &linear.vector(history));
            }
            if !scores.iter().all(|score| score.is_finite()) {
                return (f64::NAN, 1.0);
            }
            let ranks = metrics::ranks(&scores, query.universe(self.universe), &query.removed, &query.targets);
            match self.protocol {
                Protocol::P1 => (ranks.iter().map(|rank| metrics::ndcg(&[*rank], TOP)).sum(), ranks.len() as f64),
                _ => (metrics::ndcg(&ranks, TOP), 1.0),
            }
        };
        let sums: Vec<(f64, f64)> = self.queries.par_iter().map(one).collect();
        let (sum, n) = sums.iter().fold((0.0, 0.0), |(sum, n), one| (sum + one.0, n + one.1));
        let mean = sum / n;
        ensure!(mean.is_finite(), "the towers give numbers that are not finite: a smaller learning_rate may help");
        // The variance of a ratio of sums, by the delta method.
        let squares = sums.iter().map(|(s, m)| (s - mean * m) * (s - mean * m)).sum::<f64>();
        let half = 1.96 * squares.sqrt() / n;
        Ok(if self.ratings.is_some() { (-mean.sqrt(), half / (2.0 * mean.sqrt()).max(f64::MIN_POSITIVE)) } else { (mean, half) })
    }
}
