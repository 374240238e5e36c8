//! The gate: checks that the next version must pass before visitors get it.

use std::collections::BTreeMap;

use anyhow::Result;
use foretaste::Recommender;
use serde::{Deserialize, Serialize};

use super::logged::Joined;
use crate::data::Dataset;
use crate::evaluate::{Paired, user_of};
use crate::metrics::{ranks, top};
use crate::protocols::{Protocol, Query, Sequence, Split, hash, histories, query};

/// Most users that a check evaluates.
const MOST: usize = 2000;
/// The newest events of one in this many visitors of the log are held back from training, to be predicted.
const HELD_BACK: u64 = 4;
/// Slots of the slates whose exposure is compared.
const SLOTS: usize = 10;

/// Bounds of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// How far quality may fall, as a share of the champion's: 0 (not at all) to 1 (to nothing).
    ///
    /// A version fails if the whole 95 % interval of the difference lies below this bound and a randomisation test
    /// finds a difference too (p < 0.05). With four visitors or fewer the test never does.
    pub drop: f64,
    /// Most by which one item's share may rise, among answers and in slates: 0 (not at all) to 1 (any rise).
    pub surge: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { drop: 0.0, surge: 0.1 }
    }
}

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// `answers`, `exposure`, `visitors` or `users`.
    pub name: String,
    /// Whether the version passed.
    pub passed: bool,
    /// The champion's figure; for `answers` that of the data.
    pub before: f64,
    /// The next version's figure; for `answers` that of the log.
    pub after: f64,
    /// The result in words.
    pub says: String,
}

/// Results of all checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Whether the version passed all checks.
    pub passed: bool,
    /// The checks in the order they ran.
    pub checks: Vec<Check>,
}

/// The split that an update learns from: the last fifth of some visitors' histories is held back.
pub fn split(joined: &Joined) -> Split {
    let data = &joined.data;
    let held_back = |user: usize| user >= joined.first && hash(&data.users[user]).is_multiple_of(HELD_BACK);
    let test: Vec<Query> = (0..data.users.len()).filter(|u| held_back(*u)).filter_map(|u| query(data, u)).collect();
    let held: BTreeMap<u32, usize> = test.iter().map(|q| (q.user, q.history.len())).collect();
    let mut train: Vec<Sequence> = histories(data, |_| true);
    for sequence in &mut train {
        if let Some(known) = held.get(&sequence.user) {
            sequence.events = sequence.events.part(0..*known);
        }
    }
    Split { protocol: Protocol::All, fold: None, train, valid: vec![], refit: None, test }
}

/// Compares the next version with the champion.
///
/// - `answers`: one item's share of the log's answers, against its share of the data's events. It finds bots that push
///   one item.
/// - `exposure`: the item whose share of the first ten slots rises most, over the users of the data, who are not in the
///   log.
/// - `visitors`: how high a version ranks the held-back events of visitors: the mean of 1 / log₂(1 + rank), each event
///   with its weight in training. The weights make it count less that visitors chose from what the champion showed
///   (Yang et al., Unbiased offline recommender evaluation for missing-not-at-random implicit feedback, 2018).
/// - `users`: the same mean for the last events of the data's users, which both versions were trained on. It finds what
///   the next version has forgotten.
///
/// # Errors
/// Errors of the towers.
pub fn gate(joined: &Joined, split: &Split, champion: &Recommender, next: &Recommender, bounds: Bounds) -> Result<Gate> {
    let data = &joined.data;
    let known = Split { test: (0..joined.first).filter_map(|u| query(data, u)).take(MOST).collect(), ..split.clone() };
    let both = [champion, next].map(|recommender| Contender::new(recommender, data));
    let mut checks = vec![answers(joined, bounds)];
    let slates = both.each_ref().map(|version| version.exposure(&known.test));
    let [before, after] = slates;
    let (before, after) = (before?, after?);
    checks.push(surge("exposure", "first slots", data, &before, (&after, known.test.len()), bounds));
    for (name, part) in [("visitors", split), ("users", &known)] {
        let [before, after] = both.each_ref().map(|version| version.gains(&part.test));
        let (before, after) = (before?, after?);
        if before.is_empty() {
            continue;
        }
        let found = Paired::of(&before, &after, 0);
        let passed = !is_worse(&found, bounds.drop);
        let says = format!(
            "mean 1 / log₂(1 + rank) of the last events of {} {name}: {:.4} before, {:.4} after; 95 % interval of the difference {:+.4} \
             to {:+.4}, p {:.3}; fails if the interval is below {:.4} and p under .05",
            found.n,
            found.first,
            found.second,
            found.ci95[0],
            found.ci95[1],
            found.p,
            -bounds.drop * found.first
        );
        checks.push(Check { name: name.into(), passed, before: found.first, after: found.second, says });
    }
    Ok(Gate { passed: checks.iter().all(|check| check.passed), checks })
}

/// Whether quality has fallen by more than the share `drop` beyond doubt. The interval alone is too sure with few
/// visitors: with one visitor a bootstrap interval is a point.
fn is_worse(found: &Paired, drop: f64) -> bool {
    found.ci95[1] < -drop * found.first && found.p < 0.05
}

fn answers(joined: &Joined, bounds: Bounds) -> Check {
    let data = &joined.data;
    let shares = |events: &[crate::data::DatasetEvent]| {
        let mut shares = vec![0.0; data.items.len()];
        events.iter().for_each(|event| shares[event.item as usize] += 1.0 / events.len() as f64);
        shares
    };
    let (before, after) = data.events.split_at(data.offsets[joined.first]);
    surge("answers", "events", data, &shares(before), (&shares(after), after.len()), bounds)
}

/// Checks the item whose share rises most. `after` is estimated from `n` draws, so the lower end of its 95 % interval
/// must not have risen too far.
fn surge(name: &str, of: &str, data: &Dataset, before: &[f64], (after, n): (&[f64], usize), bounds: Bounds) -> Check {
    let rises = before.iter().zip(after).map(|(before, after)| after - before).enumerate();
    let item = rises.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(item, _)| item);
    let (before, after) = (before[item], after[item]);
    let low = at_least(after, n);
    let passed = low - before <= bounds.surge;
    let says = format!(
        "item {}: {:.1} % of the {of} before, {:.1} % after, at least {:.1} % (95 % interval); allowed rise: {} percentage points",
        data.items[item],
        100.0 * before,
        100.0 * after,
        100.0 * low,
        100.0 * bounds.surge
    );
    Check { name: name.into(), passed, before, after, says }
}

/// Lower end of the 95 % interval of a share of `n` draws (Wilson, Probable inference, the law of succession, and
/// statistical inference, 1927).
fn at_least(share: f64, n: usize) -> f64 {
    let (n, z) = (n.max(1) as f64, 1.96);
    let middle = share + z * z / (2.0 * n);
    (middle - z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt()) / (1.0 + z * z / n)
}

/// A version in the comparison: scores the items of a data set, which may have items that the bundle lacks.
struct Contender<'a> {
    recommender: &'a Recommender,
    data: &'a Dataset,
    /// The bundle's row of each item.
    rows: Vec<Option<u32>>,
}

impl<'a> Contender<'a> {
    fn new(recommender: &'a Recommender, data: &'a Dataset) -> Self {
        let rows = data.items.iter().map(|id| recommender.bundle().catalog.row(id)).collect();
        Contender { recommender, data, rows }
    }

    /// Scores of the data's items; items that the bundle lacks come last.
    fn scores(&self, query: &Query) -> Result<Vec<f32>> {
        let scores = self.recommender.scores(&user_of(self.recommender, self.data, query)?);
        Ok(self.rows.iter().map(|row| row.map_or(f32::MIN, |row| scores[row as usize])).collect())
    }

    /// The gain of each query: Σ weight / log₂(1 + rank) over its targets, divided by the mean weight per query.
    fn gains(&self, queries: &[Query]) -> Result<Vec<f64>> {
        let queries = &queries[..queries.len().min(MOST)];
        let (mut gains, mut weights) = (Vec::new(), 0.0);
        for query in queries {
            let ahead = &self.data.history(query.user as usize)[query.history.len()..];
            let weight = |item: &u32| ahead.iter().find(|e| e.item == *item).map_or(1.0, |e| f64::from(e.weight));
            let ranks = ranks(&self.scores(query)?, query.universe(&self.data.in_events), &query.removed, &query.targets);
            let gain = |(item, rank): (&u32, &usize)| weight(item) / libm::log2(1.0 + *rank as f64);
            gains.push(query.targets.iter().zip(&ranks).map(gain).sum::<f64>());
            weights += query.targets.iter().map(weight).sum::<f64>();
        }
        let mean = weights / queries.len().max(1) as f64;
        Ok(gains.into_iter().map(|gain| gain / mean).collect())
    }

    /// Share of the first slots that each item takes.
    fn exposure(&self, queries: &[Query]) -> Result<Vec<f64>> {
        let mut shares = vec![0.0; self.rows.len()];
        for query in queries {
            let list = top(&self.scores(query)?, query.universe(&self.data.in_events), &query.removed, SLOTS);
            list.iter().for_each(|item| shares[*item as usize] += 1.0 / queries.len() as f64);
        }
        Ok(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_visitors_prove_no_fall() {
        let worse = |n: usize, drop| {
            let before: Vec<f64> = (0..n).map(|i| 0.2 + 0.01 * i as f64).collect();
            let after: Vec<f64> = before.iter().map(|gain| 0.9 * gain).collect();
            is_worse(&Paired::of(&before, &after, 0), drop)
        };
        assert!((1..=4).all(|n| !worse(n, 0.0)));
        assert!(worse(20, 0.0) && worse(20, 0.08) && !worse(20, 0.12));
    }

    /// `statsmodels.stats.proportion.proportion_confint(count, nobs, method="wilson")`, by hand with z = 1.96.
    #[test]
    fn shares_of_few_draws_have_wide_intervals() {
        assert!((at_least(0.5, 2) - 0.0945).abs() < 1e-4 && (at_least(0.2, 1000) - 0.1764).abs() < 1e-4);
        assert!(at_least(0.0, 10).abs() < 1e-12 && at_least(1.0, 1_000_000) > 0.9999);
    }
}
