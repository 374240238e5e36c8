//! The visitor's history as the user tower reads it.

use serde::{Deserialize, Serialize};

use super::Encoding;
use crate::profile::Event;

/// The last L events, newest first; all slices have one length, at most L.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedHistory {
    /// Catalog row of each event's item.
    pub rows: Vec<u32>,
    /// Index into the type table.
    pub types: Vec<u16>,
    /// Index into the value table.
    pub values: Vec<u16>,
    /// Index into the gap table.
    pub gaps: Vec<u16>,
    /// Index into the run table.
    pub runs: Vec<u16>,
    /// Events of the whole history, before the cut to L.
    pub events: usize,
}

impl Encoding {
    /// The events that the tower reads, newest first, with the catalog row of their items: at most `cap`.
    ///
    /// `events` is oldest first; `row_of` names the row of an item. Left out are events of unknown items, of types that are
    /// neither positive nor trained, and of items that a later `hide` event names.
    pub fn kept<'a>(&self, events: &'a [Event], row_of: impl Fn(&str) -> Option<u32>) -> Vec<(u32, &'a Event)> {
        let spec = &self.history;
        let mut hidden = std::collections::BTreeSet::new();
        let mut kept = Vec::new();
        for event in events.iter().rev() {
            let kind = spec.type_of(&event.kind);
            if kind.is_some_and(|t| t.hide) {
                hidden.insert(event.item.as_str());
            } else if kind.is_none_or(|t| t.positive || t.trained)
                && !hidden.contains(event.item.as_str())
                && let Some(row) = row_of(&event.item)
            {
                kept.push((row, event));
                if kept.len() == spec.cap {
                    break;
                }
            }
        }
        kept
    }

    /// Encodes a history given oldest first: the last `len` of the [`Encoding::kept`] events. Gap and run are taken between kept
    /// events, those before the cut included.
    pub fn encode_history(&self, events: &[Event], row_of: impl Fn(&str) -> Option<u32>) -> EncodedHistory {
        let spec = &self.history;
        let kept = self.kept(events, row_of);
        let mut out = EncodedHistory { events: kept.len(), ..EncodedHistory::default() };
        for (i, (row, event)) in kept.iter().take(spec.len).enumerate() {
            let before = &kept[i + 1..];
            let run = event.time.map_or(0, |time| {
                let same = |e: &Event| e.time.is_some_and(|t| t.div_euclid(1000) == time.div_euclid(1000));
                before.iter().take(spec.run_buckets - 1).take_while(|(_, e)| same(e)).count()
            });
            out.rows.push(*row);
            out.types.push(spec.type_index(&event.kind) as u16);
            out.values.push(spec.value_bucket(event.value) as u16);
            out.gaps.push(spec.gap_bucket(before.first().and_then(|(_, e)| e.time), event.time) as u16);
            out.runs.push(run as u16);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{EventType, History};

    fn encoding() -> Encoding {
        let kind = |name: &str, positive, hide, trained| EventType {
            name: name.into(),
            positive,
            seen: true,
            hide,
            weight: 1.0,
            trained,
        };
        Encoding {
            history: History {
                len: 3,
                cap: 4,
                types: vec![kind("rate", true, false, true), kind("hide", false, true, false), kind("like", true, false, false)],
                value_edges: vec![1.5, 2.5],
                gap_buckets: 6,
                run_buckets: 3,
            },
            items: vec![],
            context: vec![],
        }
    }

    fn event(item: &str, kind: &str, value: Option<f64>, time: Option<i64>) -> Event {
        Event { item: item.into(), kind: kind.into(), value, time, ..Event::default() }
    }

    fn row(item: &str) -> Option<u32> {
        item.parse().ok()
    }

    #[test]
    fn newest_first_with_gaps_and_runs() {
        let events = [
            event("0", "rate", Some(1.0), Some(0)),
            event("1", "rate", Some(2.0), Some(7_000)),
            event("2", "rate", None, Some(7_500)),
            event("x", "rate", None, Some(7_600)),
            event("3", "like", Some(9.0), Some(7_999)),
        ];
        let h = encoding().encode_history(&events, row);
        assert_eq!(h.rows, [3, 2, 1]);
        assert_eq!(h.types, [0, 1, 1]);
        assert_eq!(h.values, [3, 0, 2]);
        assert_eq!(h.gaps, [1, 1, 4]);
        assert_eq!(h.runs, [2, 1, 0]);
        assert_eq!(h.events, 4);
    }

    #[test]
    fn a_hidden_item_leaves_the_history() {
        let events = [event("0", "like", None, None), event("1", "like", None, None), event("0", "hide", None, None)];
        let h = encoding().encode_history(&events, row);
        assert_eq!(h.rows, [1]);
        assert_eq!((h.gaps, h.runs), (vec![0], vec![0]));
    }
}
