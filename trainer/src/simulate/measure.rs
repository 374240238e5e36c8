//! Measures a round of a simulation.

use std::collections::BTreeSet;

use foretaste::explore::{below, decision_rng};
use foretaste::profile::LogLine;
use serde::Serialize;

use super::society::{Society, Visit};
use crate::metrics::{coverage, gini};

/// Clicks after which a new item counts as discovered.
const FOUND: usize = 5;
/// Pairs of slates compared for homogeneity.
const PAIRS: usize = 500;

/// Figures of one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Round {
    /// Expected clicks per slate under the true click probabilities, so without luck.
    pub reward: f64,
    /// Expected clicks per slate that the best list would have had beyond the reward.
    pub regret: f64,
    /// Sum of the regret over the rounds so far.
    pub cumulative_regret: f64,
    /// Share of the released items that were shown, 0 to 1.
    pub coverage: f64,
    /// Gini coefficient of how often the released items were shown: 0 (all equally often) to 1 (one item alone).
    pub gini: f64,
    /// Share of slots whose item is not among the most clicked fifth of the released items.
    pub long_tail: f64,
    /// Share of the best-liked tenth of the new items that have five clicks or more so far.
    pub discovery: f64,
    /// Mean Jaccard index of two slates: 0 (no item in common) to 1 (the same items).
    pub homogeneity: f64,
}

/// Collects the figures of a round while it runs.
pub(super) struct Measure {
    reward: f64,
    best: f64,
    slates: Vec<BTreeSet<usize>>,
    shown: Vec<u32>,
    clicks: Vec<usize>,
}

impl Measure {
    pub fn new(society: &Society, logs: &[Vec<LogLine>]) -> Measure {
        let items = society.count();
        let mut clicks = vec![0; items];
        for line in logs.iter().flatten() {
            if let LogLine::Event(event) = line {
                clicks[society.item(&event.item)] += 1;
            }
        }
        Measure { reward: 0.0, best: 0.0, slates: Vec::new(), shown: vec![0; items], clicks }
    }

    pub fn shown(&mut self, society: &Society, visit: &Visit, items: &[usize]) {
        self.reward += society.worth(visit, items);
        self.best += society.best_worth(visit, items.len());
        items.iter().for_each(|item| self.shown[*item] += 1);
        self.slates.push(items.iter().copied().collect());
    }

    pub fn finish(self, society: &Society, before: Option<&Round>) -> Round {
        let n = self.slates.len().max(1) as f64;
        let shown: Vec<u32> = society.out.iter().map(|item| self.shown[*item]).collect();
        let mut by_clicks = society.out.clone();
        by_clicks.sort_by_key(|item| std::cmp::Reverse(self.clicks[*item]));
        let head: u32 = by_clicks[..by_clicks.len() / 5].iter().map(|item| self.shown[*item]).sum();
        let slots: u32 = shown.iter().sum();
        let regret = (self.best - self.reward) / n;
        let mut rng = decision_rng(0, "simulate/pairs");
        let mut common = 0.0;
        for _ in 0..PAIRS {
            let [a, b] = [0, 1].map(|_| &self.slates[below(&mut rng, self.slates.len() as u64) as usize]);
            common += a.intersection(b).count() as f64 / a.union(b).count().max(1) as f64 / PAIRS as f64;
        }
        Round {
            reward: self.reward / n,
            regret,
            cumulative_regret: regret + before.map_or(0.0, |round| round.cumulative_regret),
            coverage: coverage(&shown),
            gini: gini(&shown),
            long_tail: 1.0 - f64::from(head) / f64::from(slots.max(1)),
            discovery: self.discovery(society),
            homogeneity: common,
        }
    }

    fn discovery(&self, society: &Society) -> f64 {
        let liking = |item: &usize| (0..society.users()).map(|user| society.liking(user, *item)).sum::<f64>();
        let mut new: Vec<(f64, usize)> =
            society.out.iter().filter(|item| society.is_new(**item)).map(|item| (liking(item), *item)).collect();
        new.sort_by(|a, b| b.0.total_cmp(&a.0));
        new.truncate(new.len().div_ceil(10));
        let found = new.iter().filter(|(_, item)| self.clicks[*item] >= FOUND).count();
        if new.is_empty() { 0.0 } else { found as f64 / new.len() as f64 }
    }
}
