//! Views of items as of any moment: what was known of an item at a time, and nothing later.
//!
//! The rule of time is that of [`View::value`], which a test compares with: at a moment T events before T count, an
//! event at T itself does not. Sums over the beginnings of an item's events make each value a few look-ups, however
//! many events there are. A view by a column of the context has a list of events for each item and value.

use foretaste::features::{History, Measure, Over, RowEvent, View, Window};

/// The views of all items over the events of everybody.
pub struct ItemTables {
    /// Of each view the group that it is in, and its table there.
    places: Vec<(usize, usize)>,
    groups: Vec<Group>,
}

/// Views over the same lists of events: one list an item, or one for each item and value of a column of the context.
struct Group {
    /// The column of the context.
    by: Option<String>,
    /// Lists for each item.
    width: usize,
    /// The events of list r are `starts[r]..starts[r + 1]`.
    starts: Vec<usize>,
    /// Time of each event in milliseconds UTC, ascending for each list; `i64::MIN` for none.
    times: Vec<i64>,
    tables: Vec<Table>,
}

struct Table {
    view: View,
    /// For each list how many of its first events a view may not date: up to the last event that counts and has no
    /// time.
    undated: Vec<u32>,
    sums: Sums,
}

/// Sums over the first 0, 1, … events of each list: of list r they start at `starts[r] + r`.
enum Sums {
    /// Events that count.
    Counts(Vec<u32>),
    /// The decayed sum at the time of the last of these events.
    Decayed(Vec<f64>, f64),
    /// Sum and number of the values.
    Values(Vec<(f64, u32)>),
    /// 1 + the place of the last event that counts, 0 for none.
    Last(Vec<u32>),
}

/// Events of everybody in any order, each with the slot of the context column that they are counted by: 0 without one.
pub type Counted = Vec<(RowEvent, u32)>;

impl ItemTables {
    /// The views, which are of items. `events` gives for no column, or for a column of the context, how many slots the
    /// column has (1 for none) and the events; those without a value of the column are left out. Events of unknown
    /// items count nowhere.
    pub fn new(views: &[View], history: &History, items: usize, events: impl Fn(Option<&str>) -> (usize, Counted)) -> ItemTables {
        let mut tables = ItemTables { places: Vec::new(), groups: Vec::new() };
        for view in views {
            let by = if let Over::ItemContext(name) = &view.of { Some(name.clone()) } else { None };
            let own = |group: &Group| group.by == by;
            let at = tables.groups.iter().position(own).unwrap_or_else(|| {
                let of: Vec<View> = views.iter().filter(|other| other.of == view.of).cloned().collect();
                let (width, events) = events(by.as_deref());
                tables.groups.push(Group::new(&of, history, items, (by, width), events));
                tables.groups.len() - 1
            });
            let place = tables.places.iter().filter(|(group, _)| *group == at).count();
            tables.places.push((at, place));
        }
        tables
    }

    /// The value of the view with number `view` for an item at a moment, in milliseconds UTC; without a moment all
    /// events count. `slot` is that of the context column that it is counted by, 0 if there is none. `None` if it is
    /// missing.
    ///
    /// # Panics
    /// If there is no such view or row.
    pub fn value(&self, view: usize, row: u32, slot: usize, moment: Option<i64>) -> Option<f64> {
        let (group, table) = self.places[view];
        let group = &self.groups[group];
        (slot < group.width).then(|| group.value(table, row as usize * group.width + slot, moment))?
    }
}

impl Group {
    fn new(views: &[View], history: &History, items: usize, (by, width): (Option<String>, usize), events: Counted) -> Group {
        let is_known =
            |(event, slot): &(RowEvent, u32)| event.row.is_some_and(|row| (row as usize) < items) && (*slot as usize) < width;
        let list = |event: &RowEvent, slot: u32| event.row.unwrap_or(0) as usize * width + slot as usize;
        let mut events: Counted = events.into_iter().filter(is_known).collect();
        events.sort_by_key(|(event, slot)| (list(event, *slot), event.time));
        let mut starts = vec![0; items * width + 1];
        events.iter().for_each(|(event, slot)| starts[list(event, *slot) + 1] += 1);
        (0..items * width).for_each(|row| starts[row + 1] += starts[row]);
        let events: Vec<RowEvent> = events.into_iter().map(|(event, _)| event).collect();
        let times = events.iter().map(|event| event.time.unwrap_or(i64::MIN)).collect();
        let tables = views.iter().map(|view| Table::new(view, history, &starts, &events)).collect();
        Group { by, width, starts, times, tables }
    }

    fn value(&self, table: usize, list: usize, moment: Option<i64>) -> Option<f64> {
        let (table, start) = (&self.tables[table], self.starts[list]);
        let times = &self.times[start..self.starts[list + 1]];
        let undated = table.undated[list] as usize;
        let now = moment.or(times.last().copied())?;
        let end = moment.map_or(times.len(), |moment| times.partition_point(|time| *time < moment || *time == i64::MIN));
        let (first, is_timed) = match table.view.window {
            None => (0, false),
            Some(Window::Events(most)) => (end.saturating_sub(most), false),
            Some(Window::Milliseconds(span)) => (times.partition_point(|time| *time < now.saturating_sub(span)).min(end), true),
        };
        // An event without a time is in every window of time.
        let from = if is_timed { 0 } else { first };
        if (is_timed || matches!(table.view.measure, Measure::Decay { .. } | Measure::Since)) && from < undated {
            return None;
        }
        let at = start + list;
        let age = |place: usize| now.saturating_sub(times[place]).max(0) as f64;
        match &table.sums {
            Sums::Counts(counts) => {
                let count = f64::from(counts[at + end] - counts[at + first]);
                let all = (end - first) as f64;
                if table.view.measure == Measure::Rate { (all > 0.0).then(|| count / all) } else { Some(count) }
            }
            Sums::Decayed(sums, half_life) => {
                let of_first = |n: usize| if n == 0 { 0.0 } else { sums[at + n] * libm::exp2(-age(n - 1) / half_life) };
                Some((of_first(end) - of_first(first)).max(0.0))
            }
            Sums::Values(sums) => {
                let ((more, most), (less, least)) = (sums[at + end], sums[at + first]);
                (most > least).then(|| (more - less) / f64::from(most - least))
            }
            Sums::Last(last) => {
                let place = last[at + end] as usize;
                (place > first).then(|| age(place - 1) / 1000.0)
            }
        }
    }
}

impl Table {
    fn new(view: &View, history: &History, starts: &[usize], events: &[RowEvent]) -> Table {
        let types: Vec<Option<u16>> = view.types.iter().map(|name| history.type_place(name)).collect();
        let counts = |event: &RowEvent| types.is_empty() || event.kind.is_some() && types.contains(&event.kind);
        let items = || starts.windows(2).map(|ends| &events[ends[0]..ends[1]]);
        let is_seen = |event: &RowEvent| event.time.is_none() && (counts(event) || view.measure == Measure::Rate);
        let undated = items().map(|own| own.iter().rposition(is_seen).map_or(0, |place| place as u32 + 1)).collect();
        let sums = match view.measure {
            Measure::Count | Measure::Rate => {
                Sums::Counts(items().flat_map(|own| running(own, 0, |n, event, _| n + u32::from(counts(event)))).collect())
            }
            Measure::Decay { half_life } => {
                let half_life = half_life as f64;
                let next = |sum: f64, event: &RowEvent, before: Option<&RowEvent>| {
                    let gap = before.and_then(|b| b.time).zip(event.time).map_or(0.0, |(b, t)| t.saturating_sub(b) as f64);
                    // An event without a time adds nothing: a view that looks at one is missing.
                    sum * libm::exp2(-gap / half_life) + f64::from(u8::from(counts(event) && event.time.is_some()))
                };
                Sums::Decayed(items().flat_map(|own| running(own, 0.0, next)).collect(), half_life)
            }
            Measure::Mean => {
                let next = |(sum, n): (f64, u32), event: &RowEvent, _: Option<&RowEvent>| match event.value {
                    Some(value) if counts(event) => (sum + value, n + 1),
                    _ => (sum, n),
                };
                Sums::Values(items().flat_map(|own| running(own, (0.0, 0), next)).collect())
            }
            Measure::Since => Sums::Last(
                items()
                    .flat_map(|own| {
                        let mut place = 0;
                        running(own, 0, move |last, event, _| {
                            place += 1;
                            if counts(event) { place } else { last }
                        })
                    })
                    .collect(),
            ),
        };
        Table { view: view.clone(), undated, sums }
    }
}

/// The values after 0, 1, … events; `next` makes each from the one before, the event, and the event before it.
fn running<T: Copy>(events: &[RowEvent], start: T, mut next: impl FnMut(T, &RowEvent, Option<&RowEvent>) -> T) -> Vec<T> {
    let mut out = vec![start];
    for (i, event) in events.iter().enumerate() {
        out.push(next(out[i], event, i.checked_sub(1).map(|before| &events[before])));
    }
    out
}

#[cfg(test)]
mod tests {
    use foretaste::features::{EventType, Over};

    use super::*;
    use crate::random::mix;

    const HOUR: i64 = 3_600_000;

    fn history() -> History {
        let kind =
            |name: &str| EventType { name: name.into(), positive: true, seen: true, hide: false, weight: 1.0, trained: true };
        History {
            len: 1,
            cap: usize::MAX,
            types: vec![kind("like"), kind("view")],
            value_edges: vec![],
            gap_buckets: 2,
            run_buckets: 1,
        }
    }

    fn views() -> Vec<View> {
        let measures = [Measure::Count, Measure::Rate, Measure::Decay { half_life: 3 * HOUR }, Measure::Mean, Measure::Since];
        let windows = [None, Some(Window::Milliseconds(7 * HOUR)), Some(Window::Events(5))];
        let mut views = Vec::new();
        for measure in measures {
            for window in windows {
                for types in [vec![], vec!["like".to_owned()]] {
                    views.push(View { name: "v".into(), of: Over::Item, measure, types, window });
                }
            }
        }
        views
    }

    /// The page's own code is the definition: over each item's events in order of time, at equal times, before the
    /// first, and with events that have no time.
    #[test]
    fn a_table_gives_what_the_core_computes() {
        let (views, history, items) = (views(), history(), 4u32);
        let mut known = 0;
        for round in 0..60u64 {
            let draw = |i: u64| mix(mix(9, round), i);
            let event = |i: u64| RowEvent {
                row: Some(draw(5 * i) as u32 % (items + 1)),
                kind: Some(draw(5 * i + 1) as u16 % 2),
                value: Some((draw(5 * i + 2) % 5) as f64).filter(|value| *value > 0.0),
                time: Some((draw(5 * i + 3) % 30) as i64 * HOUR).filter(|_| round % 3 > 0 || draw(5 * i + 4) % 9 > 0),
            };
            let events: Vec<RowEvent> = (0..round).map(event).collect();
            let tables = ItemTables::new(&views, &history, items as usize, |_| (1, events.iter().map(|e| (*e, 0)).collect()));
            let of_item = |row: u32| {
                let mut own: Vec<RowEvent> = events.iter().copied().filter(|event| event.row == Some(row)).collect();
                own.sort_by_key(|event| event.time);
                own
            };
            for (row, own) in (0..items).map(|row| (row, of_item(row))) {
                let moments = (-1..32).map(|hour| Some(hour * HOUR)).chain([None, Some(9 * HOUR + 1)]);
                for (moment, (i, view)) in moments.flat_map(|moment| views.iter().enumerate().map(move |view| (moment, view))) {
                    let (got, expected) = (tables.value(i, row, 0, moment), view.value(&history, &own, moment));
                    let is_close = match (got, expected) {
                        (Some(a), Some(b)) => (a - b).abs() < 1e-9,
                        // Nothing is known of an item without events: a count may be missing or 0.
                        (a, b) => a == b || (own.is_empty() && a.or(b) == Some(0.0)),
                    };
                    assert!(is_close, "{view:?} at {moment:?}: {got:?}, {expected:?} of {own:?}");
                    known += usize::from(got.is_some());
                }
            }
        }
        assert!(known > 10_000);
    }

    /// The value by a column is that over the events with the same value of it; other views stand beside it.
    #[test]
    fn a_column_of_the_context_parts_the_events() {
        let (history, items, width) = (history(), 3u32, 4usize);
        let mut views = Vec::new();
        for (i, view) in self::views().into_iter().enumerate() {
            let of = [Over::ItemContext("hour".into()), Over::Item, Over::ItemContext("town".into())][i % 3].clone();
            views.push(View { of, ..view });
        }
        let draw = |i: u64| mix(11, i);
        let event = |i: u64| RowEvent {
            row: Some(draw(6 * i) as u32 % items),
            kind: Some(draw(6 * i + 1) as u16 % 2),
            value: Some((draw(6 * i + 2) % 5) as f64),
            time: Some((draw(6 * i + 3) % 30) as i64 * HOUR),
        };
        // The last of five slots is no slot of the column.
        let slot = |i: u64, town: bool| draw(6 * i + 4 + u64::from(town)) as u32 % 5;
        let counted = |by: Option<&str>| {
            let of = |i: u64| by.map_or(0, |name| slot(i, name == "town"));
            (if by.is_some() { width } else { 1 }, (0..200).map(|i| (event(i), of(i))).collect())
        };
        let tables = ItemTables::new(&views, &history, items as usize, counted);
        for (row, at) in (0..items).flat_map(|row| (0..width).map(move |at| (row, at))) {
            for (i, view) in views.iter().enumerate() {
                let shares = |n: &u64| match &view.of {
                    Over::ItemContext(name) => slot(*n, name == "town") == at as u32,
                    _ => true,
                };
                let mut own: Vec<RowEvent> = (0..200).filter(shares).map(event).filter(|event| event.row == Some(row)).collect();
                own.sort_by_key(|event| event.time);
                let slot = if view.of == Over::Item { 0 } else { at };
                for moment in [None, Some(9 * HOUR), Some(31 * HOUR)] {
                    let (got, expected) = (tables.value(i, row, slot, moment), view.value(&history, &own, moment));
                    let is_close = got == expected || got.zip(expected).is_some_and(|(a, b)| (a - b).abs() < 1e-9);
                    assert!(is_close, "{view:?} at {moment:?}: {got:?}, {expected:?}");
                }
            }
        }
        assert_eq!(tables.value(0, 0, width, None), None);
    }
}
