//! Measures a bundle under a protocol. Every score comes from the `Recommender` that the page runs.

use anyhow::{Result, ensure};
use foretaste::retrieve::Sums;
use foretaste::{Recommender, User, VisitorState};

use crate::data::{Dataset, context_of, event_of};
use crate::losses::squared_error;
use crate::measure::{Figures, measure, measure_ratings};
use crate::protocols::{Protocol, Query, Split};

/// The item vectors that score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vectors {
    /// The int8 rows that the page scores with, and the neighbours.
    Shipped,
    /// The same rows without the neighbours.
    Towers,
    /// The neighbours alone.
    Neighbours,
    /// The item tower's output before quantisation.
    Float,
    /// The item tower's output with the id masked, from the columns alone.
    MaskedIds,
}

/// Names of the rows of a report that a part of the bundle has alone.
pub const PARTS: [(&str, Vectors); 2] = [("towers", Vectors::Towers), ("neighbours", Vectors::Neighbours)];

/// Whether the bundle has both parts, and they rank.
pub fn has_parts(recommender: &Recommender, protocol: Protocol) -> bool {
    recommender.bundle().neighbours.is_some() && protocol != Protocol::P2
}

/// Checks that a bundle was trained on this data and this split.
///
/// # Errors
/// It was trained on other data or another split; the message names both.
pub fn check_fits(recommender: &Recommender, data: &Dataset, split: &Split) -> Result<()> {
    let seen = &recommender.bundle().manifest.trained_on;
    ensure!(
        seen.data_sha256 == data.sha256,
        "the bundle was trained on other data (SHA-256 {}…) than {} ({}…)",
        seen.data_sha256.get(..12).unwrap_or(""),
        data.name,
        &data.sha256[..12]
    );
    let named =
        |protocol: &str, fold: Option<u32>| format!("{protocol}{}", fold.map(|k| format!(" fold {k}")).unwrap_or_default());
    let (trained, asked) = (named(&seen.protocol, seen.fold), named(split.protocol.name(), split.fold));
    ensure!(trained == asked, "the bundle was trained for {trained}, so {asked} would test it on what it has seen");
    Ok(())
}

/// The figures of the bundle on the test queries.
///
/// # Errors
/// Those of the towers; a split that asks nobody; P2 with a bundle that predicts no ratings.
pub fn measure_bundle(recommender: &Recommender, data: &Dataset, split: &Split, vectors: Vectors) -> Result<Figures> {
    let asked = split.asked()?;
    let rows = match vectors {
        Vectors::Shipped | Vectors::Towers | Vectors::Neighbours => None,
        Vectors::Float | Vectors::MaskedIds => {
            let known = vectors == Vectors::Float;
            let rows = (0..data.items.len() as u32).map(|row| recommender.catalog_vector(row, known));
            Some(rows.collect::<foretaste::Result<Vec<_>>>()?)
        }
    };
    if split.protocol == Protocol::P2 {
        ensure!(
            recommender.bundle().manifest.ratings.is_some(),
            "the bundle predicts no ratings: train it for p2, or with a rating_weight"
        );
        return measure_ratings(data, asked, |query| {
            let user = user_of(recommender, data, query)?;
            let rating = |row: &u32| match &rows {
                None => recommender.rating(&user, *row),
                Some(rows) => user.rating.as_ref().map(|rating| squared_error::predict(rating, &rows[*row as usize].0)),
            };
            // A rating that is none is no number, and `measure_ratings` says so.
            Ok(query.targets.iter().map(|row| rating(row).map_or(f64::NAN, f64::from)).collect())
        });
    }
    measure(data, split, asked, |query| {
        let mut user = user_of(recommender, data, query)?;
        if matches!(vectors, Vectors::Towers | Vectors::MaskedIds) {
            user.sums = Sums::default();
        }
        let mut scores = match &rows {
            None if vectors == Vectors::Neighbours => vec![0.0; data.items.len()],
            None => return Ok(recommender.scores(&user)),
            Some(rows) => rows.iter().map(|(v, b)| b + v.iter().zip(&user.vector).map(|(v, u)| v * u).sum::<f32>()).collect(),
        };
        user.sums.iter().for_each(|(row, sum)| scores[row as usize] += sum);
        Ok(scores)
    })
}

/// Runs the user tower on the history and the context of a query.
///
/// # Errors
/// Those of the tower.
pub(crate) fn user_of(recommender: &Recommender, data: &Dataset, query: &Query) -> Result<User> {
    let history: Vec<_> = query.history.iter().map(|e| event_of(data, e)).collect();
    let context = context_of(data, query.user as usize, &recommender.bundle().manifest.encoding);
    let state = VisitorState { history: &history, context: &context, time: None, tz_offset_min: None };
    Ok(recommender.user(&recommender.encode(&state)?)?)
}
