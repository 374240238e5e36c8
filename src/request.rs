//! Requests to the recommender, and its answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bundle::Catalog;
use crate::error::{ErrorKind, Result, range};
use crate::explore::{Explore, PolicyChoice};
use crate::features::{Fields, shortest};
use crate::retrieve::Effort;

/// The most slots of a slate. Where slots are drawn one after the other, time and memory grow with their square.
pub const MAX_SLOTS: usize = 1000;

/// A request for a slate, see [`crate::Recommender::recommend`]. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Number of slots, 1 to 1,000; more if the catalog has no more items. Fewer are filled if fewer items are allowed.
    pub k: usize,
    /// Values of context columns. Any of them may be missing.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub context: Fields,
    /// Milliseconds UTC of the request; absent: the time of the last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Minutes to add to UTC for local time; absent: the offset of the last event, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tz_offset_min: Option<i32>,
    /// A vector `[d]` to use in place of the output of the user tower. Then no model is needed, and no ratings are
    /// predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f64>>,
    /// Whether the neighbours of the history's items add to scores. Absent: they do, unless there is a `vector`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<bool>,
    /// Whether the ranker orders the items that retrieval finds. Absent: it does, unless there is a `vector`. Without a
    /// ranker in the bundle this changes nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<bool>,
    /// Whether the slate says how many items each stage left, and which of the best are not in it: [`Slate::stages`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub explain: bool,
    /// Ids of items that must not be shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// How unlike each other the items should be, 0 to 1. At 0 only scores count, at 1 only dissimilarity.
    pub diversity: f64,
    /// By column, the most items of a slate that may share a value, 1 or more.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub caps: BTreeMap<String, usize>,
    /// How slots are filled.
    pub explore: Explore,
    /// `accurate`: a recall of at least .999 against the scores of all items. `fast`: at least .99, and faster on large
    /// catalogs.
    pub effort: Effort,
}

impl Default for Request {
    fn default() -> Self {
        let (context, exclude, diversity, caps, explore, effort) = Default::default();
        let (time, tz_offset_min, vector, neighbours, rank, explain) = Default::default();
        Request {
            k: 10,
            context,
            time,
            tz_offset_min,
            vector,
            neighbours,
            rank,
            explain,
            exclude,
            diversity,
            caps,
            explore,
            effort,
        }
    }
}

/// The latest time and, negative, the earliest, in milliseconds UTC: those of a JavaScript `Date`.
const MAX_TIME: u64 = 8_640_000_000_000_000;

/// Checks that a time can be one in milliseconds. A log with another one could not be read again.
///
/// # Errors
/// `range`.
pub(crate) fn check_time(time: Option<i64>, part: &str) -> Result<()> {
    match time {
        Some(time) if time.unsigned_abs() > MAX_TIME => Err(range("milliseconds, at most 8.64e15", time).at(part)),
        _ => Ok(()),
    }
}

impl Request {
    /// Checks all values and gives the chosen policy.
    ///
    /// # Errors
    /// `range`, `unknown-key` for a cap on a column that the catalog does not have, and those of [`Explore::check`].
    pub(crate) fn check(&self, catalog: &Catalog) -> Result<PolicyChoice> {
        if self.k == 0 || self.k.min(catalog.len()) > MAX_SLOTS {
            return Err(range("1 to 1000 slots", self.k).at("recommend.k"));
        }
        check_time(self.time, "recommend.time")?;
        if !(0.0..=1.0).contains(&self.diversity) {
            let got = if self.diversity.is_finite() { shortest(self.diversity) } else { "no number".into() };
            return Err(range("0 to 1", got).at("recommend.diversity"));
        }
        for (column, most) in &self.caps {
            if !catalog.has(column) {
                return Err(ErrorKind::UnknownKey(format!("the catalog has no column `{column}`")).at("recommend.caps"));
            }
            if *most == 0 {
                return Err(range("1 or more", 0).at(format!("recommend.caps.{column}")));
            }
        }
        self.explore.check()
    }
}

/// An ordered list of items that a policy has drawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slate {
    /// Id of the slate. The log has it, and later events refer to it.
    pub id: String,
    /// Items from the top.
    pub items: Vec<Item>,
    /// Name of the policy.
    pub policy: String,
    /// Model id of the bundle.
    pub model: String,
    /// Microseconds of each stage.
    pub timings_us: Timings,
    /// What each stage left, if the request says `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stages: Option<Stages>,
}

/// How many items each stage of a slate left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stages {
    /// Items of the catalog.
    pub items: usize,
    /// Those that may be shown: neither seen nor hidden nor excluded.
    pub allowed: usize,
    /// The best of these, from which the policy chooses; a ranker has scored them if one takes part.
    pub candidates: usize,
    /// Ids of the candidates that would fill the slots by score alone and that caps or diversity keep out, best first.
    pub constraints: Vec<String>,
    /// The same of those that caps and diversity allow: the policy shows others, because it draws, has learnt from
    /// answers or boosts rare items.
    pub exploration: Vec<String>,
}

/// A recommended item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Item id.
    pub id: String,
    /// Title, if the catalog has one.
    pub title: Option<String>,
    /// Score of the model in logits, of the ranker where one took part; the cosine in the results of `similar`, the
    /// bias in those of `find`.
    pub score: f32,
    /// The rating that the visitor would give, if the bundle predicts ratings; absent in lists that no visitor takes
    /// part in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<f32>,
    /// P(this item in this slot | the slots before); only in slates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propensity: Option<f64>,
    /// Standard error of the propensity, if samples estimated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Ids of at most two items of the history, by what they add to the score as neighbours, the greatest first: exact,
    /// so none if a ranker took part. Only in slates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Vec<String>>,
    /// Values of the columns of the catalog, without missing ones.
    pub fields: Fields,
}

/// Microseconds of each stage of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Encoding history and context.
    pub encode: f64,
    /// Running the user tower.
    pub tower: f64,
    /// Finding the allowed items.
    pub filter: f64,
    /// The search.
    pub score: f64,
    /// Ranking the candidates; 0 without a ranker.
    pub rank: f64,
    /// Drawing the slots.
    pub slate: f64,
    /// The propensities of the slots.
    pub propensity: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slate_has_at_most_a_thousand_slots() {
        let code = |k: usize, items: usize| {
            let request = Request { k, ..Request::default() };
            request.check(&Catalog::of_titles(&vec!["t"; items])).err().map(|error| error.code())
        };
        assert_eq!([(1, 5000), (1000, 5000), (4_000_000_000, 1000)].map(|(k, items)| code(k, items)), [None; 3]);
        assert_eq!([(0, 5000), (1001, 5000), (usize::MAX, 1001)].map(|(k, items)| code(k, items)), [Some("range"); 3]);
    }
}
