//! Measures a bundle under a protocol. Every score comes from the `Recommender` that the page runs.

use anyhow::{Result, ensure};
use foretaste::retrieve::{Bitmap, Sums};
use foretaste::{Recommender, User, VisitorState};

use crate::data::{Dataset, context_of, event_of};
use crate::losses::squared_error;
use crate::measure::{Figures, measure, measure_ratings};
use crate::protocols::{Protocol, Query, Split};

/// The item vectors that score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vectors {
    /// What the page orders by: the int8 rows, the neighbours, and the ranker of the best of them.
    Shipped,
    /// The same without the ranker.
    Retrieval,
    /// The int8 rows alone.
    Towers,
    /// The neighbours alone.
    Neighbours,
    /// The item tower's output before quantisation.
    Float,
    /// The item tower's output with the id masked, from the columns alone.
    MaskedIds,
}

/// The parts of a bundle that rank alone, by the names of their rows in a report.
pub fn parts(recommender: &Recommender, protocol: Protocol) -> Vec<(&'static str, Vectors)> {
    let bundle = recommender.bundle();
    let neighbours = [("towers", Vectors::Towers), ("neighbours", Vectors::Neighbours)];
    let mut parts: Vec<_> = neighbours.into_iter().filter(|_| bundle.neighbours.is_some()).collect();
    parts.extend(bundle.manifest.ranker.is_some().then_some(("retrieval", Vectors::Retrieval)));
    if protocol == Protocol::P2 { Vec::new() } else { parts }
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
        Vectors::Shipped | Vectors::Retrieval | Vectors::Towers | Vectors::Neighbours => None,
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
            None => {
                let mut scores = recommender.scores(&user);
                if vectors == Vectors::Shipped {
                    rank(recommender, data, query, &user, &mut scores)?;
                }
                return Ok(scores);
            }
            Some(rows) => rows.iter().map(|(v, b)| b + v.iter().zip(&user.vector).map(|(v, u)| v * u).sum::<f32>()).collect(),
        };
        user.sums.iter().for_each(|(row, sum)| scores[row as usize] += sum);
        Ok(scores)
    })
}

/// Puts the candidates that the ranker orders in front of all others.
fn rank(recommender: &Recommender, data: &Dataset, query: &Query, user: &User, scores: &mut [f32]) -> Result<()> {
    let is_out = |row: &u32| !query.is_candidate(*row, &data.in_events);
    let removed: Vec<u32> = (0..data.items.len() as u32).filter(is_out).collect();
    let allowed = Bitmap::without(data.items.len(), &removed);
    let ranked = with_state(recommender, data, query, |state| Ok(recommender.ranked(state, user, &allowed)?))?;
    let front = scores.iter().copied().fold(0.0, f32::max).ceil() + 1.0;
    for (place, (_, row)) in ranked.into_iter().flatten().rev().enumerate() {
        scores[row as usize] = front + place as f32;
    }
    Ok(())
}

/// Runs the user tower on the history and the context of a query.
///
/// # Errors
/// Those of the tower.
pub(crate) fn user_of(recommender: &Recommender, data: &Dataset, query: &Query) -> Result<User> {
    with_state(recommender, data, query, |state| Ok(recommender.user(&recommender.encode(state)?)?))
}

/// What a page would know of the visitor of a query.
fn with_state<T>(
    recommender: &Recommender,
    data: &Dataset,
    query: &Query,
    then: impl FnOnce(&VisitorState) -> Result<T>,
) -> Result<T> {
    let history: Vec<_> = query.history.iter().map(|e| event_of(data, e)).collect();
    let context = context_of(data, query.user as usize, &recommender.bundle().manifest.encoding);
    then(&VisitorState { history: &history, context: &context, time: None, tz_offset_min: None })
}
