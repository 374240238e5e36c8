//! Computes views from the kept events of a visitor.
//!
//! One rule of time holds for all of them. At a moment T those events count whose time is before T: an event at T
//! itself does not. Without a moment all of them count, and ages are those at the time of the last event. An event
//! without a time counts, but a view whose window or measure needs its age is missing then. No age is below 0, whatever
//! clocks and the order of events say.

use super::value::Shared;
use super::{History, Measure, RowEvent, Value, View, Window};

/// An event that a view looks at.
struct Counted {
    row: Option<u32>,
    /// What the measure adds: 1, a power of 1/2, the value or the age; `None` if it adds nothing.
    amount: Option<f64>,
    /// The age is needed, and the event has no time.
    unknown: bool,
}

impl View {
    /// The value over all these events, oldest first, of which the profile keeps the last [`History::cap`]; `None` if
    /// it is missing. For a view of items, `events` are everybody's of one item.
    ///
    /// `moment` is in milliseconds UTC.
    pub fn value(&self, history: &History, events: &[RowEvent], moment: Option<i64>) -> Option<f64> {
        self.measure.of(self.counted(history, events, moment).iter())
    }

    /// The same for the events whose items share a value of a column with a candidate. `value_of` gives the value of a
    /// row. The events are read once for any number of candidates.
    pub fn shares<'a>(
        &self,
        history: &History,
        events: &[RowEvent],
        moment: Option<i64>,
        value_of: impl Fn(u32) -> Option<&'a Value>,
    ) -> Shares {
        let counted = self.counted(history, events, moment);
        let mut by_value: Vec<OfValue> = Vec::new();
        for (place, event) in counted.iter().enumerate() {
            for shared in event.row.and_then(&value_of).into_iter().flat_map(Value::shared) {
                let hash = shared.hash();
                match by_value.iter_mut().find(|of| of.hash == hash) {
                    Some(of) if of.places.last() == Some(&place) => {}
                    Some(of) => of.places.push(place),
                    None => by_value.push(OfValue { hash, places: vec![place], value: None }),
                }
            }
        }
        for of in &mut by_value {
            of.value = self.measure.of(of.places.iter().map(|place| &counted[*place]));
        }
        Shares { measure: self.measure, counted, by_value }
    }

    /// The events in the window that the measure looks at, oldest first.
    fn counted(&self, history: &History, events: &[RowEvent], moment: Option<i64>) -> Vec<Counted> {
        let types: Vec<Option<u16>> = self.types.iter().map(|name| history.type_place(name)).collect();
        let now = moment.or(events.last().and_then(|event| event.time));
        let kept = &events[events.len().saturating_sub(history.cap)..];
        let before = |event: &&RowEvent| moment.is_none_or(|moment| event.time.is_none_or(|time| time < moment));
        let most = match self.window {
            Some(Window::Events(most)) => most,
            _ => usize::MAX,
        };
        let counted = |event: &RowEvent| {
            let is_of_type = types.is_empty() || event.kind.is_some() && types.contains(&event.kind);
            // A rate looks at the other types too.
            if !is_of_type && self.measure != Measure::Rate {
                return None;
            }
            let age = now.zip(event.time).map(|(now, time)| now.saturating_sub(time).max(0));
            let (is_timed, is_in) = match self.window {
                Some(Window::Milliseconds(span)) => (true, age.is_none_or(|age| age <= span)),
                _ => (false, true),
            };
            let (is_timed, amount) = match self.measure {
                Measure::Count | Measure::Rate => (is_timed, Some(f64::from(u8::from(is_of_type)))),
                // `libm::exp2` would bring a table of 4 KB.
                Measure::Decay { half_life } => {
                    (true, age.map(|age| libm::exp(-core::f64::consts::LN_2 * (age as f64 / half_life as f64))))
                }
                Measure::Since => (true, age.map(|age| age as f64 / 1000.0)),
                Measure::Mean => (is_timed, event.value),
            };
            is_in.then_some(Counted { row: event.row, amount, unknown: is_timed && age.is_none() })
        };
        let mut newest_first: Vec<Counted> = kept.iter().rev().filter(before).take(most).filter_map(counted).collect();
        newest_first.reverse();
        newest_first
    }
}

impl Measure {
    /// The measure of some events; `None` if it is missing.
    fn of<'e>(self, events: impl Iterator<Item = &'e Counted>) -> Option<f64> {
        let (mut all, mut with, mut sum, mut least) = (0.0, 0.0, 0.0, f64::INFINITY);
        for event in events {
            if event.unknown {
                return None;
            }
            all += 1.0;
            if let Some(amount) = event.amount {
                with += 1.0;
                sum += amount;
                least = least.min(amount);
            }
        }
        match self {
            Measure::Count | Measure::Decay { .. } => Some(sum),
            Measure::Rate => (all > 0.0).then(|| sum / all),
            Measure::Mean => (with > 0.0).then(|| sum / with),
            Measure::Since => (with > 0.0).then_some(least),
        }
    }
}

/// A view of a visitor's events with items that share a value with a candidate.
pub struct Shares {
    measure: Measure,
    counted: Vec<Counted>,
    /// In the order of the first event. There are few enough to search one by one.
    by_value: Vec<OfValue>,
}

/// The events whose items have one value.
struct OfValue {
    /// 64 bits, so that no two values of a history share them.
    hash: u64,
    /// Places in `counted`.
    places: Vec<usize>,
    /// The view over them.
    value: Option<f64>,
}

impl Shares {
    /// The value for a candidate with this value of the column; `None` if it is missing. An event that shares several
    /// members of a set counts once. A candidate without a value shares none.
    pub fn value(&self, candidate: Option<&Value>) -> Option<f64> {
        let of_value = |shared: Shared| self.by_value.iter().find(|of| of.hash == shared.hash());
        let mut found = candidate.into_iter().flat_map(Value::shared).filter_map(of_value);
        let Some(first) = found.next() else { return self.measure.of([].iter()) };
        let Some(second) = found.next() else { return first.value };
        let mut is_shared = vec![false; self.counted.len()];
        for of in [first, second].into_iter().chain(found) {
            of.places.iter().for_each(|place| is_shared[*place] = true);
        }
        self.measure.of(self.counted.iter().zip(&is_shared).filter(|(_, is_shared)| **is_shared).map(|(event, _)| event))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::features::{EventType, Over};
    use crate::kernels::tests::numbers;

    const DAY: i64 = 86_400_000;
    const TYPES: [&str; 3] = ["like", "view", "hide"];

    fn history(cap: usize) -> History {
        let kind = |name: &&str| EventType {
            name: name.to_string(),
            positive: *name == "like",
            seen: true,
            hide: *name == "hide",
            weight: 1.0,
            trained: true,
        };
        let types = TYPES.iter().map(kind).collect();
        History { len: 1, cap, types, value_edges: vec![], gap_buckets: 2, run_buckets: 1 }
    }

    /// Every measure with every kind of window, of some types and of all.
    fn views() -> Vec<View> {
        let measures = [Measure::Count, Measure::Rate, Measure::Decay { half_life: 2 * DAY }, Measure::Mean, Measure::Since];
        let windows = [None, Some(Window::Milliseconds(5 * DAY)), Some(Window::Events(4))];
        let mut views = Vec::new();
        for (measure, window) in measures.iter().flat_map(|measure| windows.map(|window| (*measure, window))) {
            for types in [&["like"][..], &["view", "hide"], &[]] {
                let types = types.iter().map(|name| name.to_string()).collect();
                views.push(View { name: "v".into(), of: Over::User, measure, types, window });
            }
        }
        views
    }

    /// The definition, event by event, with `shares` for the items that count.
    fn oracle(
        view: &View,
        history: &History,
        events: &[RowEvent],
        moment: Option<i64>,
        shares: impl Fn(u32) -> bool,
        all: bool,
    ) -> Option<f64> {
        let now = moment.or(events.last()?.time);
        let from = events.len().saturating_sub(history.cap);
        let kept: Vec<&RowEvent> =
            events[from..].iter().filter(|e| !matches!((moment, e.time), (Some(m), Some(t)) if t >= m)).collect();
        let timed = matches!(view.measure, Measure::Decay { .. } | Measure::Since)
            || matches!(view.window, Some(Window::Milliseconds(_)));
        let (mut of_type, mut of_any) = (Vec::new(), 0.0);
        for (place, event) in kept.iter().enumerate() {
            if !all && !event.row.is_some_and(&shares) {
                continue;
            }
            let named = event.kind.map(|kind| TYPES[usize::from(kind)].to_string());
            let counts = view.types.is_empty() || named.is_some_and(|name| view.types.contains(&name));
            let age = match (now, event.time) {
                (Some(now), Some(time)) => Some(if now > time { now - time } else { 0 }),
                _ => None,
            };
            match view.window {
                Some(Window::Events(n)) if place + n < kept.len() => continue,
                Some(Window::Milliseconds(span)) if age.is_some_and(|age| age > span) => continue,
                _ => {}
            }
            if (counts || view.measure == Measure::Rate) && timed && age.is_none() {
                return None;
            }
            of_any += 1.0;
            if counts {
                of_type.push((age, event.value));
            }
        }
        let n = of_type.len() as f64;
        let values: Vec<f64> = of_type.iter().filter_map(|(_, value)| *value).collect();
        match view.measure {
            Measure::Count => Some(n),
            Measure::Rate => (of_any > 0.0).then(|| n / of_any),
            Measure::Decay { half_life } => {
                Some(of_type.iter().map(|(age, _)| libm::pow(0.5, age.unwrap() as f64 / half_life as f64)).sum())
            }
            Measure::Mean => (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
            Measure::Since => of_type.iter().map(|(age, _)| age.unwrap()).min().map(|age| age as f64 / 1000.0),
        }
    }

    fn close(a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * b.abs().max(1.0),
            (a, b) => a == b,
        }
    }

    /// Events out of order, at equal times, with a clock that goes back, without times, of unknown items and types,
    /// more than are kept, and at the moment itself; then with some removed.
    #[test]
    fn equals_the_definition() {
        let mut next = numbers(24);
        let set = |members: &[&str]| Value::Set(members.iter().map(|m| m.to_string()).collect());
        let tags = [set(&["a", "b"]), set(&["b", "b", "c"]), Value::Text("a".into()), Value::Missing, set(&["", "d"])];
        let numeric = [0.0, -0.0, 2.5, f64::NAN, 0.0].map(Value::Number);
        let (mut known, mut missing) = (0, 0);
        for round in 0..400 {
            let history = history(1 + next() as usize % 12);
            let timeless = round % 3 == 0;
            let mut events: Vec<RowEvent> = (0..next() % 16)
                .map(|_| RowEvent {
                    row: Some(next() as u32 % 6).filter(|row| *row < 5),
                    kind: Some(next() as u16 % 4).filter(|kind| *kind < 3),
                    value: Some((next() % 9) as f64 - 4.0).filter(|value| *value < 4.0),
                    time: Some((next() % 20) as i64 * DAY / 2).filter(|_| !timeless || !next().is_multiple_of(8)),
                })
                .collect();
            if round % 4 > 0 {
                events.sort_by_key(|event| event.time);
            }
            let moments = [None, Some(5 * DAY), Some(10 * DAY), Some(i64::MIN), Some(i64::MAX)];
            for events in [events.clone(), events.into_iter().filter(|_| !next().is_multiple_of(3)).collect()] {
                for (view, moment) in views().iter().flat_map(|view| moments.map(|moment| (view.clone(), moment))) {
                    let expected = oracle(&view, &history, &events, moment, |_| true, true);
                    let got = view.value(&history, &events, moment);
                    let empty = events.is_empty();
                    assert!(empty || close(got, expected), "{view:?} at {moment:?}: {got:?} {expected:?} {events:?}");
                    (known, missing) = (known + usize::from(got.is_some()), missing + usize::from(got.is_none()));
                    for column in [&tags, &numeric] {
                        let shares = view.shares(&history, &events, moment, |row| column.get(row as usize));
                        for candidate in column {
                            let has = |row: u32| {
                                let of =
                                    |value: &Value| value.set().into_iter().map(|m| m.replace("-0", "0")).collect::<Vec<_>>();
                                of(&column[row as usize]).iter().any(|member| of(candidate).contains(member))
                            };
                            let expected = oracle(&view, &history, &events, moment, has, false);
                            let got = shares.value(Some(candidate));
                            assert!(empty || close(got, expected), "{view:?} at {moment:?}: {got:?} {expected:?} {events:?}");
                        }
                        assert_eq!(shares.value(None), shares.value(Some(&Value::Missing)));
                    }
                }
            }
        }
        assert!(known > 100_000 && missing > 10_000, "{known} {missing}");
    }

    #[test]
    fn known_values() {
        let event = |kind: &str, days: i64| RowEvent {
            row: Some(0),
            kind: history(9).type_place(kind),
            value: None,
            time: Some(days * DAY),
        };
        let events = [event("view", 0), event("like", 2), event("like", 4), event("view", 4)];
        let value = |measure, types: &[&str], window, moment: Option<i64>| {
            let types = types.iter().map(|name| name.to_string()).collect();
            View { name: "v".into(), of: Over::User, measure, types, window }.value(&history(9), &events, moment)
        };
        let (day, half_life) = (Some(6 * DAY), 2 * DAY);
        assert_eq!(value(Measure::Count, &["like"], None, day), Some(2.0));
        assert_eq!(value(Measure::Rate, &["like"], None, day), Some(0.5));
        let decayed = |types, moment| value(Measure::Decay { half_life }, types, None, moment).unwrap();
        assert!((decayed(&["like"], day) - 0.75).abs() < 1e-15);
        assert_eq!(value(Measure::Since, &["like"], None, day), Some(2.0 * 86_400.0));
        assert_eq!(value(Measure::Mean, &[], None, day), None);
        assert_eq!(value(Measure::Since, &["hide"], None, day), None);
        // An event of exactly the window's age counts, and one at the moment itself does not.
        assert_eq!(value(Measure::Count, &[], Some(Window::Milliseconds(2 * DAY)), day), Some(2.0));
        assert_eq!(value(Measure::Count, &[], Some(Window::Milliseconds(2 * DAY - 1)), day), Some(0.0));
        assert_eq!(value(Measure::Count, &[], None, Some(4 * DAY)), Some(2.0));
        assert_eq!(value(Measure::Count, &[], None, Some(4 * DAY + 1)), Some(4.0));
        // The last three events, then those of the type.
        assert_eq!(value(Measure::Count, &["view"], Some(Window::Events(3)), day), Some(1.0));
        // Without a moment all count, the last one with age 0.
        assert!((decayed(&[], None) - 2.75).abs() < 1e-15);
    }
}
