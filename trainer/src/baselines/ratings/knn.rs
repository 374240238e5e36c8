//! Nearest neighbours by their ratings. A prediction is the weighted mean of the visitor's ratings of the nearest
//! items, or of the nearest visitors' ratings of the item, after the ratings are normalised (Sarwar et al., 2001;
//! Herlocker et al., 2002).

use anyhow::{Result, ensure};

use super::{RatingBaseline, mean_rating, ratings};
use crate::factors::MAX_DENSE;
use crate::protocols::{Query, Sequence};

/// Most neighbours per prediction.
const NEIGHBOURS: usize = 40;
/// Damps a similarity s that rests on n common ratings: s · n / (n + 10).
const SHRINK: f64 = 10.0;

/// Which neighbours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Items that the visitor has rated.
    Items,
    /// Visitors who have rated the item.
    Users,
}

/// Similarity of two rows of ratings. Only columns that both rows have count, except for Jaccard. Negative similarities
/// count as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Cosine of the ratings.
    Cosine,
    /// Cosine of the ratings after each column's mean is subtracted: the visitor's mean where rows are items.
    AdjustedCosine,
    /// Correlation: cosine of the ratings after each row's damped mean is subtracted.
    Pearson,
    /// Common columns divided by the columns of either row.
    Jaccard,
    /// 1 / (1 + root mean squared difference).
    Euclidean,
}

impl Distance {
    /// All distances.
    pub const ALL: [Distance; 5] =
        [Distance::Cosine, Distance::AdjustedCosine, Distance::Pearson, Distance::Jaccard, Distance::Euclidean];
}

/// How ratings of different rows are made comparable before they are averaged; m is the mean of a rating's row, s its
/// deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalisation {
    /// r.
    None,
    /// r − m.
    Mean,
    /// r / m.
    Ratio,
    /// (r − m) / s.
    ZScore,
}

impl Normalisation {
    /// All normalisations.
    pub const ALL: [Normalisation; 4] = [Normalisation::None, Normalisation::Mean, Normalisation::Ratio, Normalisation::ZScore];

    fn forth(self, r: f64, [m, s]: [f64; 2]) -> f64 {
        match self {
            Normalisation::None => r,
            Normalisation::Mean => r - m,
            Normalisation::Ratio => r / m,
            Normalisation::ZScore => (r - m) / s,
        }
    }

    fn back(self, x: f64, [m, s]: [f64; 2]) -> f64 {
        match self {
            Normalisation::None => x,
            Normalisation::Mean => x + m,
            Normalisation::Ratio => x * m,
            Normalisation::ZScore => x * s + m,
        }
    }
}

/// A fitted nearest-neighbour model of ratings.
pub struct RatingKnn {
    side: Side,
    normalisation: Normalisation,
    rows: usize,
    /// Similarities of rows `[rows, rows]`.
    similarity: Vec<f32>,
    /// Damped mean and deviation of each row.
    moments: Vec<[f64; 2]>,
    /// (row of the visitor, rating) pairs of each item; used if rows are visitors.
    raters: Vec<Vec<(u32, f64)>>,
    /// Row of each user; used if rows are visitors.
    row_of: Vec<Option<u32>>,
}

impl RatingKnn {
    /// Checks that a model can be fitted on `fitted`.
    ///
    /// # Errors
    /// More rows than a dense matrix may have, or ratios of ratings that are not all above 0.
    pub fn check(items: usize, fitted: &[Sequence], side: Side, normalisation: Normalisation) -> Result<()> {
        let rows = if side == Side::Items { items } else { fitted.len() };
        ensure!(
            rows <= MAX_DENSE,
            "item-knn and user-knn need a matrix of at most {MAX_DENSE} rows, but the data has {rows}: leave them out"
        );
        let ratios = normalisation != Normalisation::Ratio || ratings(fitted).all(|(.., r)| r > 0.0);
        ensure!(ratios, "ratings can be divided by their mean only if all are above 0");
        Ok(())
    }

    /// Fits on sequences that pass [`RatingKnn::check`].
    pub fn fit(items: usize, fitted: &[Sequence], side: Side, distance: Distance, normalisation: Normalisation) -> Self {
        let rated = |s: &Sequence| -> Vec<(u32, f64)> { s.events.iter().filter_map(|e| Some((e.item, e.rating?))).collect() };
        let by_user: Vec<Vec<(u32, f64)>> = fitted.iter().map(rated).collect();
        let mut by_item = vec![Vec::new(); items];
        for (user, ratings) in by_user.iter().enumerate() {
            ratings.iter().for_each(|(item, r)| by_item[*item as usize].push((user as u32, *r)));
        }
        let (mut table, columns) = match side {
            Side::Items => (by_item.clone(), &by_user),
            Side::Users => (by_user.clone(), &by_item),
        };
        let overall = mean_rating(fitted);
        let moments: Vec<[f64; 2]> = table.iter().map(|row| moments(row, overall)).collect();
        match distance {
            Distance::AdjustedCosine => {
                let means: Vec<f64> = columns.iter().map(|column| self::moments(column, overall)[0]).collect();
                table.iter_mut().flatten().for_each(|(column, r)| *r -= means[*column as usize]);
            }
            Distance::Pearson => {
                table.iter_mut().zip(&moments).for_each(|(row, [m, _])| row.iter_mut().for_each(|(_, r)| *r -= m));
            }
            _ => {}
        }
        let similarity = similarities(&table, columns.len(), distance);
        let mut row_of = vec![None; fitted.iter().map(|s| s.user as usize + 1).max().unwrap_or(0)];
        fitted.iter().enumerate().for_each(|(row, s)| row_of[s.user as usize] = Some(row as u32));
        RatingKnn { side, normalisation, rows: table.len(), similarity, moments, raters: by_item, row_of }
    }

    /// The prediction for `row`: the weighted mean over the nearest of `others`, each a row and its rating. Without a
    /// similar row it is the mean of `row`.
    fn mean(&self, row: usize, others: impl Iterator<Item = (u32, f64)>) -> f64 {
        let mut near: Vec<(f32, u32, f64)> = others
            .map(|(other, r)| (self.similarity[row * self.rows + other as usize], other, r))
            .filter(|(s, ..)| *s > 0.0)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let (mut sum, mut weight) = (0.0, 0.0);
        for (s, other, r) in near.into_iter().take(NEIGHBOURS) {
            sum += f64::from(s) * self.normalisation.forth(r, self.moments[other as usize]);
            weight += f64::from(s);
        }
        let own = self.moments[row];
        if weight > 0.0 { self.normalisation.back(sum / weight, own) } else { own[0] }
    }
}

impl RatingBaseline for RatingKnn {
    fn predict(&self, query: &Query) -> Vec<f64> {
        let predict = |item: &u32| match self.side {
            Side::Items => self.mean(*item as usize, query.history.iter().filter_map(|e| Some((e.item, e.rating?)))),
            Side::Users => match self.row_of.get(query.user as usize).copied().flatten() {
                Some(row) => self.mean(row as usize, self.raters[*item as usize].iter().copied()),
                None => {
                    let all = &self.raters[*item as usize];
                    all.iter().map(|(_, r)| r).sum::<f64>() / all.len().max(1) as f64
                }
            },
        };
        query.targets.iter().map(predict).collect()
    }
}

/// Mean and standard deviation of a row, damped as if it had five more ratings with mean `overall` and deviation 1.
fn moments(row: &[(u32, f64)], overall: f64) -> [f64; 2] {
    let n = row.len() as f64;
    let mean = (row.iter().map(|(_, r)| r).sum::<f64>() + 5.0 * overall) / (n + 5.0);
    let squares = row.iter().map(|(_, r)| (r - mean) * (r - mean)).sum::<f64>();
    [mean, ((squares + 5.0) / (n + 5.0)).sqrt()]
}

/// Damped similarities of all pairs of rows, `[rows, rows]`; 0 on the diagonal.
fn similarities(table: &[Vec<(u32, f64)>], columns: usize, distance: Distance) -> Vec<f32> {
    let n = table.len();
    let mut out = vec![0.0; n * n];
    let mut own = vec![f64::NAN; columns];
    for a in 0..n {
        table[a].iter().for_each(|(column, r)| own[*column as usize] = *r);
        for b in a + 1..n {
            let (mut common, mut ab, mut aa, mut bb, mut squares) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for (column, y) in &table[b] {
                let x = own[*column as usize];
                if !x.is_nan() {
                    common += 1.0;
                    (ab, aa, bb) = (ab + x * y, aa + x * x, bb + y * y);
                    squares += (x - y) * (x - y);
                }
            }
            let similarity = match distance {
                _ if common == 0.0 => 0.0,
                Distance::Cosine | Distance::AdjustedCosine | Distance::Pearson if aa * bb > 0.0 => ab / (aa * bb).sqrt(),
                Distance::Cosine | Distance::AdjustedCosine | Distance::Pearson => 0.0,
                Distance::Jaccard => common / ((table[a].len() + table[b].len()) as f64 - common),
                Distance::Euclidean => 1.0 / (1.0 + (squares / common).sqrt()),
            };
            let similarity = (similarity * common / (common + SHRINK)) as f32;
            (out[a * n + b], out[b * n + a]) = (similarity, similarity);
        }
        table[a].iter().for_each(|(column, _)| own[*column as usize] = f64::NAN);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::{query, sequences};
    use super::*;

    /// Three users, three items; user 0 has not rated item 2.
    fn fitted() -> Vec<Sequence> {
        sequences(&[&[(0, 5.0), (1, 1.0)], &[(0, 5.0), (1, 1.0), (2, 5.0)], &[(0, 1.0), (1, 5.0), (2, 1.0)]])
    }

    #[test]
    fn similarities_have_known_values() {
        let table = vec![vec![(0, 5.0), (1, 1.0)], vec![(0, 4.0), (2, 2.0)], vec![(3, 1.0)]];
        let damped = |s: f64, common: f64| (s * common / (common + SHRINK)) as f32;
        for (distance, expected) in [(Distance::Cosine, 1.0), (Distance::Jaccard, 1.0 / 3.0), (Distance::Euclidean, 0.5)] {
            let s = similarities(&table, 4, distance);
            assert_eq!((s[1], s[3], s[2], s[0]), (damped(expected, 1.0), damped(expected, 1.0), 0.0, 0.0), "{distance:?}");
        }
    }

    #[test]
    fn every_normalisation_follows_the_most_similar_rows() {
        for side in [Side::Items, Side::Users] {
            for distance in [Distance::AdjustedCosine, Distance::Pearson] {
                for normalisation in Normalisation::ALL {
                    let model = RatingKnn::fit(3, &fitted(), side, distance, normalisation);
                    let predicted = model.predict(&query(0, &[(0, 5.0), (1, 1.0)], &[2]))[0];
                    assert!(predicted > 3.3, "{side:?} {distance:?} {normalisation:?} {predicted}");
                }
            }
        }
    }

    #[test]
    fn normalisations_invert_and_ratios_need_positive_ratings() {
        for n in Normalisation::ALL {
            assert!((n.back(n.forth(4.0, [3.0, 0.5]), [3.0, 0.5]) - 4.0).abs() < 1e-12);
        }
        let negative = sequences(&[&[(0, -5.0), (1, -1.0)]]);
        assert!(RatingKnn::check(2, &negative, Side::Items, Normalisation::Ratio).is_err());
    }
}
