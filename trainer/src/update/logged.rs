//! Adds the visitors of a log to a data set, as further users.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use foretaste::features::{Fields, MAX_NAMES, Value};
use foretaste::profile::{Event, LogLine};

use crate::data::{Column, Dataset, DatasetEvent, LongVec, digest, type_of};
use crate::log::{Rewards, Shown, VisitorLog};
use crate::ope::{Logged, examination};

/// A data set with the visitors of a log after its users.
pub struct Joined {
    /// The data with the visitors.
    pub data: Dataset,
    /// Index of the first visitor in [`Dataset::users`].
    pub first: usize,
    /// Number of log events that were left out, because the data does not have their item.
    pub unknown: usize,
}

/// Adds the visitors of a log to the users of a data set.
///
/// The weight of an answer to a slate is 1 / (p · e), at least 1 and at most `most`, divided by the mean of these
/// weights. p is the propensity with which its slot showed the item; e is the probability that the slot is looked at,
/// relative to the first slot. So clicks on items that were shown rarely or low count for more, as if all items had
/// been shown alike (Schnabel et al., Recommendations as treatments, 2016; Joachims, Swaminathan and Schnabel, 2017).
/// `most` bounds the variance: 1 corrects nothing, larger values remove more of the old policy's taste with more
/// variance. Other events weigh 1.
///
/// # Errors
/// More types of events than a bundle may have, with the line of the first one too many; the disk is full, if the
/// events do not fit into memory.
pub fn join(mut data: Dataset, log: &[VisitorLog], most: f64, seed: u64) -> Result<Joined> {
    let first = data.users.len();
    let rows: BTreeMap<String, u32> = data.items.iter().cloned().zip(0..).collect();
    let shown: Vec<Vec<Shown>> = log.iter().map(VisitorLog::shown).collect();
    let weights = weights(&shown, most, seed);
    let mut types = data.types.iter().map(|kind| kind.name.clone()).zip(0..).collect();
    let mut all = LongVec::collect(data.events.most(), data.events.iter().copied())?;
    let (timed, mut unknown) = (data.has_times() || data.events.is_empty(), 0);
    for (visitor, weights) in log.iter().zip(&weights) {
        let user = data.users.len() as u32;
        data.users.push(format!("log/{}", visitor.name));
        let (mut context, mut events) = (Fields::new(), Vec::new());
        for (place, line) in visitor.lines.iter().enumerate() {
            match line {
                LogLine::Assignment(_) => {}
                LogLine::Impression(impression) => context.clone_from(&impression.request.context),
                LogLine::Event(event) => match rows.get(&event.item) {
                    None => unknown += 1,
                    Some(item) => {
                        let kind = kind(&mut data, &mut types, &event.kind).with_context(|| visitor.at(place))?;
                        let time = event.time.filter(|_| timed).map(|ms| ms.div_euclid(1000));
                        let weight = weights.get(&address(event)).copied().unwrap_or(1.0);
                        let event = DatasetEvent { user, item: *item, kind, rating: event.value, time, weight };
                        events.push((event, of_columns(&data.context_table.columns, &context)));
                    }
                },
            }
        }
        // Events of the same second are ordered by item, as in the data.
        events.sort_by_key(|(event, _)| (event.time, if timed { event.item } else { 0 }));
        for (event, values) in events {
            data.in_events[event.item as usize] = true;
            all.push(event)?;
            data.context_table.columns.iter_mut().zip(values).for_each(|(column, value)| column.values.push(value));
        }
        let values = of_columns(&data.user_table.columns, &context);
        data.user_table.columns.iter_mut().zip(values).for_each(|(column, value)| column.values.push(value));
        data.offsets.push(all.len());
    }
    data.events = all.into();
    data.sha256 = digest(&data);
    Ok(Joined { data, first, unknown })
}

/// Identifies an event of a log by where it lies in memory.
fn address(event: &Event) -> usize {
    std::ptr::from_ref(event) as usize
}

/// Weights of the answers of each visitor, by [`address`].
fn weights(shown: &[Vec<Shown>], most: f64, seed: u64) -> Vec<BTreeMap<usize, f32>> {
    let mut log = Vec::new();
    for (slate, shown) in shown.iter().flatten().enumerate() {
        for (slot, (logged, answers)) in shown.impression.slots.iter().zip(&shown.answers).enumerate() {
            let (reward, propensity) = (Rewards::default().of(answers), logged.propensity);
            log.push(Logged { slate, slot, reward, propensity, target: propensity, model: None });
        }
    }
    // A slot is corrected for its position only if the log explores enough to estimate the correction.
    let curve = examination(&log, seed);
    let looked_at = |slot: usize| {
        let known = curve.get(slot).filter(|e| e.ci95[0] > 0.0 && e.ci95[1] - e.ci95[0] < 0.5);
        known.map_or(1.0, |e| e.value.clamp(0.05, 1.0))
    };
    let of_visitor = |shown: &Vec<Shown>| {
        let slots = shown.iter().flat_map(|s| s.impression.slots.iter().zip(&s.answers).enumerate());
        let weighed = slots.flat_map(|(slot, (logged, answers))| {
            // A log that no reader checked may have any number here; `max` makes 1 of what is no number.
            let weight = (1.0 / (logged.propensity * looked_at(slot))).max(1.0).min(most);
            answers.iter().map(move |event| (address(event), weight as f32))
        });
        weighed.collect()
    };
    let mut weights: Vec<BTreeMap<usize, f32>> = shown.iter().map(of_visitor).collect();
    let n = weights.iter().map(BTreeMap::len).sum::<usize>().max(1) as f32;
    let mean = weights.iter().flat_map(BTreeMap::values).sum::<f32>() / n;
    weights.iter_mut().flat_map(BTreeMap::values_mut).for_each(|weight| *weight /= mean);
    weights
}

/// Index of an event type in [`Dataset::types`]; adds the type if the data does not have it. `types` has the index of
/// each type.
fn kind(data: &mut Dataset, types: &mut BTreeMap<String, u16>, name: &str) -> Result<u16> {
    if let Some(known) = types.get(name) {
        return Ok(*known);
    }
    let next = data.types.len();
    ensure!(next < MAX_NAMES, "data and logs have more than {MAX_NAMES} types of events, `{name}` among them");
    data.types.push(type_of(name));
    types.insert(name.to_owned(), next as u16);
    Ok(next as u16)
}

/// The context's values of some columns; missing if the value is not of the column's kind.
fn of_columns(columns: &[Column], context: &Fields) -> Vec<Value> {
    let fits = |kind: &str, value: &Value| {
        matches!((kind, value), ("number", Value::Number(_)) | ("category" | "text", Value::Text(_)) | ("set", Value::Set(_)))
    };
    let value = |column: &Column| context.get(&column.name).filter(|value| fits(column.kind, value)).cloned();
    columns.iter().map(|column| value(column).unwrap_or(Value::Missing)).collect()
}

#[cfg(test)]
mod tests {
    use foretaste::profile::{Impression, Slot};

    use super::*;
    use crate::protocols::tests::dataset;

    /// Whatever stands as a propensity in a log that no reader has checked, the weights are positive numbers, and none
    /// is more than `most` times another.
    #[test]
    fn weights_are_bounded_from_below_and_above() {
        let odd = [f64::NAN, f64::INFINITY, -1.0, -1e-300, 0.0, 5e-324, 1e300, 100.0, 0.5, 1.0];
        let slots: Vec<Slot> =
            odd.iter().zip(0..).map(|(p, i)| Slot { item: format!("{i}"), propensity: *p, ..Slot::default() }).collect();
        let answer = |i: usize| Event { item: i.to_string(), kind: "view".into(), slate: Some("s".into()), ..Event::default() };
        let impression = Impression { slate: "s".into(), slots, ..Impression::default() };
        let mut lines = vec![LogLine::Impression(Box::new(impression))];
        lines.extend((0..odd.len()).map(|i| LogLine::Event(answer(i))));
        let visitor = VisitorLog::new("v", lines);
        let found = weights(&[visitor.shown()], 10.0, 0);
        let found: Vec<f32> = found[0].values().copied().collect();
        let [least, most] = [f32::min, f32::max].map(|of| found.iter().copied().reduce(of).unwrap());
        assert!(found.len() == odd.len() && least > 0.0 && most <= 10.001 * least, "{found:?}");
    }

    #[test]
    fn a_log_brings_no_more_types_than_a_bundle_has() {
        let lines =
            (0..=MAX_NAMES).map(|i| LogLine::Event(Event { item: "1".into(), kind: format!("type {i}"), ..Event::default() }));
        let Err(fault) = join(dataset(&[&[0, 1]]), &[VisitorLog::new("ann", lines.collect())], 4.0, 0) else { panic!() };
        let fault = format!("{fault:#}");
        assert!(fault.starts_with("visitor ann, line ") && fault.contains("more than 1024 types"), "{fault}");
    }

    #[test]
    fn answers_to_rarely_shown_items_weigh_more() {
        let event = |item: &str, slate: Option<&str>, time| {
            LogLine::Event(Event {
                item: item.into(),
                kind: "view".into(),
                slate: slate.map(Into::into),
                time: Some(time),
                ..Event::default()
            })
        };
        let slot = |item: &str, propensity| Slot { item: item.into(), propensity, ..Slot::default() };
        let impression = Impression {
            kind: "impression".into(),
            slate: "s".into(),
            slots: vec![slot("1", 1.0), slot("2", 0.5), slot("0", 0.001)],
            ..Impression::default()
        };
        let lines = vec![
            event("1", None, 5_000),
            event("elsewhere", None, 6_000),
            LogLine::Impression(Box::new(impression)),
            event("1", Some("s"), 9_000),
            event("2", Some("s"), 8_000),
            event("0", Some("s"), 9_500),
        ];
        let joined = join(dataset(&[&[0, 1], &[2]]), &[VisitorLog::new("v", lines)], 4.0, 0).unwrap();
        assert_eq!((joined.first, joined.unknown, joined.data.users[2].as_str()), (2, 1, "log/v"));
        let found: Vec<_> = joined.data.history(2).iter().map(|e| (e.item, e.time, e.weight)).collect();
        // Weights 1, 2 and `most` = 4, divided by their mean; events are ordered by time, then by item.
        let mean = 7.0 / 3.0;
        assert_eq!(found, [(1, Some(5), 1.0), (2, Some(8), 2.0 / mean), (0, Some(9), 4.0 / mean), (1, Some(9), 1.0 / mean)]);
        let kinds: Vec<&str> = joined.data.types.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(kinds, ["view"]);
    }
}
