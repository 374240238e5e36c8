//! The figures of a protocol, from the scores of any model.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Values;
use crate::data::Dataset;
use crate::metrics::{coverage, gini, hit_rate, mrr, ndcg, ranks, recall, top};
use crate::protocols::{Protocol, Query};

/// Figures of one model on one split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// By metric, one value a query (P1: a test event).
    pub values: Values,
    /// By metric, one value for all queries together.
    pub overall: BTreeMap<String, f64>,
}

/// Asks `score` for every query: it gives the scores of all items.
///
/// # Errors
/// Those of `score`.
pub fn measure(
    data: &Dataset,
    protocol: Protocol,
    queries: &[Query],
    mut score: impl FnMut(&Query) -> Result<Vec<f32>>,
) -> Result<Figures> {
    let mut out = Figures::default();
    let mut shown = vec![0u32; data.items.len()];
    for query in queries {
        let scores = score(query)?;
        let rank = |removed: &[u32]| ranks(&scores, &data.in_events, removed, &query.targets);
        let mut add = |metric: String, value: f64| out.values.entry(metric).or_default().push(value);
        match protocol {
            Protocol::P1 => {
                for (name, ranks) in [("all", rank(&[])), ("rm", rank(&query.removed))] {
                    for k in [1, 5, 10, 50, 100] {
                        ranks.iter().for_each(|rank| add(format!("{name}@{k}"), hit_rate(*rank, k)));
                    }
                }
            }
            Protocol::P3 => {
                let rank = rank(&query.removed)[0];
                [10, 20, 50].into_iter().for_each(|k| add(format!("hr@{k}"), hit_rate(rank, k)));
                [10, 20, 50].into_iter().for_each(|k| add(format!("ndcg@{k}"), ndcg(&[rank], k)));
                add("mrr".into(), mrr(rank));
            }
            _ => {
                let ranks = rank(&query.removed);
                add("recall@20".into(), recall(&ranks, 20));
                add("ndcg@100".into(), ndcg(&ranks, 100));
                add("next_hr@10".into(), hit_rate(ranks[0], 10));
                add("next_ndcg@10".into(), ndcg(&ranks[..1], 10));
            }
        }
        top(&scores, &data.in_events, &query.removed, 10).into_iter().for_each(|item| shown[item as usize] += 1);
    }
    let universe: Vec<u32> = shown.iter().zip(&data.in_events).filter(|(_, is_in)| **is_in).map(|(n, _)| *n).collect();
    out.overall = BTreeMap::from([("coverage@10".into(), coverage(&universe)), ("gini@10".into(), gini(&universe))]);
    Ok(out)
}
