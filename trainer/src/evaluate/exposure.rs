//! Accuracy and exposure: how much accuracy is lost if rare items are shown more often.
//!
//! The setting `boost` of a request's `explore` (`foretaste::explore::Explore`) adds boost / √(1 + n) to the score of
//! an item with n training events. Measuring accuracy and exposure for several boosts gives a curve, as in Singh and
//! Joachims, Fairness of exposure in rankings, 2018.

use anyhow::Result;
use foretaste::{Recommender, User};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::Cell;
use super::bundle::user_of;
use crate::data::Dataset;
use crate::measure::{Figures, TAIL, measure};
use crate::metrics::{COVERAGE, GINI};
use crate::protocols::{LIST_LEN, Protocol, Split};

/// Boosts that are measured, in logits: from 0, which changes nothing, to values at which rare items take most of the
/// slots.
pub const BOOSTS: [f64; 6] = [0.0, 2.0, 4.0, 6.0, 8.0, 12.0];

/// The figures with one boost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExposurePoint {
    /// The boost, in logits.
    pub boost: f64,
    /// The protocol's goal.
    pub goal: Cell,
    /// The tail's share of the first ten places of all lists, 0 to 1. The tail is the four fifths of the items that
    /// have the fewest events.
    pub tail: f64,
    /// Gini coefficient of how often the items are shown there: 0 if all are shown equally often, near 1 if only a few
    /// are shown.
    pub gini: f64,
    /// Share of the items that any list shows, 0 to 1.
    pub coverage: f64,
}

impl ExposurePoint {
    /// From the figures of all folds with one boost; `goal` is the name of the protocol's goal.
    pub(super) fn of(boost: f64, goal: &str, folds: &[&Figures]) -> ExposurePoint {
        let values: Vec<f64> = folds.iter().filter_map(|f| f.values.get(goal)).flatten().copied().collect();
        let mean = |pick: &dyn Fn(&Figures) -> Option<f64>| {
            let of: Vec<f64> = folds.iter().filter_map(|f| pick(f)).collect();
            Cell::of(&of).mean
        };
        ExposurePoint {
            boost,
            goal: Cell::of(&values),
            tail: mean(&|f| f.exposure.get(TAIL).copied()),
            gini: mean(&|f| f.overall.get(&GINI.at(LIST_LEN).name()).copied()),
            coverage: mean(&|f| f.overall.get(&COVERAGE.at(LIST_LEN).name()).copied()),
        }
    }
}

/// The figures of the bundle on the test queries with each of [`BOOSTS`]. Empty for P2, which ranks nothing, and for a
/// bundle that does not say how often its items occurred in training.
///
/// # Errors
/// Those of the towers; a split that asks nobody.
pub fn measure_exposure(recommender: &Recommender, data: &Dataset, split: &Split) -> Result<Vec<Figures>> {
    let rarities = recommender.bundle().rows.rarities();
    if split.protocol == Protocol::P2 || rarities.iter().all(|rarity| *rarity == 0.0) {
        return Ok(Vec::new());
    }
    let queries = split.asked()?;
    let style =
        ProgressStyle::with_template("exposure {bar:30} {pos}/{len} lists, {eta} left").expect("the template is constant");
    let lists = (BOOSTS.len() * queries.len()) as u64;
    let bar = ProgressBar::with_draw_target(Some(lists), ProgressDrawTarget::stderr()).with_style(style);
    // The tower runs once a query, not once a boost.
    let users: Vec<User> = queries.iter().map(|query| user_of(recommender, data, query)).collect::<Result<_>>()?;
    let with = |boost: f64| {
        let mut users = users.iter();
        measure(data, split, queries, |_| {
            bar.inc(1);
            let scores = users.next().map(|user| boosted(recommender, user, boost));
            Ok(scores.unwrap_or_default())
        })
    };
    let figures = BOOSTS.into_iter().map(with).collect();
    bar.finish_and_clear();
    figures
}

/// The scores by which a request with this `boost` ranks the catalog for a visitor: `[n]`.
fn boosted(recommender: &Recommender, user: &User, boost: f64) -> Vec<f32> {
    let rarities = recommender.bundle().rows.rarities();
    recommender.scores(user).iter().zip(rarities).map(|(score, rarity)| score + boost as f32 * rarity).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use foretaste::profile::Event;
    use foretaste::{Explore, Request, VisitorState};

    use super::*;
    use crate::verify::open_bundle;

    /// The measured ranking is the slate that a request with the same boost gets.
    #[test]
    fn the_boost_is_that_of_a_request() {
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("models/tiny");
        let mut recommender = open_bundle(&tiny).unwrap();
        let event = |item: &str| Event { item: item.into(), kind: "rate".into(), ..Event::default() };
        let events: Vec<Event> = ["3", "14"].map(event).to_vec();
        recommender.import_profile(events.clone()).unwrap();
        let query = VisitorState { history: &events, context: &Default::default(), time: None, tz_offset_min: None };
        let user = recommender.user(&recommender.encode(&query).unwrap()).unwrap();
        let mut slates = Vec::new();
        for boost in [0.0, 4.0, 100.0] {
            let explore = Explore { boost, ..Explore::default() };
            let slate = recommender.recommend(&Request { k: 10, explore, ..Request::default() }).unwrap();
            let ids: Vec<String> = slate.items.into_iter().map(|item| item.id).collect();
            let scores = boosted(&recommender, &user, boost);
            let row = |id: &str| recommender.bundle().catalog.row(id).unwrap() as usize;
            let mut order: Vec<usize> = (0..scores.len()).filter(|i| *i != row("3") && *i != row("14")).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            assert_eq!(ids.iter().map(|id| row(id)).collect::<Vec<_>>(), order[..10], "boost {boost}");
            slates.push(ids);
        }
        assert!(slates[0] != slates[1] && slates[1] != slates[2], "the boost changes the slate");
    }

    #[test]
    fn a_point_is_over_the_queries_and_folds() {
        let figures = |values: &[f64], tail: f64, gini: f64| Figures {
            values: [("ndcg@10".to_owned(), values.to_vec())].into(),
            overall: [("gini@10".to_owned(), gini), ("coverage@10".to_owned(), 0.5)].into(),
            exposure: [(TAIL.to_owned(), tail)].into(),
            ..Figures::default()
        };
        let (a, b) = (figures(&[1.0, 0.0, 0.5], 0.25, 0.75), figures(&[0.5], 0.75, 0.25));
        let point = ExposurePoint::of(2.0, "ndcg@10", &[&a, &b]);
        assert_eq!((point.boost, point.goal.mean, point.goal.n), (2.0, 0.5, 4));
        assert_eq!((point.tail, point.gini, point.coverage), (0.5, 0.5, 0.5));
    }
}
