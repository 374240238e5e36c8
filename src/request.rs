//! What is asked of the recommender, and what it answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bundle::Catalog;
use crate::error::{ErrorKind, Result, range};
use crate::explore::{Explore, PolicyChoice};
use crate::features::{Fields, shortest};
use crate::retrieve::Effort;

/// What is asked of [`crate::Recommender::recommend`]. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Request {
    /// Slots, 1 or more; fewer are filled where fewer items are allowed.
    pub k: usize,
    /// Values of context columns; each may be missing.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub context: Fields,
    /// Milliseconds UTC of the request; absent: the time of the last event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Minutes to add to UTC for local time; absent: that of the last event, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tz_offset_min: Option<i32>,
    /// The visitor's vector `[d]`, in place of the tower's output: no model is needed then, and no rating is predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f64>>,
    /// Items that must not be shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// How unlike each other the items are to be, 0 to 1: 0 looks at scores alone, 1 at likeness alone.
    pub diversity: f64,
    /// Most items of a slate that share a value of a column, 1 or more, by column.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub caps: BTreeMap<String, usize>,
    /// How slots are filled.
    pub explore: Explore,
    /// `accurate` (recall of at least .999 against the scores of all items) or `fast` (.99, in less time on large catalogs).
    pub effort: Effort,
}

impl Default for Request {
    fn default() -> Self {
        let (context, exclude, diversity, caps, explore, effort) = Default::default();
        Request { k: 10, context, time: None, tz_offset_min: None, vector: None, exclude, diversity, caps, explore, effort }
    }
}

impl Request {
    /// Refuses what makes no sense; gives the kind of the policy and its ε.
    ///
    /// # Errors
    /// `range`, `unknown-key` for a cap on a column that the catalog does not have, and those of [`Explore::check`].
    pub(crate) fn check(&self, catalog: &Catalog) -> Result<PolicyChoice> {
        if self.k == 0 {
            return Err(range("1 or more", 0).at("recommend.k"));
        }
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

/// An ordered list of items that was drawn by a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slate {
    /// Names the decision: the log and later feedback refer to it.
    pub id: String,
    /// Items from the top.
    pub items: Vec<Item>,
    /// Policy name.
    pub policy: String,
    /// Model id of the bundle.
    pub model: String,
    /// Microseconds of each stage.
    pub timings_us: Timings,
}

/// A recommended item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Item id.
    pub id: String,
    /// Title, where the catalog has one.
    pub title: Option<String>,
    /// Logits of the model; of `similar` the cosine.
    pub score: f32,
    /// The rating that the visitor would give, where the bundle predicts ratings; absent where no visitor takes part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<f32>,
    /// P(this item in this slot | the slots before); absent outside slates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propensity: Option<f64>,
    /// Standard error of the propensity, where samples estimate it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Columns of the catalog.
    pub fields: Fields,
}

/// Microseconds of each stage of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Raw history and context to numbers.
    pub encode: f64,
    /// The user tower.
    pub tower: f64,
    /// Seen and excluded items.
    pub filter: f64,
    /// The best of the whole catalog.
    pub score: f64,
    /// The slot loop.
    pub slate: f64,
    /// The propensities of its draws.
    pub propensity: f64,
}
