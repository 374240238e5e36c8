//! The figures of a protocol, from the scores of any model.

mod groups;

pub use groups::TAIL;

use std::collections::BTreeMap;

use anyhow::Result;

use self::groups::Groups;
use crate::data::Dataset;
use crate::metrics::{
    Beyond, Calibration, auc, average_precision, coverage, gini, hit_rate, mrr, ndcg, precision, ranks, recall, serendipity, top,
};
use crate::protocols::{Model, Protocol, Query, Split, distinct};

/// Values of one model by metric: one value a query, the queries in the same order for every model.
pub type Values = BTreeMap<String, Vec<f64>>;

/// Figures of one model on one split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// By metric, one value a query (P1: a test event).
    pub values: Values,
    /// By metric, one value for all queries together.
    pub overall: BTreeMap<String, f64>,
    /// Of the metric that decides ([`goal`]), by group of users: one value a query.
    pub slices: Values,
    /// Share of the top ten of all lists by group of items.
    pub exposure: BTreeMap<String, f64>,
}

/// The metric by which settings are chosen on a protocol's validation part: higher is better, but for the RMSE.
pub fn goal(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::P1 => "rm@10",
        Protocol::P2 => "rmse",
        Protocol::P3 | Protocol::P5 => "ndcg@10",
        Protocol::P4 | Protocol::All => "ndcg@100",
        Protocol::Cold => "recall@20",
    }
}

/// Queries that choose a setting, at most: every n-th of the validation part.
const CHOOSING: usize = 1000;

/// The quality of a model on the split's validation part: the sum of the protocol's [`goal`] over at most 1,000 queries.
pub fn validation_quality(data: &Dataset, split: &Split) -> impl Fn(&dyn Model) -> f64 {
    let queries: Vec<Query> = split.valid.iter().step_by(split.valid.len() / CHOOSING + 1).cloned().collect();
    move |model| {
        let figures = measure(data, split, &queries, |query| Ok(model.scores(query))).unwrap_or_default();
        figures.values.get(goal(split.protocol)).map_or(0.0, |values| values.iter().sum::<f64>())
    }
}

/// Asks `score` for every query of a part of the split: it gives the scores of all items. What the split's model may have seen is what
/// novelty, diversity and popularity are measured by.
///
/// # Errors
/// Those of `score`.
pub fn measure(
    data: &Dataset,
    split: &Split,
    queries: &[Query],
    mut score: impl FnMut(&Query) -> Result<Vec<f32>>,
) -> Result<Figures> {
    let protocol = split.protocol;
    let beyond = Beyond::new(data.items.len(), split.fitted());
    let (users, items) = (Groups::of_users(data), Groups::of_items(data));
    let usual = beyond.popularity();
    let calibration = calibration(data);
    let mut out = Figures::default();
    let mut shown = vec![0u32; data.items.len()];
    let mut unknown = 0;
    for query in queries {
        let scores = score(query)?;
        let universe = query.universe(&data.in_events);
        let rank = |removed: &[u32]| ranks(&scores, universe, removed, &query.targets);
        let mut add = |metric: String, value: f64| {
            if metric == goal(protocol) {
                for group in &users.of[query.user as usize] {
                    out.slices.entry(users.names[*group].clone()).or_default().push(value);
                }
            }
            out.values.entry(metric).or_default().push(value);
        };
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
                if let Some(tie) = tie(data, query) {
                    add(format!("hr@10_{tie}"), hit_rate(rank, 10));
                    add(format!("ndcg@10_{tie}"), ndcg(&[rank], 10));
                }
            }
            Protocol::P5 => {
                // What no list can hold is a miss.
                let can = query.is_candidate(query.targets[0], &data.in_events);
                let rank = if can { rank(&query.removed)[0] } else { usize::MAX };
                let who = if query.is_new { "new" } else { "known" };
                for (metric, value) in [("hr@10", hit_rate(rank, 10)), ("ndcg@10", ndcg(&[rank], 10))] {
                    add(metric.into(), value);
                    add(format!("{metric}_{who}"), value);
                }
                unknown += u32::from(!universe[query.targets[0] as usize]);
            }
            Protocol::Cold => {
                let ranks = rank(&query.removed);
                add("recall@20".into(), recall(&ranks, 20));
                add("ndcg@100".into(), ndcg(&ranks, 100));
            }
            Protocol::P2 | Protocol::P4 | Protocol::All => {
                let ranks = rank(&query.removed);
                add("recall@20".into(), recall(&ranks, 20));
                add("ndcg@100".into(), ndcg(&ranks, 100));
                add("precision@20".into(), precision(&ranks, 20));
                add("map@100".into(), average_precision(&ranks, 100));
                add("mrr".into(), ranks.iter().min().map_or(0.0, |rank| mrr(*rank)));
                let candidates = universe.iter().filter(|is_in| **is_in).count() - query.removed.len();
                add("auc".into(), auc(&ranks, candidates));
                add("next_hr@10".into(), hit_rate(ranks[0], 10));
                add("next_ndcg@10".into(), ndcg(&ranks[..1], 10));
                if let Some(tie) = tie(data, query) {
                    add(format!("ndcg@100_{tie}"), ndcg(&ranks, 100));
                    add(format!("next_hr@10_{tie}"), hit_rate(ranks[0], 10));
                }
            }
        }
        let list = top(&scores, universe, &query.removed, 10);
        add("novelty@10".into(), beyond.novelty(&list));
        add("ild@10".into(), beyond.intra_list_diversity(&list));
        if let Some(lift) = beyond.popularity_lift(&list, &distinct(&query.history)) {
            add("lift@10".into(), lift);
        }
        add("serendipity@10".into(), serendipity(&list, &query.targets, &top(&usual, universe, &query.removed, 10)));
        if let Some(divergence) = calibration.as_ref().and_then(|c| c.divergence(&distinct(&query.history), &list)) {
            add("calibration@10".into(), divergence);
        }
        list.into_iter().for_each(|item| shown[item as usize] += 1);
    }
    out.exposure = items.shares(&shown);
    let universe: Vec<u32> = shown.iter().zip(&data.in_events).filter(|(_, is_in)| **is_in).map(|(n, _)| *n).collect();
    out.overall = BTreeMap::from([("coverage@10".into(), coverage(&universe)), ("gini@10".into(), gini(&universe))]);
    if protocol == Protocol::P5 {
        out.overall.insert("unknown_targets".into(), f64::from(unknown));
    }
    Ok(out)
}

/// By the first column of items that has categories or sets.
fn calibration(data: &Dataset) -> Option<Calibration> {
    data.item_table.columns.iter().find(|c| c.kind == "category" || c.kind == "set").map(Calibration::new)
}

/// Whether the first target shares its second with the last event of the query, `tied`, or not, `untied`: where many do, their order can be learnt
/// from how ties are broken. `None` without times.
fn tie(data: &Dataset, query: &Query) -> Option<&'static str> {
    let ahead = &data.history(query.user as usize)[query.history.len()..];
    let target = ahead.iter().find(|e| e.item == query.targets[0])?;
    Some(if query.history.last()?.time? == target.time? { "tied" } else { "untied" })
}

/// Asks `predict` for every query of P2: it gives the ratings of the targets, which are cut to the range of all ratings.
///
/// `mae` is the mean of |e| over the test events. The values of `rmse` are R + (e² − R²) / 2R with R the root mean squared error: their mean is
/// R, and their spread gives its interval (the delta method), as does that of their differences between two models.
///
/// # Errors
/// Those of `predict`.
pub fn measure_ratings(
    data: &Dataset,
    queries: &[Query],
    mut predict: impl FnMut(&Query) -> Result<Vec<f64>>,
) -> Result<Figures> {
    let ratings = || data.events.iter().filter_map(|e| e.rating);
    let (least, most) = (ratings().fold(f64::MAX, f64::min), ratings().fold(f64::MIN, f64::max));
    let mut errors = Vec::new();
    for query in queries {
        let predicted = predict(query)?;
        errors.extend(predicted.iter().zip(&query.ratings).map(|(p, r)| p.max(least).min(most) - r));
    }
    let squares: Vec<f64> = errors.iter().map(|e| e * e).collect();
    let mean = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    let root = mean.sqrt();
    let spread = |e: &f64| if root > 0.0 { root + (e - mean) / (2.0 * root) } else { 0.0 };
    let values =
        [("rmse".to_owned(), squares.iter().map(spread).collect()), ("mae".to_owned(), errors.iter().map(|e| e.abs()).collect())];
    Ok(Figures { values: values.into(), ..Figures::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::tests::dataset;

    fn split(protocol: Protocol) -> Split {
        Split { protocol, fold: None, train: vec![], valid: vec![], refit: None, test: vec![] }
    }

    /// Items 0 to 4 with falling scores.
    fn figures(protocol: Protocol, targets: &[u32], removed: &[u32]) -> Figures {
        let data = dataset(&[&[0, 1, 2, 3, 4]]);
        let query = Query::new(0, vec![], targets.to_vec(), removed.to_vec());
        measure(&data, &split(protocol), &[query], |_| Ok(vec![5.0, 4.0, 3.0, 2.0, 1.0])).unwrap()
    }

    #[test]
    fn ties_are_told_apart() {
        let mut data = dataset(&[&[0, 1, 2, 3]]);
        assert_eq!(tie(&data, &query_at(&data, 2)), Some("untied"));
        data.events.change(|events| events[2].time = events[1].time);
        assert_eq!(tie(&data, &query_at(&data, 2)), Some("tied"));
        assert_eq!(tie(&data, &query_at(&data, 0)), None, "nothing to share a second with");
        data.events.change(|events| events[2].time = None);
        assert_eq!(tie(&data, &query_at(&data, 2)), None);
    }

    fn query_at(data: &Dataset, known: usize) -> Query {
        Query::new(0, data.events[..known].to_vec(), vec![data.events[known].item], vec![])
    }

    #[test]
    fn what_no_list_of_p5_can_hold_is_a_miss() {
        let data = dataset(&[&[0, 1, 2, 3, 4]]);
        let mut query = Query::new(0, vec![], vec![0], vec![]);
        let figures = |query: &Query| {
            measure(&data, &split(Protocol::P5), std::slice::from_ref(query), |_| Ok(vec![5.0, 4.0, 3.0, 2.0, 1.0])).unwrap()
        };
        let hit = figures(&query);
        assert_eq!((hit.values["hr@10"][0], hit.values["ndcg@10_known"][0], hit.overall["unknown_targets"]), (1.0, 1.0, 0.0));
        query.candidates = Some(std::sync::Arc::new(vec![false, true, true, true, true]));
        query.is_new = true;
        let miss = figures(&query);
        assert_eq!((miss.values["hr@10"][0], miss.values["ndcg@10_new"][0], miss.overall["unknown_targets"]), (0.0, 0.0, 1.0));
        assert_eq!(miss.overall["coverage@10"], 0.8, "and nobody sees it");
    }

    #[test]
    fn known_values_of_each_protocol() {
        let p4 = figures(Protocol::P4, &[3, 1], &[0]);
        assert_eq!((p4.values["recall@20"][0], p4.values["next_hr@10"][0], p4.values["next_ndcg@10"][0]), (1.0, 1.0, 0.5));
        assert_eq!(
            (p4.overall["coverage@10"], p4.values["auc"][0], p4.values["map@100"][0]),
            (0.8, 0.75, (1.0 + 2.0 / 3.0) / 2.0)
        );
        let p3 = figures(Protocol::P3, &[1], &[0]);
        assert_eq!((p3.values["mrr"][0], p3.values["hr@10"][0]), (1.0, 1.0));
        let p1 = figures(Protocol::P1, &[1, 2], &[0]);
        assert_eq!((&p1.values["all@1"], &p1.values["rm@1"]), (&vec![0.0, 0.0], &vec![1.0, 0.0]));
        assert_eq!(p1.values["all@5"], [1.0, 1.0]);
    }

    #[test]
    fn errors_of_ratings() {
        let mut data = dataset(&[&[0, 1, 2, 3]]);
        data.events.change(|events| (events[0].rating, events[1].rating) = (Some(1.0), Some(5.0)));
        let query = Query { ratings: vec![1.0, 4.0, 5.0], ..Query::new(0, vec![], vec![0, 2, 1], vec![]) };
        // 9 is cut to 5.
        let figures = measure_ratings(&data, &[query], |_| Ok(vec![2.0, 4.0, 9.0])).unwrap();
        let mean = |metric: &str| figures.values[metric].iter().sum::<f64>() / 3.0;
        assert!((mean("rmse") - (1.0f64 / 3.0).sqrt()).abs() < 1e-12 && (mean("mae") - 1.0 / 3.0).abs() < 1e-12);
    }
}
