//! The quality of the towers on the validation queries, which training uses to choose epochs and settings.

use anyhow::{Result, ensure};
use foretaste::bundle::{NeighbourWeights, Neighbours, RatingRange};
use foretaste::features::{EncodedHistory, EncodedState, Encoding};
use foretaste::retrieve::Sums;
use rayon::prelude::*;

use super::Ratings;
use super::row_events::RowEvents;
use crate::data::{Dataset, context_of};
use crate::losses::squared_error;
use crate::metrics::{self, Metric, NDCG, RMSE};
use crate::protocols::{Protocol, Query, Split};
use crate::towers::{CatalogRows, SlotScale, UserTower};

/// Length of the list that NDCG is computed of.
const TOP: usize = 100;
/// Most queries of many comparisons.
const MOST_ASKED: usize = 6_000;
/// Most queries of a comparison with other models.
const MOST_COMPARED: usize = 1000;
/// Most scores that are kept of one of them: many more than a list has, and than have sums.
const MOST_SCORES: usize = 4_096;

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

    /// Whether the queries ask for ratings.
    pub fn predicts_ratings(&self) -> bool {
        self.ratings.is_some()
    }

    /// What the ranks of a query's targets are worth, and as how many targets they count.
    pub fn gain(&self, ranks: &[usize]) -> (f64, f64) {
        match self.protocol {
            Protocol::P1 => (ranks.iter().map(|rank| metrics::ndcg(&[*rank], TOP)).sum(), ranks.len() as f64),
            _ => (metrics::ndcg(ranks, TOP), 1.0),
        }
    }

    /// Returns the quality of the user tower over a catalog, with or without neighbours, and half the width of the
    /// figure's 95 % interval.
    ///
    /// # Errors
    /// A score or rating that is not finite.
    pub fn quality(
        &self,
        user: &UserTower,
        rows: &CatalogRows,
        neighbours: Option<(&Neighbours, &NeighbourWeights)>,
    ) -> Result<(f64, f64)> {
        let d = user.shape.dim;
        let vector = |row: u32| &rows.vectors[row as usize * d..][..d];
        // For each query: the sum of its gains or squared errors, and their number.
        let one = |(encoded, query): &(EncodedState, &Query)| -> (f64, f64) {
            let [u, rating] = outputs(user, rows, encoded);
            if let Some(range) = self.ratings {
                let error = |(item, rated): (&u32, &f64)| {
                    let predicted = f64::from(squared_error::predict(&rating, vector(*item)));
                    metrics::cut(predicted, [range.least, range.most]).map_or(f64::NAN, |p| p - rated)
                };
                let squares = query.targets.iter().zip(&query.ratings).map(error).map(|e| e * e);
                return (squares.sum(), query.ratings.len() as f64);
            }
            let scores = with_sums(rows, &u, encoded, neighbours);
            if !scores.iter().all(|score| score.is_finite()) {
                return (f64::NAN, 1.0);
            }
            self.gain(&metrics::ranks(&scores, query.universe(self.universe), &query.removed, &query.targets))
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

    /// The mean gain of a model's scores `[items]` over the queries: all of them, or every n-th of many.
    pub fn mean_gain(&self, score: impl Fn(&EncodedState, &Query) -> Vec<f32>) -> f64 {
        let step = self.queries.len() / MOST_COMPARED + 1;
        let gain = |(encoded, query): &(EncodedState, &Query)| {
            self.gain(&metrics::ranks(&score(encoded, query), query.universe(self.universe), &query.removed, &query.targets))
        };
        let (sum, n) = self.queries.iter().step_by(step).map(gain).fold((0.0, 0.0), |(sum, n), one| (sum + one.0, n + one.1));
        sum / n
    }

    /// The gain of towers and neighbours, as that of [`Validation::mean_gain`].
    pub fn own_gain(&self, user: &UserTower, rows: &CatalogRows, neighbours: Option<(&Neighbours, &NeighbourWeights)>) -> f64 {
        self.mean_gain(|encoded, _| with_sums(rows, &outputs(user, rows, encoded)[0], encoded, neighbours))
    }

    /// The queries with what the towers say of them, for many comparisons: all of them, or every n-th of many.
    ///
    /// # Errors
    /// A score that is not finite.
    pub fn asked(&self, user: &UserTower, rows: &CatalogRows) -> Result<Vec<Asked<'_>>> {
        let step = self.queries.len() / MOST_ASKED + 1;
        let of = |(encoded, query): &(EncodedState, &Query)| {
            let [u, _] = outputs(user, rows, encoded);
            let all = scores(rows, &u);
            let universe = query.universe(self.universe);
            let is_allowed = |row: usize| universe[row] && query.removed.binary_search(&(row as u32)).is_err();
            let mut best: Vec<f32> = (0..all.len()).filter(|row| is_allowed(*row)).map(|row| all[row]).collect();
            if best.len() > MOST_SCORES {
                best.select_nth_unstable_by(MOST_SCORES, |a, b| b.total_cmp(a));
                best.truncate(MOST_SCORES);
            }
            best.sort_unstable_by(|a, b| b.total_cmp(a));
            let is_finite = all.iter().all(|score| score.is_finite());
            let targets = query.targets.iter().map(|row| all[*row as usize]).collect();
            (is_finite, u, best, targets)
        };
        let queries: Vec<&(EncodedState, &'a Query)> = self.queries.iter().step_by(step).collect();
        let found: Vec<_> = queries.par_iter().map(|query| of(query)).collect();
        ensure!(found.iter().all(|one| one.0), "the towers give numbers that are not finite: a smaller learning_rate may help");
        let asked = queries.into_iter().zip(found);
        Ok(asked.map(|((encoded, query), (_, user, best, targets))| Asked { encoded, query, user, best, targets }).collect())
    }
}

/// Outputs of the user tower: the vector `[d]`, and `[1 + d]` or nothing for ratings.
pub(super) fn outputs(user: &UserTower, rows: &CatalogRows, encoded: &EncodedState) -> [Vec<f32>; 2] {
    let d = user.shape.dim;
    let read = |row: &u32| &rows.read()[*row as usize * d..][..d];
    let vectors: Vec<f32> = encoded.history.rows.iter().flat_map(read).copied().collect();
    user.forward_one(encoded, &vectors)
}

/// Scores of all rows for a vector `[d]`.
pub(super) fn scores(rows: &CatalogRows, user: &[f32]) -> Vec<f32> {
    let score = |(vector, bias): (&[f32], &f32)| score(vector, *bias, user);
    rows.vectors.chunks_exact(user.len()).zip(&rows.biases).map(score).collect()
}

/// The same with the sums over neighbours.
fn with_sums(
    rows: &CatalogRows,
    user: &[f32],
    encoded: &EncodedState,
    neighbours: Option<(&Neighbours, &NeighbourWeights)>,
) -> Vec<f32> {
    let mut scores = scores(rows, user);
    if let Some((neighbours, weights)) = neighbours {
        Sums::of(neighbours, weights, &encoded.history).iter().for_each(|(row, sum)| scores[row as usize] += sum);
    }
    scores
}

fn score(vector: &[f32], bias: f32, user: &[f32]) -> f32 {
    bias + vector.iter().zip(user).map(|(v, u)| v * u).sum::<f32>()
}

/// A query with the towers' scores.
pub struct Asked<'a> {
    encoded: &'a EncodedState,
    query: &'a Query,
    /// The visitor's vector `[d]`.
    user: Vec<f32>,
    /// The best scores of the candidates, best first.
    best: Vec<f32>,
    /// The scores of the targets.
    targets: Vec<f32>,
}

/// A candidate that has a sum over neighbours.
#[derive(Debug, Clone, Copy)]
pub struct Touched {
    row: u32,
    /// Its score without the sum.
    score: f32,
    sum: f32,
}

impl Asked<'_> {
    /// The history of the query.
    pub fn history(&self) -> &EncodedHistory {
        &self.encoded.history
    }

    /// Replaces `out` by the candidates that have a sum.
    pub fn touched(&self, rows: &CatalogRows, validation: &Validation, sums: &Sums, out: &mut Vec<Touched>) {
        let (d, universe) = (self.user.len(), self.query.universe(validation.universe));
        let is_allowed = |row: u32| universe[row as usize] && self.query.removed.binary_search(&row).is_err();
        let of = |(row, sum): (u32, f32)| {
            let at = row as usize;
            Touched { row, score: score(&rows.vectors[at * d..][..d], rows.biases[at], &self.user), sum }
        };
        out.clear();
        out.extend(sums.iter().filter(|(row, _)| is_allowed(*row)).map(of));
    }

    /// The ranks of the targets if the touched candidates gain `share` times their sums. Ranks far behind the list that
    /// counts may be too small.
    pub fn ranks(&self, touched: &[Touched], share: f32) -> Vec<usize> {
        let rank = |(target, alone): (&u32, &f32)| {
            let own = touched.binary_search_by_key(target, |one| one.row).map_or(0.0, |at| touched[at].sum);
            let score = alone + share * own;
            let mut ahead = self.best.partition_point(|other| *other > score) as isize;
            // Below the last of the kept scores nothing was counted.
            let counted = score.max(self.best.last().copied().unwrap_or(score).next_down());
            for one in touched.iter().filter(|one| one.row != *target) {
                ahead += isize::from(one.score + share * one.sum > score) - isize::from(one.score > counted);
            }
            // The target itself is no longer ahead of itself if its sum is negative.
            ahead -= isize::from(*alone > counted);
            1 + ahead.max(0) as usize
        };
        self.query.targets.iter().zip(&self.targets).map(rank).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{mix, unit};

    /// The quick ranks are those of a whole ranking, as far as a list is read, with few kept scores and with all.
    #[test]
    fn quick_ranks_are_those_of_the_whole_ranking() {
        let draw = |i: u64| unit(mix(5, i)) as f32 - 0.5;
        let (n, kept) = (2_000, 400);
        for case in 0..60 {
            let alone: Vec<f32> = (0..n).map(|i| draw(case * 10_000 + i)).collect();
            let share = [0.0, 0.5, 3.0][case as usize % 3];
            let touched: Vec<Touched> = (0..n as u32)
                .filter(|row| draw(case * 31 + u64::from(*row)) > 0.4)
                .map(|row| Touched { row, score: alone[row as usize], sum: draw(case * 77 + 9 * u64::from(row)) })
                .collect();
            let targets: Vec<u32> = (0..20).map(|i| (i * 97 + case as u32) % n as u32).collect();
            let mut best = alone.clone();
            best.sort_unstable_by(|a, b| b.total_cmp(a));
            best.truncate(if case % 2 == 0 { kept } else { n as usize });
            let (encoded, query) = (EncodedState::default(), Query::new(0, vec![], targets.clone(), vec![]));
            let own = targets.iter().map(|row| alone[*row as usize]).collect();
            let asked = Asked { encoded: &encoded, query: &query, user: vec![], best, targets: own };
            let mut all = alone.clone();
            touched.iter().for_each(|one| all[one.row as usize] += share * one.sum);
            let expected = metrics::ranks(&all, &vec![true; n as usize], &[], &targets);
            for (quick, whole) in asked.ranks(&touched, share).into_iter().zip(expected) {
                assert!(quick == whole || (quick > TOP && whole > TOP), "{case}: {quick} {whole}");
            }
        }
    }
}
