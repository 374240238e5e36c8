//! The values of a data set's features for one visitor at one moment, as the trainer sees them.

use std::collections::BTreeMap;

use foretaste::features::{ColumnEncoding, ColumnKind, History, Over, RowEvent, Value, View};

use super::{EventSlots, views_of};
use crate::data::{Dataset, DatasetEvent, counted_context};

/// The most events of a visitor that count, as in a bundle.
pub(super) const CAP: usize = 65_536;

/// A feature's values: one number, or one for each value of a column of items.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(untagged)]
pub enum FeatureValue {
    /// `None` if it is missing.
    One(Option<f64>),
    /// By the value that a candidate or the context has.
    ByValue(BTreeMap<String, Option<f64>>),
}

/// The values of all features for a visitor and, if one is given, an item, by name. A feature of items is left out
/// without an item; one that is counted by a column of the context has a value for each value of the column. A time on
/// a circle is the share of its period, in UTC; crosses have no values. Events before `at` count, in milliseconds UTC;
/// without a time all of them do.
pub fn values_at(data: &Dataset, user: usize, item: Option<u32>, at: Option<i64>) -> BTreeMap<String, FeatureValue> {
    let history =
        History { len: 1, cap: CAP, types: data.types.clone(), value_edges: Vec::new(), gap_buckets: 2, run_buckets: 1 };
    let rows = |events: &[DatasetEvent]| events.iter().map(row_event).collect::<Vec<_>>();
    let own = rows(data.history(user));
    // The page as of then would have kept the last events until then.
    let own = &own[..at.map_or(own.len(), |at| own.partition_point(|event| event.time.is_none_or(|time| time < at)))];
    let mut values = BTreeMap::new();
    for view in views_of(data) {
        let value = match &view.of {
            Over::User => FeatureValue::One(view.value(&history, own, at)),
            Over::UserColumn(name) => match data.item_table.columns.iter().find(|column| column.name == *name) {
                Some(column) => of_column(&view, &history, own, at, (&column.values, item)),
                None => continue,
            },
            Over::Item => {
                let Some(item) = item else { continue };
                let events: Vec<RowEvent> = data.events.iter().filter(|event| event.item == item).map(row_event).collect();
                FeatureValue::One(of_item(&view, &history, events, at))
            }
            Over::ItemContext(name) => {
                let Some((item, column)) = item.zip(counted_context(data, name)) else { continue };
                let slots = EventSlots::new(data, &column);
                let mut by_slot: BTreeMap<u32, Vec<RowEvent>> = BTreeMap::new();
                for (place, event) in data.events.iter().enumerate().filter(|(_, event)| event.item == item) {
                    if let Some(slot) = slots.slot(event, place) {
                        by_slot.entry(slot).or_default().push(row_event(event));
                    }
                }
                let of = |(slot, events)| (text_of(&column, slot), of_item(&view, &history, events, at));
                FeatureValue::ByValue(by_slot.into_iter().map(of).collect())
            }
        };
        values.insert(view.name, value);
    }
    let now = at.or(own.last().and_then(|event| event.time));
    for input in data.inputs.iter().filter(|input| input.is_derived()) {
        values.insert(input.name.clone(), FeatureValue::One(input.derive(now, 0, own.len()).number()));
    }
    values
}

/// A view over the events of one item.
fn of_item(view: &View, history: &History, mut events: Vec<RowEvent>, at: Option<i64>) -> Option<f64> {
    events.sort_by_key(|event| event.time);
    view.value(&History { cap: usize::MAX, ..history.clone() }, &events, at)
}

/// The value that a slot of a column of the context stands for.
pub(super) fn text_of(column: &ColumnEncoding, slot: u32) -> String {
    match &column.kind {
        ColumnKind::Category { vocabulary } => vocabulary.get(slot as usize).cloned().unwrap_or_default(),
        _ => slot.to_string(),
    }
}

/// Of a view that is counted by a column: the value for the item, or else that for each value of the column.
fn of_column(
    view: &View,
    history: &History,
    own: &[RowEvent],
    at: Option<i64>,
    (column, item): (&[Value], Option<u32>),
) -> FeatureValue {
    let shares = view.shares(history, own, at, |row| column.get(row as usize));
    if let Some(item) = item {
        return FeatureValue::One(shares.value(column.get(item as usize)));
    }
    let had = own.iter().filter_map(|event| column.get(event.row? as usize));
    let members = had.flat_map(Value::set);
    FeatureValue::ByValue(
        members
            .map(|member| {
                let value = shares.value(Some(&Value::Set(vec![member.clone()])));
                (member, value)
            })
            .collect(),
    )
}

pub(super) fn row_event(event: &DatasetEvent) -> RowEvent {
    RowEvent {
        row: Some(event.item),
        kind: Some(event.kind),
        value: event.rating,
        time: event.time.map(|t| t.saturating_mul(1000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Column, type_of};
    use crate::protocols::tests::dataset;

    #[test]
    fn values_are_those_of_the_moment() {
        let mut data = dataset(&[&[0, 1, 2], &[0, 0, 2]]);
        data.types = vec![type_of("rate")];
        let values = [&["a", "b"][..], &["b"], &["c"]].map(|set| Value::Set(set.iter().map(|m| (*m).into()).collect()));
        data.item_table.columns.push(Column { name: "tag".into(), kind: "set", values: values.to_vec() });
        let one = |value: f64| FeatureValue::One(Some(value));
        let by = |values: &[(&str, f64)]| {
            FeatureValue::ByValue(values.iter().map(|(member, n)| ((*member).to_owned(), Some(*n))).collect())
        };
        let all = values_at(&data, 0, None, None);
        assert_eq!(all["user_tag_count"], by(&[("a", 1.0), ("b", 2.0), ("c", 1.0)]));
        assert_eq!((&all["user_mean"], all.get("item_count")), (&one(4.0), None));
        // At second 2 the third event does not count, nor does that of the other visitor.
        let then = values_at(&data, 0, Some(2), Some(2000));
        assert_eq!((&then["user_tag_count"], &then["item_count"]), (&one(0.0), &one(0.0)));
        let later = values_at(&data, 0, Some(2), Some(2001));
        assert_eq!((&later["user_tag_count"], &later["item_count"]), (&one(1.0), &one(2.0)));
    }
}
