//! Golden rows: made-up visitors with their raw input, its encoding, the output of the user tower, and the best items.
//! The trainer writes them. Native code, WASM and the npm package replay them, to show that they compute the same.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result};
use crate::features::{EncodedState, Fields};
use crate::json::from_json;
use crate::profile::Event;
use crate::recommender::{Recommender, VisitorState};

/// How many items are in the list of a row.
const TOP: usize = 10;
/// The most rows.
const MAX_ROWS: usize = 1000;
/// Two targets may round the numbers of the tower differently, by at most this, relative to numbers above 1.
const TOWER_TOLERANCE: f32 = 1e-4;
/// Items may change places if their scores differ by at most this, relative to the larger.
const SWAP_TOLERANCE: f32 = 1e-5;
/// A score, in logits, and a rating may differ by at most this.
const SCORE_TOLERANCE: f32 = 1e-3;

/// The raw input of a visitor.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenInput {
    /// Events, oldest first.
    pub history: Vec<Event>,
    /// Values of context columns.
    pub context: Fields,
    /// Milliseconds UTC of the request; absent: the time of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Minutes to add to UTC for local time; absent: the offset of the last event, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz_offset_min: Option<i32>,
}

/// `golden.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// One row per visitor.
    pub rows: Vec<GoldenRow>,
}

/// One visitor: the input and what is computed from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenRow {
    /// The raw input.
    pub input: GoldenInput,
    /// What the user tower reads.
    pub encoded: EncodedState,
    /// The output of the user tower, `[d]`.
    pub user: Vec<f32>,
    /// The ten best items that the history does not rule out, best first.
    pub top: Vec<GoldenItem>,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenItem {
    /// Item id.
    pub id: String,
    /// Logits.
    pub score: f32,
    /// The rating that the visitor would give, if the bundle predicts ratings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<f32>,
}

impl Golden {
    /// Reads `golden.json`.
    ///
    /// # Errors
    /// `malformed` and `unknown-key` if the bytes are not such a file, `limit` for more than 1,000 rows.
    pub fn read(bytes: &[u8]) -> Result<Golden> {
        let golden: Golden = from_json(bytes).map_err(|kind| kind.at("golden.json"))?;
        match golden.rows.len() {
            n if n > MAX_ROWS => Err(ErrorKind::Limit { limit: MAX_ROWS as u64, got: n as u64 }.at("golden.json/rows")),
            _ => Ok(golden),
        }
    }

    /// Replays the rows of `golden.json` and describes each difference. The list is empty if this target computes what
    /// the trainer did. That there is no row is a difference too.
    ///
    /// # Errors
    /// Those of [`Golden::read`] and [`GoldenRow::make`].
    pub fn replay(recommender: &Recommender, bytes: &[u8]) -> Result<Vec<String>> {
        let golden = Golden::read(bytes)?;
        if golden.rows.is_empty() {
            return Ok(vec!["there is no row to replay".into()]);
        }
        let replay = |(i, row): (usize, &GoldenRow)| Ok(row.replay(recommender)?.map(|fault| format!("row {i}: {fault}")));
        golden.rows.iter().enumerate().filter_map(|row| replay(row).transpose()).collect()
    }
}

impl GoldenRow {
    /// Computes the row of an input.
    ///
    /// # Errors
    /// Same errors as [`Recommender::encode`] and [`Recommender::user_vector`].
    pub fn make(recommender: &Recommender, input: GoldenInput) -> Result<GoldenRow> {
        let state = VisitorState {
            history: &input.history,
            context: &input.context,
            time: input.time,
            tz_offset_min: input.tz_offset_min,
        };
        let encoded = recommender.encode(&state)?;
        let user = recommender.user(&encoded)?;
        let best = recommender.best_unseen(&input.history, &user, TOP);
        let catalog = &recommender.bundle().catalog;
        let item = |(score, row)| GoldenItem { id: catalog.id(row).into(), score, rating: recommender.rating(&user, row) };
        let top = best.into_iter().map(item).collect();
        Ok(GoldenRow { input, encoded, user: user.vector, top })
    }

    /// Computes the row again and describes the first difference; `None` if there is none.
    ///
    /// # Errors
    /// Same errors as [`GoldenRow::make`].
    pub fn replay(&self, recommender: &Recommender) -> Result<Option<String>> {
        let again = GoldenRow::make(recommender, self.input.clone())?;
        if again.encoded != self.encoded {
            let same = again.encoded.history == self.encoded.history;
            return Ok(Some(format!("encoded: another {}", if same { "context" } else { "history" })));
        }
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > TOWER_TOLERANCE * a.abs().max(1.0);
        if self.user.len() != again.user.len() {
            return Ok(Some(format!("user: expected {} numbers, got {}", self.user.len(), again.user.len())));
        }
        if let Some(k) = self.user.iter().zip(&again.user).position(far) {
            return Ok(Some(format!("user: number {k} is too far off")));
        }
        let ids = |items: &[GoldenItem]| items.iter().map(|i| i.id.as_str()).collect::<Vec<_>>().join(", ");
        let lists = || format!("top: expected {}, got {}, or another score or rating", ids(&self.top), ids(&again.top));
        Ok((!same_list(&self.top, &again.top)).then(lists))
    }
}

/// Whether two lists agree. An item may have changed places with another whose score is within [`SWAP_TOLERANCE`], or
/// may have dropped off the end in favour of one.
fn same_list(expected: &[GoldenItem], got: &[GoldenItem]) -> bool {
    let swapped = |a: f32, b: f32| (a - b).abs() <= SWAP_TOLERANCE * a.abs().max(b.abs());
    let same = |a: f32, b: f32| (a - b).abs() <= SCORE_TOLERANCE;
    let ratings = |a: &GoldenItem, b: &GoldenItem| match (a.rating, b.rating) {
        (Some(a), Some(b)) => same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let fits = |(i, item): (usize, &GoldenItem)| match got.iter().position(|g| g.id == item.id) {
        Some(at) => {
            same(got[at].score, item.score) && ratings(&got[at], item) && (at == i || swapped(item.score, expected[at].score))
        }
        None => swapped(item.score, expected[expected.len() - 1].score),
    };
    expected.len() == got.len() && expected.iter().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_scores_may_change_places() {
        let list = |items: &[(&str, f32)]| -> Vec<GoldenItem> {
            items.iter().map(|(id, score)| GoldenItem { id: (*id).into(), score: *score, rating: Some(3.0) }).collect()
        };
        let expected = list(&[("a", 2.0), ("b", 1.0), ("c", 0.999_999)]);
        assert!(same_list(&expected, &list(&[("a", 2.0001), ("c", 1.0), ("b", 0.999_999)])));
        assert!(!same_list(&expected, &list(&[("b", 2.0), ("a", 1.0), ("c", 0.999_999)])));
        assert!(!same_list(&expected, &list(&[("a", 2.1), ("b", 1.0), ("c", 0.999_999)])));
        assert!(!same_list(&expected, &expected[..2]));
        for rating in [Some(3.1), None] {
            let other: Vec<GoldenItem> = expected.iter().map(|i| GoldenItem { rating, ..i.clone() }).collect();
            assert!(!same_list(&expected, &other), "{rating:?}");
        }
    }
}
