//! The constants of the encoding, from the data that a training may see.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use foretaste::features::{ColumnEncoding, ColumnKind, Encoding, EventType, History, Value, words};

use super::{Config, InputKind};
use crate::data::{self, Dataset, LEAST_ROWS, LongVec};
use crate::protocols::Sequence;
use crate::towers::{Scales, VectorScale};

/// Most entries of a vocabulary; words beyond it are hashed.
const MAX_VOCABULARY: usize = 20_000;
const HASH_BUCKETS: usize = 4096;
/// Most buckets of a number column, and of the events' values.
const NUMBER_BUCKETS: usize = 16;
const VALUE_BUCKETS: usize = 20;
/// 2³⁰ seconds are 34 years.
const GAP_BUCKETS: usize = 32;
const RUN_BUCKETS: usize = 8;

/// Fits the encoding and the scales of its vector columns: columns over the whole catalog and the users of `sequences`,
/// values over their events.
///
/// # Errors
/// A full disk, where the events are more than the memory holds; constants that a bundle may not have, such as too many
/// columns.
pub fn fit(data: &Dataset, sequences: &[Sequence], config: &Config) -> Result<(Encoding, Scales)> {
    let [columns, times, values] =
        [InputKind::Columns, InputKind::Times, InputKind::Values].map(|input| config.inputs.contains(&input));
    let times = times && data.has_times();
    let items: Vec<usize> = if columns { (0..data.items.len()).collect() } else { vec![] };
    let users: Vec<usize> = sequences.iter().filter(|_| columns).map(|s| s.user as usize).collect();
    let mut context = derived(times, sequences, config);
    let declared = data.context_table.columns.iter().map(|column| {
        let rows: Vec<usize> = users.iter().flat_map(|user| data.offsets[*user]..data.offsets[*user + 1]).collect();
        fit_column(column, &rows)
    });
    let of_users = data.user_table.columns.iter().map(|column| fit_column(column, &users));
    let mut names = BTreeSet::new();
    let (found, of_context) = parted(declared.chain(of_users).flatten().filter(|(c, _)| names.insert(c.name.clone())));
    // A column of the data that has the name of a derived one takes its place.
    context.retain(|column| !names.contains(&column.name));
    context.extend(found);
    let (of_items, item_scales) = parted(data.item_table.columns.iter().filter_map(|column| fit_column(column, &items)));
    let encoding = Encoding {
        history: History {
            len: config.history_len,
            cap: config.history_cap,
            types: trained_types(data, sequences),
            value_edges: if values { value_edges(data, sequences)? } else { vec![] },
            gap_buckets: if times { GAP_BUCKETS } else { 2 },
            run_buckets: if times { RUN_BUCKETS } else { 1 },
        },
        items: of_items,
        context,
    };
    encoding.check().context("a bundle cannot hold what the data has")?;
    Ok((encoding, Scales { items: item_scales, context: of_context }))
}

/// Columns, and the scales of those that have one, by name.
fn parted(columns: impl Iterator<Item = FittedColumn>) -> (Vec<ColumnEncoding>, BTreeMap<String, VectorScale>) {
    let mut scales = BTreeMap::new();
    let mut encoding = |(column, scale): FittedColumn| {
        scales.extend(scale.map(|scale| (column.name.clone(), scale)));
        column
    };
    let encodings = columns.map(&mut encoding).collect();
    (encodings, scales)
}

fn trained_types(data: &Dataset, sequences: &[Sequence]) -> Vec<EventType> {
    let seen: BTreeSet<u16> = sequences.iter().flat_map(|s| &s.events).map(|e| e.kind).collect();
    data.types
        .iter()
        .enumerate()
        .map(|(i, t)| EventType { trained: seen.contains(&(i as u16)) && !t.hide, ..t.clone() })
        .collect()
}

fn value_edges(data: &Dataset, sequences: &[Sequence]) -> Result<Vec<f64>> {
    let ratings = sequences.iter().flat_map(|s| &s.events).filter_map(|e| e.rating);
    Ok(edges(&mut LongVec::collect(data.events.most(), ratings)?, VALUE_BUCKETS))
}

/// Hour, weekday and length of the history, and the calendar period where it is asked for.
fn derived(times: bool, sequences: &[Sequence], config: &Config) -> Vec<ColumnEncoding> {
    let column = |name: &str, kind| ColumnEncoding { name: name.into(), kind };
    // Training sees histories up to its window: longer ones take the last bucket.
    let buckets = (1.4 * libm::log2(config.window as f64)) as usize + 1;
    let mut out = vec![column("history_length", ColumnKind::HistoryLength { buckets })];
    if times {
        out.extend([column("hour", ColumnKind::Hour), column("weekday", ColumnKind::Weekday)]);
        let times = || sequences.iter().flat_map(|s| &s.events).filter_map(|e| e.time);
        if let (Some(days), Some(first), Some(last)) = (config.period_days, times().min(), times().max()) {
            let count = ((last - first) / (i64::from(days) * 86_400) + 1) as usize;
            out.push(column("period", ColumnKind::Period { start_ms: first * 1000, days, count }));
        }
    }
    out
}

/// A column, and its scale if it is one of vectors.
type FittedColumn = (ColumnEncoding, Option<VectorScale>);

/// A column over the given rows; none where they hold nothing to learn from.
fn fit_column(column: &data::Column, rows: &[usize]) -> Option<FittedColumn> {
    let values = || rows.iter().map(|row| &column.values[*row]);
    let mut scale = None;
    let kind = match column.kind {
        "category" => ColumnKind::Category { vocabulary: vocabulary(values().map(|v| v.text().into_iter().collect())).0 },
        "set" => ColumnKind::Set { vocabulary: vocabulary(values().map(|v| v.set().into_iter().collect())).0 },
        "text" => {
            let (vocabulary, cut) = vocabulary(values().map(|v| words(&v.text().unwrap_or_default()).collect()));
            ColumnKind::Text { vocabulary, hash_buckets: if cut { HASH_BUCKETS } else { 0 } }
        }
        "number" => number_column(&mut values().filter_map(Value::number).collect::<Vec<_>>())?,
        _ => {
            let vectors = values().filter_map(|v| if let Value::Vector(xs) = v { Some(xs.as_slice()) } else { None });
            let dim = vectors.clone().next()?.len();
            // The others count as missing.
            let read = vectors.filter(|xs| xs.len() == dim && xs.iter().all(|x| (*x as f32).is_finite()));
            scale = Some(VectorScale::of(read)?);
            ColumnKind::Vector { dim }
        }
    };
    let empty = match &kind {
        ColumnKind::Category { vocabulary } | ColumnKind::Set { vocabulary } | ColumnKind::Text { vocabulary, .. } => {
            vocabulary.is_empty()
        }
        _ => false,
    };
    (!empty).then(|| (ColumnEncoding { name: column.name.clone(), kind }, scale))
}

/// The column of finite numbers, which are sorted; `None` where they tell nothing.
pub(super) fn number_column(numbers: &mut [f64]) -> Option<ColumnKind> {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let sd = (numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
    // One value for all tells nothing, as do none (NaN).
    (sd > 0.0 && sd.is_finite()).then(|| ColumnKind::Number { edges: edges(numbers, NUMBER_BUCKETS), mean, sd })
}

/// What occurs in [`LEAST_ROWS`] rows, in order of bytes, and whether [`MAX_VOCABULARY`] cut it: the most frequent
/// stay.
fn vocabulary(rows: impl Iterator<Item = BTreeSet<String>>) -> (Vec<String>, bool) {
    let mut counts = BTreeMap::new();
    rows.flatten().for_each(|word| *counts.entry(word).or_insert(0) += 1);
    let mut words: Vec<(String, usize)> = counts.into_iter().filter(|(_, n)| *n >= LEAST_ROWS).collect();
    let cut = words.len() > MAX_VOCABULARY;
    words.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    words.truncate(MAX_VOCABULARY);
    let mut words: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
    words.sort();
    (words, cut)
}

/// Edges between at most `buckets` buckets: midway between the distinct values where these are few, else quantiles.
fn edges(values: &mut [f64], buckets: usize) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let steps = values.windows(2).filter(|w| w[0] != w[1]);
    let mut edges: Vec<f64> = if steps.clone().nth(buckets.saturating_sub(1)).is_none() {
        steps.map(|w| w[0] / 2.0 + w[1] / 2.0).collect()
    } else {
        (1..buckets).filter_map(|i| values.get(i * values.len() / buckets).copied()).collect()
    };
    edges.dedup();
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_lie_between_values_or_at_quantiles() {
        assert_eq!(edges(&mut [3.0, 1.0, 2.0, 3.0], 4), [1.5, 2.5]);
        assert_eq!(edges(&mut [5.0, 5.0], 4), [0.0; 0]);
        assert_eq!(edges(&mut (0..100).map(f64::from).collect::<Vec<_>>(), 4), [25.0, 50.0, 75.0]);
        assert_eq!(edges(&mut [], 4), [0.0; 0]);
    }

    #[test]
    fn rare_words_have_no_slot() {
        let rows = ["a b", "b c", "b c", "c"].map(|t| words(t).collect());
        assert_eq!(vocabulary(rows.into_iter()), (vec!["b".to_owned(), "c".to_owned()], false));
    }

    #[test]
    fn columns_with_nothing_to_learn_are_left_out() {
        let column = |kind, values: &[Value]| data::Column { name: "c".into(), kind, values: values.to_vec() };
        let (one, two) = (Value::Number(1.0), Value::Number(2.0));
        let rows = [0, 1, 2];
        assert_eq!(fit_column(&column("number", &[one.clone(), one.clone(), one.clone()]), &rows), None);
        assert_eq!(fit_column(&column("text", &[Value::Missing, Value::Missing, Value::Missing]), &rows), None);
        assert_eq!(fit_column(&column("vector", &[Value::Missing, Value::Missing, Value::Missing]), &rows), None);
        let (number, scale) = fit_column(&column("number", &[one.clone(), two, one]), &rows).unwrap();
        assert!(matches!(number.kind, ColumnKind::Number { edges, .. } if edges == [1.5]) && scale.is_none());
        let vector = |xs: &[f64]| Value::Vector(xs.to_vec());
        let same = [vector(&[1.0, 2.0]), vector(&[1.0, 2.0]), vector(&[9.0])];
        assert_eq!(fit_column(&column("vector", &same), &rows), None, "vectors of another length are missing");
        let two = [vector(&[1.0, 2.0]), vector(&[f64::MAX, 2.0]), vector(&[5.0, 2.0])];
        let (_, scale) = fit_column(&column("vector", &two), &rows).unwrap();
        assert_eq!(scale, Some(VectorScale { mean: vec![3.0, 2.0], spread: 2.0 }));
    }
}
