//! What the next version has to pass before visitors see it.

use std::collections::BTreeMap;

use anyhow::Result;
use foretaste::Recommender;
use serde::{Deserialize, Serialize};

use super::logged::Joined;
use crate::data::Dataset;
use crate::evaluate::{Paired, user_of};
use crate::metrics::{ranks, top};
use crate::protocols::{Protocol, Query, Sequence, Split, hash, histories, query};

/// Most users of either kind that a check asks.
const MOST: usize = 2000;
/// Of the visitors, one in so many is asked what comes next, and shows it to no training.
const HELD_BACK: u64 = 4;
/// Slots of the slates whose exposure is compared.
const SLOTS: usize = 10;

/// Bounds of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// How far quality may be shown to fall, as a share of the champion's, 0 to 1: a version fails where the whole 95 % interval lies below and a
    /// randomisation test finds a difference too, which of four visitors or fewer it never does.
    pub drop: f64,
    /// Most by which the share of one item may rise, among answers and in slates, 0 to 1.
    pub surge: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { drop: 0.0, surge: 0.1 }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// `answers`, `exposure`, `visitors` or `users`.
    pub name: String,
    /// Whether it let the version pass.
    pub passed: bool,
    /// The champion's figure.
    pub before: f64,
    /// The next version's.
    pub after: f64,
    /// What it says, in words.
    pub says: String,
}

/// All checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Whether all passed.
    pub passed: bool,
    /// In order.
    pub checks: Vec<Check>,
}

/// The split that an update learns from: of some visitors the last fifth is held back.
pub fn split(joined: &Joined) -> Split {
    let data = &joined.data;
    let asked = |user: usize| user >= joined.first && hash(&data.users[user]).is_multiple_of(HELD_BACK);
    let test: Vec<Query> = (0..data.users.len()).filter(|u| asked(*u)).filter_map(|u| query(data, u)).collect();
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
/// - `answers`: one item's share of the log's answers, beside its share of the data's events. Bots push one item.
/// - `exposure`: the item whose share of the first ten slots rises most, over the users of the data, who are not of the log.
/// - `visitors`: how far up stands what visitors did last, which was held back: the mean of 1 / log₂(1 + rank), each event with its weight in
///   training. So that they chose from what the champion showed speaks less for it (Yang et al., Unbiased offline recommender evaluation for
///   missing-not-at-random implicit feedback, 2018).
/// - `users`: the same of the last events of the data's users, which both have seen: what the next version has forgotten.
///
/// # Errors
/// Those of the towers.
pub fn gate(joined: &Joined, split: &Split, champion: &Recommender, next: &Recommender, bounds: Bounds) -> Result<Gate> {
    let data = &joined.data;
    let known = Split { test: (0..joined.first).filter_map(|u| query(data, u)).take(MOST).collect(), ..split.clone() };
    let both = [champion, next].map(|recommender| Asked::new(recommender, data));
    let mut checks = vec![answers(joined, bounds)];
    let slates = both.each_ref().map(|asked| asked.exposure(&known.test));
    let [before, after] = slates;
    let (before, after) = (before?, after?);
    checks.push(surge("exposure", "first slots", data, &before, (&after, known.test.len()), bounds));
    for (name, part) in [("visitors", split), ("users", &known)] {
        let [before, after] = both.each_ref().map(|asked| asked.gains(&part.test));
        let (before, after) = (before?, after?);
        if before.is_empty() {
            continue;
        }
        let found = Paired::of(&before, &after, 0);
        let passed = !is_worse(&found, bounds.drop);
        let says = format!(
            "1 / log₂(1 + rank) of what {} {name} did last: {:.4} before, {:.4} after, 95 % of the difference {:+.4} to {:+.4}, p {:.3}; fails \
             below {:.4} and with p under .05",
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

/// Whether quality is shown to have fallen by more than a share of it. A bootstrap of few visitors is too sure: of one its interval is a point.
fn is_worse(found: &Paired, drop: f64) -> bool {
    found.ci95[1] < -drop * found.first && found.p < 0.05
}

fn answers(joined: &Joined, bounds: Bounds) -> Check {
    let data = &joined.data;
    let shares = |events: &[crate::data::Event]| {
        let mut shares = vec![0.0; data.items.len()];
        events.iter().for_each(|event| shares[event.item as usize] += 1.0 / events.len() as f64);
        shares
    };
    let (before, after) = data.events.split_at(data.offsets[joined.first]);
    surge("answers", "events", data, &shares(before), (&shares(after), after.len()), bounds)
}

/// The item whose share rises most. It passes where the share, one of `n` draws, may be small enough: by the lower end of its 95 % interval.
fn surge(name: &str, of: &str, data: &Dataset, before: &[f64], (after, n): (&[f64], usize), bounds: Bounds) -> Check {
    let rises = before.iter().zip(after).map(|(before, after)| after - before).enumerate();
    let item = rises.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(item, _)| item);
    let (before, after) = (before[item], after[item]);
    let low = at_least(after, n);
    let passed = low - before <= bounds.surge;
    let says = format!(
        "item {}: {:.1} % of the {of} before, {:.1} % after, at least {:.1} %; most that a share may rise: {} %",
        data.items[item],
        100.0 * before,
        100.0 * after,
        100.0 * low,
        100.0 * bounds.surge
    );
    Check { name: name.into(), passed, before, after, says }
}

/// Lower end of the 95 % interval of a share of `n` draws. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
fn at_least(share: f64, n: usize) -> f64 {
    let (n, z) = (n.max(1) as f64, 1.96);
    let middle = share + z * z / (2.0 * n);
    (middle - z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt()) / (1.0 + z * z / n)
}

/// A bundle, asked about the users of a data set that may have more items than it.
struct Asked<'a> {
    recommender: &'a Recommender,
    data: &'a Dataset,
    /// The bundle's row of each item.
    rows: Vec<Option<u32>>,
}

impl<'a> Asked<'a> {
    fn new(recommender: &'a Recommender, data: &'a Dataset) -> Self {
        let rows = data.items.iter().map(|id| recommender.bundle().catalog.row(id)).collect();
        Asked { recommender, data, rows }
    }

    /// Scores of the items; those that the bundle lacks are last.
    fn scores(&self, query: &Query) -> Result<Vec<f32>> {
        let scores = self.recommender.scores(&user_of(self.recommender, self.data, query)?.vector);
        Ok(self.rows.iter().map(|row| row.map_or(f32::MIN, |row| scores[row as usize])).collect())
    }

    /// The weighed gain of what each query is to find, over the mean weight.
    fn gains(&self, queries: &[Query]) -> Result<Vec<f64>> {
        let asked = &queries[..queries.len().min(MOST)];
        let (mut gains, mut weights) = (Vec::new(), 0.0);
        for query in asked {
            let ahead = &self.data.history(query.user as usize)[query.history.len()..];
            let weight = |item: &u32| ahead.iter().find(|e| e.item == *item).map_or(1.0, |e| f64::from(e.weight));
            let ranks = ranks(&self.scores(query)?, query.universe(&self.data.in_events), &query.removed, &query.targets);
            let gain = |(item, rank): (&u32, &usize)| weight(item) / libm::log2(1.0 + *rank as f64);
            gains.push(query.targets.iter().zip(&ranks).map(gain).sum::<f64>());
            weights += query.targets.iter().map(weight).sum::<f64>();
        }
        let mean = weights / asked.len().max(1) as f64;
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
    fn few_visitors_show_no_fall() {
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
    fn shares_of_few_draws_are_doubted() {
        assert!((at_least(0.5, 2) - 0.0945).abs() < 1e-4 && (at_least(0.2, 1000) - 0.1764).abs() < 1e-4);
        assert!(at_least(0.0, 10).abs() < 1e-12 && at_least(1.0, 1_000_000) > 0.9999);
    }
}
