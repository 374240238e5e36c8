//! What every metric declares.

use super::{ItemGroups, ItemUsers};

/// A metric: how it is called, how its values are read, and how they are computed.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Name in reports, without the list length: `ndcg` of `ndcg@100`.
    pub family: &'static str,
    /// How many places from the top of the list count; `None` if the metric knows no such cut.
    pub k: Option<usize>,
    /// What the numbers are, and their range.
    pub unit: &'static str,
    /// Which values are better.
    pub better: Better,
    /// The formula, and with it what it reads.
    pub formula: Formula,
}

/// Which of two values of a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// The higher one: hits.
    Higher,
    /// The lower one: errors.
    Lower,
    /// Neither; the metric describes the lists, and what is wanted depends on the site.
    Neither,
}

/// How a metric is computed. The variant says what it reads.
#[derive(Debug, Clone, Copy)]
pub enum Formula {
    /// From the ranks of one query's targets (from 1, in the order of the targets) and k.
    Ranks(fn(&[usize], usize) -> f64),
    /// From the ranks of one query's targets, what each is worth, and k; `None` if no target is worth anything.
    Gains(fn(&[usize], &[f64], usize) -> Option<f64>),
    /// From the ranks of one query's targets and the number of candidates.
    WholeRanking(fn(&[usize], usize) -> f64),
    /// From the first k items of one query's list; `None` if the query has no value.
    List(fn(&List) -> Option<f64>),
    /// From the lists of all queries together: one value for all.
    AllLists(fn(&AllLists) -> f64),
    /// From the errors of all predicted ratings (predicted − given): one value for each, whose mean is the figure.
    RatingErrors(fn(&[f64]) -> Vec<f64>),
}

/// The list of one query, and what it is compared with.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// The first k items, best first.
    pub items: &'a [u32],
    /// Items of the query's history, each once.
    pub history: &'a [u32],
    /// Items that the query is to find.
    pub targets: &'a [u32],
    /// The first k items of the list that popularity alone would give the same visitor.
    pub popular: &'a [u32],
    /// Who had each item in the events that the model was fitted on.
    pub users: &'a ItemUsers,
    /// The groups of each item, if the items table has a column of categories or sets.
    pub groups: Option<&'a ItemGroups>,
}

/// The lists of all queries together.
#[derive(Debug, Clone, Copy)]
pub struct AllLists<'a> {
    /// In how many lists each item of the events was among the first k: `[items]`.
    pub shown: &'a [u32],
    /// How many targets the trainer did not know, so that no list can hold them.
    pub unknown_targets: u32,
}

impl Metric {
    /// The metric over the first `k` places.
    pub const fn at(self, k: usize) -> Metric {
        Metric { k: Some(k), ..self }
    }

    /// The figure that belongs to a quality: a number that grows as the metric gets better. Its own inverse.
    pub fn value(&self, quality: f64) -> f64 {
        self.better.sign() * quality
    }

    /// Name in reports: `ndcg@100`, or `mrr` without a k.
    pub fn name(&self) -> String {
        named(self.family, self.k)
    }
}

/// The name of a metric: its family, and `@k` if there is a k.
pub(crate) fn named(family: &str, k: Option<usize>) -> String {
    k.map_or(family.to_owned(), |k| format!("{family}@{k}"))
}

impl Better {
    /// Whether `value` is better than `other`.
    pub fn is_better(self, value: f64, other: f64) -> bool {
        match self {
            Better::Higher => value > other,
            Better::Lower => value < other,
            Better::Neither => false,
        }
    }

    /// 1 if higher is better, −1 if lower is, 0 if neither: a value times its sign grows as it gets better.
    pub fn sign(self) -> f64 {
        match self {
            Better::Higher => 1.0,
            Better::Lower => -1.0,
            Better::Neither => 0.0,
        }
    }

    /// In words, for people.
    pub fn words(self) -> &'static str {
        match self {
            Better::Higher => "higher is better",
            Better::Lower => "lower is better",
            Better::Neither => "neither end is better",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GINI, NDCG, RECIPROCAL_RANK, RMSE};

    #[test]
    fn names_and_directions() {
        assert_eq!((NDCG.at(100).name(), RECIPROCAL_RANK.name()), ("ndcg@100".into(), "mrr".into()));
        assert!(NDCG.better.is_better(0.2, 0.1) && !NDCG.better.is_better(0.1, 0.1));
        assert!(RMSE.better.is_better(0.9, 1.0) && !RMSE.better.is_better(1.0, 0.9));
        assert!(!GINI.better.is_better(0.1, 0.2) && !GINI.better.is_better(0.2, 0.1));
        assert_eq!([NDCG, RMSE, GINI].map(|m| m.better.sign()), [1.0, -1.0, 0.0]);
    }
}
