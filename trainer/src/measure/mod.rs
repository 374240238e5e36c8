//! Figures of a model on a split: the metrics that the protocol reports, from the scores of any model.

mod groups;

pub use groups::TAIL;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use self::groups::Groups;
use crate::data::Dataset;
use crate::metrics::{AllLists, Formula, ItemGroups, ItemUsers, List, cut, ranks, top};
use crate::protocols::{LIST_LEN, Model, Protocol, Query, ReportedMetric, Split, Targets, distinct};

/// Values of one model by metric: one value a query, in the same order of queries for every model.
pub type Values = BTreeMap<String, Vec<f64>>;

/// Figures of one model on one split.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// By metric, one value a query (P1 and P2: a target).
    pub values: Values,
    /// By metric, one value for all queries together.
    pub overall: BTreeMap<String, f64>,
    /// The protocol's goal by group of users: one value a query (P1: a target).
    pub slices: Values,
    /// By group of items, its share of the first [`LIST_LEN`] places of all lists, 0 to 1.
    pub exposure: BTreeMap<String, f64>,
}

/// Why a model has no figures.
const DIVERGED: &str = "the model has diverged: it gives numbers that are not finite";

/// Most queries by which a setting is chosen; of more, every n-th is taken.
const CHOOSING: usize = 1000;

/// Returns a function that gives the quality of a model: the sum of the protocol's goal over at most 1,000 queries of
/// the validation part, −∞ for a model that has diverged.
pub fn validation_quality(data: &Dataset, split: &Split) -> impl Fn(&dyn Model) -> f64 {
    let queries: Vec<Query> = split.valid.iter().step_by(split.valid.len() / CHOOSING + 1).cloned().collect();
    let goal = split.protocol.goal();
    move |model| {
        let Ok(figures) = measure_metrics(data, split, &queries, &[goal], |query| Ok(model.scores(query))) else {
            return f64::NEG_INFINITY;
        };
        figures.values.get(&goal.name()).map_or(0.0, |values| values.iter().sum::<f64>())
    }
}

/// Measures every metric of the protocol that is about rankings over some queries of the split. `score` gives the
/// scores of all items for a query: `[items]`, higher is better.
///
/// # Errors
/// Those of `score`; a score that is not finite.
pub fn measure(
    data: &Dataset,
    split: &Split,
    queries: &[Query],
    score: impl FnMut(&Query) -> Result<Vec<f32>>,
) -> Result<Figures> {
    measure_metrics(data, split, queries, &split.protocol.metrics(), score)
}

/// [`measure`] with some metrics alone.
fn measure_metrics(
    data: &Dataset,
    split: &Split,
    queries: &[Query],
    metrics: &[ReportedMetric],
    mut score: impl FnMut(&Query) -> Result<Vec<f32>>,
) -> Result<Figures> {
    let goal = split.protocol.goal().name();
    let item_users = ItemUsers::new(data.items.len(), split.fitted().iter().map(|sequence| distinct(&sequence.events)));
    let popularity = item_users.popularity();
    let item_groups = item_groups(data);
    let (user_slices, item_shares) = (Groups::of_users(data), Groups::of_items(data));
    let list_lens: Vec<usize> = metrics.iter().filter_map(ReportedMetric::list_len).collect();
    let longest = list_lens.iter().copied().max();
    // In how many lists each item is among the first k, by k.
    let mut shown: BTreeMap<usize, Vec<u32>> = list_lens.iter().map(|k| (*k, vec![0; data.items.len()])).collect();
    let mut unknown_targets = 0;
    let mut figures = Figures::default();
    for query in queries {
        let scores = score(query)?;
        ensure!(scores.iter().all(|score| score.is_finite()), DIVERGED);
        let universe = query.universe(&data.in_events);
        let ranking = Ranking::new(&scores, data, split.protocol, query, metrics.iter().any(|metric| metric.keeps_history));
        let history = distinct(&query.history);
        let [items, popular] =
            [&scores, &popularity].map(|scores| longest.map_or(vec![], |k| top(scores, universe, &query.removed, k)));
        for metric in metrics {
            let values = match metric.metric.formula {
                Formula::Ranks(_) | Formula::WholeRanking(_) => ranking.values(metric),
                Formula::Gains(formula) if data.utility.is_some() => {
                    let worth = |target: &u32| data.worth(&data.later(query.user, *target, &query.history));
                    let gains: Vec<f64> = query.targets.iter().map(worth).collect();
                    formula(&ranking.ranks, &gains, metric.metric.k.unwrap_or(usize::MAX)).into_iter().collect()
                }
                Formula::List(formula) => {
                    let list = List {
                        items: first(&items, metric.metric.k),
                        history: &history,
                        targets: &query.targets,
                        popular: first(&popular, metric.metric.k),
                        users: &item_users,
                        groups: item_groups.as_ref(),
                    };
                    formula(&list).into_iter().collect()
                }
                Formula::Gains(_) | Formula::AllLists(_) | Formula::RatingErrors(_) => continue,
            };
            figures.add(metric, &values, metric.split_by.and_then(|split| split.kind_of(data, query)));
            if metric.name() == goal {
                for group in &user_slices.of[query.user as usize] {
                    figures.slices.entry(user_slices.names[*group].clone()).or_default().extend(&values);
                }
            }
        }
        for (k, shown) in &mut shown {
            first(&items, Some(*k)).iter().for_each(|item| shown[*item as usize] += 1);
        }
        unknown_targets += query.targets.iter().filter(|target| !universe[**target as usize]).count() as u32;
    }
    if let Some(shown) = shown.get(&LIST_LEN) {
        figures.exposure = item_shares.shares(shown);
    }
    for metric in metrics {
        let Formula::AllLists(formula) = metric.metric.formula else { continue };
        let shown = metric.metric.k.and_then(|k| shown.get(&k)).map_or(&[][..], Vec::as_slice);
        let shown: Vec<u32> = shown.iter().zip(&data.in_events).filter(|(_, is_in)| **is_in).map(|(n, _)| *n).collect();
        figures.overall.insert(metric.name(), formula(&AllLists { shown: &shown, unknown_targets }));
    }
    Ok(figures)
}

/// The first k items of a list, or all of a shorter one; none without a k.
fn first(list: &[u32], k: Option<usize>) -> &[u32] {
    &list[..k.unwrap_or(0).min(list.len())]
}

impl Figures {
    /// Adds the values of one query: to the metric, and to the metric for its kind of query.
    fn add(&mut self, metric: &ReportedMetric, values: &[f64], kind: Option<&str>) {
        if values.is_empty() {
            return;
        }
        for name in [Some(metric.name()), kind.map(|kind| metric.name_of(kind))].into_iter().flatten() {
            self.values.entry(name).or_default().extend(values);
        }
    }
}

/// Where the targets of a query rank.
struct Ranking {
    /// Ranks of the targets among the candidates without the history.
    ranks: Vec<usize>,
    /// Ranks of the targets with the history among the candidates; empty if no metric asks for them.
    with_history: Vec<usize>,
    /// Number of candidates without the history.
    candidates: usize,
}

impl Ranking {
    fn new(scores: &[f32], data: &Dataset, protocol: Protocol, query: &Query, keeps_history: bool) -> Ranking {
        let universe = query.universe(&data.in_events);
        let removed = query.removed.iter().filter(|item| universe[**item as usize]).count();
        let mut out = Ranking {
            ranks: ranks(scores, universe, &query.removed, &query.targets),
            with_history: if keeps_history { ranks(scores, universe, &[], &query.targets) } else { vec![] },
            candidates: universe.iter().filter(|is_in| **is_in).count() - removed,
        };
        if protocol.misses_non_candidates() {
            for (rank, target) in out.ranks.iter_mut().zip(&query.targets) {
                if !query.is_candidate(*target, &data.in_events) {
                    *rank = usize::MAX;
                }
            }
        }
        out
    }

    /// The values of a metric of ranks.
    fn values(&self, metric: &ReportedMetric) -> Vec<f64> {
        let ranks = if metric.keeps_history { &self.with_history } else { &self.ranks };
        let value = |ranks: &[usize]| match metric.metric.formula {
            Formula::Ranks(formula) => Some(formula(ranks, metric.metric.k.unwrap_or(self.candidates))),
            Formula::WholeRanking(formula) => Some(formula(ranks, self.candidates)),
            _ => None,
        };
        match metric.targets {
            Targets::All => value(ranks).into_iter().collect(),
            Targets::Next => value(&ranks[..1]).into_iter().collect(),
            Targets::Each => ranks.chunks(1).filter_map(value).collect(),
        }
    }
}

/// Groups of items by the first column that has categories or sets.
fn item_groups(data: &Dataset) -> Option<ItemGroups> {
    let column = data.item_table.columns.iter().find(|c| c.kind == "category" || c.kind == "set");
    column.map(|column| ItemGroups::new(&column.values))
}

/// Measures predicted ratings (P2) over some queries. `predict` gives one rating for each target of a query; ratings
/// outside the range of those in the data are cut to it.
///
/// # Errors
/// Those of `predict`; a rating that is not finite.
pub fn measure_ratings(
    data: &Dataset,
    queries: &[Query],
    mut predict: impl FnMut(&Query) -> Result<Vec<f64>>,
) -> Result<Figures> {
    let ratings = || data.events.iter().filter_map(|e| e.rating);
    let range = [ratings().fold(f64::MAX, f64::min), ratings().fold(f64::MIN, f64::max)];
    let mut errors = Vec::new();
    for query in queries {
        let predicted = predict(query)?;
        for (predicted, rating) in predicted.iter().zip(&query.ratings) {
            errors.push(cut(*predicted, range).context(DIVERGED)? - rating);
        }
    }
    let values = |metric: ReportedMetric| match metric.metric.formula {
        Formula::RatingErrors(formula) => Some((metric.name(), formula(&errors))),
        _ => None,
    };
    Ok(Figures { values: Protocol::P2.metrics().into_iter().filter_map(values).collect(), ..Figures::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocols::tests::dataset;

    fn split(protocol: Protocol) -> Split {
        Split { protocol, fold: None, train: vec![], valid: vec![], refit: None, test: vec![] }
    }

    /// The figures of one query over the items 0 to 4 with falling scores.
    fn figures(protocol: Protocol, targets: &[u32], removed: &[u32]) -> Figures {
        let data = dataset(&[&[0, 1, 2, 3, 4]]);
        let query = Query::new(0, vec![], targets.to_vec(), removed.to_vec());
        measure(&data, &split(protocol), &[query], |_| Ok(vec![5.0, 4.0, 3.0, 2.0, 1.0])).unwrap()
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
        assert_eq!(miss.overall["coverage@10"], 0.8, "the item that is no candidate is in no list");
    }

    #[test]
    fn the_goal_alone_has_the_values_that_it_has_among_all_metrics() {
        let data = dataset(&[&[0, 1, 2, 3, 4]]);
        let query = Query::new(0, vec![], vec![3, 1], vec![0]);
        let score = |_: &Query| Ok(vec![5.0, 4.0, 3.0, 2.0, 1.0]);
        for protocol in [Protocol::P1, Protocol::P3, Protocol::P4, Protocol::P5, Protocol::Cold] {
            let goal = protocol.goal();
            let all = measure(&data, &split(protocol), std::slice::from_ref(&query), score).unwrap();
            let alone = measure_metrics(&data, &split(protocol), std::slice::from_ref(&query), &[goal], score).unwrap();
            assert_eq!(alone.values[&goal.name()], all.values[&goal.name()]);
            assert!(all.slices.values().all(|values| *values == alone.values[&goal.name()]) && !all.slices.is_empty());
            assert!(all.values.keys().chain(all.overall.keys()).all(|name| protocol.metric(name).is_some()));
        }
        assert!(measure(&data, &split(Protocol::P2), &[query], score).unwrap().values.is_empty(), "ratings are no ranking");
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
        // The prediction 9 is cut to 5.
        let figures = measure_ratings(&data, std::slice::from_ref(&query), |_| Ok(vec![2.0, 4.0, 9.0])).unwrap();
        let mean = |metric: &str| figures.values[metric].iter().sum::<f64>() / 3.0;
        assert!((mean("rmse") - (1.0f64 / 3.0).sqrt()).abs() < 1e-12 && (mean("mae") - 1.0 / 3.0).abs() < 1e-12);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = measure_ratings(&data, std::slice::from_ref(&query), |_| Ok(vec![2.0, bad, 9.0])).unwrap_err();
            assert!(error.to_string().contains("diverged"), "{bad}: {error}");
        }
    }

    #[test]
    fn scores_that_are_no_numbers_have_no_figures() {
        let data = dataset(&[&[0, 1, 2, 3, 4]]);
        let query = [Query::new(0, vec![], vec![3], vec![])];
        let with = |bad| measure(&data, &split(Protocol::P4), &query, |_| Ok(vec![5.0, 4.0, 3.0, 2.0, bad]));
        assert!(with(1.0).is_ok());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(with(bad).unwrap_err().to_string().contains("diverged"), "{bad}");
        }
    }
}
