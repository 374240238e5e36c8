//! Guesses that use neither visitor nor item: draws from the ratings, the most frequent rating, the mean.

use super::{RatingBaseline, mean_rating, ratings};
use crate::protocols::{Query, Sequence};
use crate::random::mix;

/// How a guess is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A drawn distinct rating, all equally likely.
    Uniform,
    /// A drawn rating, as likely as it is frequent.
    Weighted,
    /// The most frequent rating; the lowest of equally frequent ones.
    Majority,
    /// The mean rating.
    Mean,
}

pub(super) struct Guess {
    kind: Kind,
    mean: f64,
    /// Distinct ratings, ascending, and how often each occurs.
    values: Vec<(f64, u64)>,
}

impl Guess {
    pub fn fit(fitted: &[Sequence], kind: Kind) -> Self {
        let mut all: Vec<f64> = ratings(fitted).map(|(.., r)| r).collect();
        all.sort_by(f64::total_cmp);
        let values = all.chunk_by(|a, b| a == b).map(|c| (c[0], c.len() as u64)).collect();
        Guess { kind, mean: mean_rating(fitted), values }
    }

    /// The guess for the random number `draw`.
    fn guess(&self, draw: u64) -> f64 {
        let all = self.values.iter().map(|(_, n)| n).sum::<u64>().max(1);
        match self.kind {
            Kind::Mean => self.mean,
            Kind::Uniform => self.values.get((draw % self.values.len().max(1) as u64) as usize).map_or(0.0, |(r, _)| *r),
            Kind::Majority => self.values.iter().rev().max_by_key(|(_, n)| *n).map_or(0.0, |(r, _)| *r),
            Kind::Weighted => {
                let mut left = draw % all;
                let found = self.values.iter().find(|(_, n)| {
                    let here = left < *n;
                    left = left.saturating_sub(*n);
                    here
                });
                found.map_or(0.0, |(r, _)| *r)
            }
        }
    }
}

impl RatingBaseline for Guess {
    fn predict(&self, query: &Query) -> Vec<f64> {
        query.targets.iter().map(|item| self.guess(mix(u64::from(query.user), u64::from(*item)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::sequences;
    use super::*;

    #[test]
    fn each_kind() {
        let fitted = sequences(&[&[(0, 1.0), (1, 4.0)], &[(0, 4.0), (1, 3.0)]]);
        let guess = |kind, draw| Guess::fit(&fitted, kind).guess(draw);
        assert_eq!((guess(Kind::Mean, 5), guess(Kind::Majority, 5)), (3.0, 4.0));
        assert_eq!([0, 1, 2].map(|draw| guess(Kind::Uniform, draw)), [1.0, 3.0, 4.0]);
        assert_eq!([0, 1, 2, 3].map(|draw| guess(Kind::Weighted, draw)), [1.0, 3.0, 4.0, 4.0]);
        assert_eq!(Guess::fit(&sequences(&[&[(0, 2.0), (1, 1.0)]]), Kind::Majority).guess(0), 1.0, "the lower of equals");
    }
}
