//! Converts logs to a Parquet table of all slots.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};

use super::rewards::plain_reward;
use super::{VisitorLog, kinds};
use crate::data::columnar::{self, Written};

/// Writes a Parquet table with one row for each slot: `visitor`, `slate`, `time` (Unix ms), `model`, `policy`,
/// `context`, `slot` (from 0), `item`, `score`, `propensity`, `standard_error`, `reward` (1 if an answer is neither
/// `hide` nor `dislike`, else 0), `answers` (types, joined by `|`).
///
/// # Errors
/// A file that cannot be written.
pub fn parquet(visitors: &[VisitorLog], file: &Path) -> Result<()> {
    let shown: Vec<_> = visitors.iter().flat_map(|v| v.shown().into_iter().map(move |s| (v.name.as_str(), s))).collect();
    let rows: Vec<_> = shown
        .iter()
        .flat_map(|(visitor, s)| s.impression.slots.iter().enumerate().map(move |(i, slot)| (*visitor, s, i, slot)))
        .collect();
    let answers: Vec<String> = rows.iter().map(|(_, s, i, _)| kinds(&s.answers[*i])).collect();
    let columns = |range: Range<usize>| {
        let (rows, answers) = (&rows[range.clone()], &answers[range]);
        macro_rules! column {
            ($kind:ident, |$visitor:pat_param, $shown:pat_param, $i:pat_param, $slot:pat_param| $value:expr) => {
                Written::$kind(rows.iter().map(|($visitor, $shown, $i, $slot)| $value).collect())
            };
        }
        vec![
            ("visitor", column!(Texts, |visitor, _, _, _| Some(*visitor))),
            ("slate", column!(Texts, |_, s, _, _| Some(s.impression.slate.as_str()))),
            ("time", column!(Whole, |_, s, _, _| s.impression.time)),
            ("model", column!(Texts, |_, s, _, _| Some(s.impression.model.as_str()))),
            ("policy", column!(Texts, |_, s, _, _| Some(s.impression.policy.as_str()))),
            ("context", column!(Texts, |_, s, _, _| Some(s.impression.context.as_str()))),
            ("slot", column!(Ranks, |_, _, i, _| *i as i64)),
            ("item", column!(Texts, |_, _, _, slot| Some(slot.item.as_str()))),
            ("score", column!(Scores, |_, _, _, slot| slot.score)),
            ("propensity", column!(Numbers, |_, _, _, slot| Some(slot.propensity))),
            ("standard_error", column!(Numbers, |_, _, _, slot| slot.standard_error)),
            ("reward", column!(Numbers, |_, s, i, _| Some(plain_reward(&s.answers[*i])))),
            ("answers", Written::Texts(answers.iter().map(|kinds| Some(kinds.as_str())).collect())),
        ]
    };
    columnar::write(file, rows.len(), columns).with_context(|| file.display().to_string())
}
