//! NDCG@100 of the towers as they are in training, over the validation queries.

use std::collections::HashMap;

use anyhow::Result;
use foretaste::features::{EncodedQuery, Encoding, Query};
use rayon::prelude::*;

use crate::data::Dataset;
use crate::evaluate::{context_of, event_of};
use crate::metrics;
use crate::protocols;
use crate::towers::UserTower;

/// Length of the list that validation looks at.
const TOP: usize = 100;

/// Queries, encoded once.
pub struct Validation<'a> {
    queries: Vec<(EncodedQuery, &'a protocols::Query)>,
    /// Items of the events.
    universe: &'a [bool],
}

impl<'a> Validation<'a> {
    /// Encodes the queries.
    pub fn new(data: &'a Dataset, queries: &'a [protocols::Query], encoding: &Encoding) -> Result<Self> {
        let rows: HashMap<&str, u32> = data.items.iter().enumerate().map(|(i, id)| (id.as_str(), i as u32)).collect();
        let encode = |query: &'a protocols::Query| {
            let history: Vec<_> = query.history.iter().map(|e| event_of(data, e)).collect();
            let context = context_of(data, query.user as usize, encoding);
            let raw = Query { history: &history, context: &context, time: None, tz_offset_min: None };
            Ok((encoding.encode_query(&raw, |id| rows.get(id).copied())?, query))
        };
        Ok(Validation { queries: queries.iter().map(encode).collect::<Result<_>>()?, universe: &data.in_events })
    }

    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Mean NDCG@100; `vectors` `[items, d]` and `biases` `[items]` are those of the catalog.
    pub fn ndcg(&self, user: &UserTower, vectors: &[f32], biases: &[f32]) -> f64 {
        let d = user.shape.dim;
        let one = |(encoded, query): &(EncodedQuery, &protocols::Query)| {
            let rows: Vec<f32> =
                encoded.history.rows.iter().flat_map(|row| &vectors[*row as usize * d..][..d]).copied().collect();
            let u = user.forward_one(encoded, &rows);
            let score = |(v, b): (&[f32], &f32)| b + v.iter().zip(&u).map(|(v, u)| v * u).sum::<f32>();
            let scores: Vec<f32> = vectors.chunks_exact(d).zip(biases).map(score).collect();
            metrics::ndcg(&metrics::ranks(&scores, query.universe(self.universe), &query.removed, &query.targets), TOP)
        };
        self.queries.par_iter().map(one).collect::<Vec<f64>>().iter().sum::<f64>() / self.queries.len() as f64
    }
}
