//! The visitor's history, as the user tower reads it.

use serde::{Deserialize, Serialize};

use super::History;

/// The last L kept events, newest first. All lists have the same length, at most L.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedHistory {
    /// Catalog rows of the items.
    pub rows: Vec<u32>,
    /// Rows of the type table.
    pub types: Vec<u16>,
    /// Rows of the value table.
    pub values: Vec<u16>,
    /// Rows of the gap table.
    pub gaps: Vec<u16>,
    /// Rows of the run table.
    pub runs: Vec<u16>,
    /// Number of kept events, before the cut to L.
    pub events: usize,
}

/// An event of a history with its names resolved: what the encoder reads of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RowEvent {
    /// Catalog row of the item; `None` for an item that is not in the catalog.
    pub row: Option<u32>,
    /// Index into [`History::types`]; `None` for a type that is not declared there.
    pub kind: Option<u16>,
    /// A finite number, such as a rating.
    pub value: Option<f64>,
    /// Milliseconds UTC.
    pub time: Option<i64>,
}

impl History {
    /// Which events the tower may read: their places in `events`, newest first, at most `most`.
    ///
    /// `events` is oldest first. Left out are events of unknown items, events of declared types that are neither
    /// positive nor trained, and events of items that a later `hide` event names.
    pub fn kept(&self, events: &[RowEvent], most: usize) -> Vec<usize> {
        let mut hidden = std::collections::BTreeSet::new();
        let mut kept = Vec::new();
        for (place, event) in events.iter().enumerate().rev() {
            let Some(row) = event.row else { continue };
            let kind = self.declared(event.kind);
            if kind.is_some_and(|t| t.hide) {
                hidden.insert(row);
            } else if kind.is_none_or(|t| t.positive || t.trained) && !hidden.contains(&row) {
                kept.push(place);
                if kept.len() == most {
                    break;
                }
            }
        }
        kept
    }

    /// Encodes the first `len` of the `kept` events, which [`History::kept`] gives. Gaps and runs are those between
    /// kept events; the event after the first `len` counts too.
    ///
    /// # Panics
    /// If a place is past the end, or its item is not in the catalog.
    pub fn encode(&self, events: &[RowEvent], kept: &[usize], len: usize) -> EncodedHistory {
        let mut out = EncodedHistory { events: kept.len(), ..EncodedHistory::default() };
        for (i, place) in kept.iter().take(len).enumerate() {
            let (event, before) = (&events[*place], &kept[i + 1..]);
            let run = event.time.map_or(0, |time| {
                let same = |place: &&usize| events[**place].time.is_some_and(|t| t.div_euclid(1000) == time.div_euclid(1000));
                before.iter().take(self.run_buckets - 1).take_while(same).count()
            });
            out.rows.push(event.row.expect("kept events have a row"));
            out.types.push(self.type_index(event.kind) as u16);
            out.values.push(self.value_bucket(event.value) as u16);
            out.gaps.push(self.gap_bucket(before.first().and_then(|place| events[*place].time), event.time) as u16);
            out.runs.push(run as u16);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::EventType;

    fn history() -> History {
        let kind = |name: &str, positive, hide, trained| EventType {
            name: name.into(),
            positive,
            seen: true,
            hide,
            weight: 1.0,
            trained,
        };
        History {
            len: 3,
            cap: 4,
            types: vec![kind("rate", true, false, true), kind("hide", false, true, false), kind("like", true, false, false)],
            value_edges: vec![1.5, 2.5],
            gap_buckets: 6,
            run_buckets: 3,
        }
    }

    fn event(row: Option<u32>, kind: &str, value: Option<f64>, time: Option<i64>) -> RowEvent {
        RowEvent { row, kind: history().type_place(kind), value, time }
    }

    fn encode(events: &[RowEvent]) -> EncodedHistory {
        let spec = history();
        spec.encode(events, &spec.kept(events, spec.cap), spec.len)
    }

    #[test]
    fn newest_first_with_gaps_and_runs() {
        let events = [
            event(Some(0), "rate", Some(1.0), Some(0)),
            event(Some(1), "rate", Some(2.0), Some(7_000)),
            event(Some(2), "rate", None, Some(7_500)),
            event(None, "rate", None, Some(7_600)),
            event(Some(3), "like", Some(9.0), Some(7_999)),
        ];
        let h = encode(&events);
        assert_eq!(h.rows, [3, 2, 1]);
        assert_eq!(h.types, [0, 1, 1]);
        assert_eq!(h.values, [3, 0, 2]);
        assert_eq!(h.gaps, [1, 1, 4]);
        assert_eq!(h.runs, [2, 1, 0]);
        assert_eq!(h.events, 4);
    }

    #[test]
    fn a_hidden_item_leaves_the_history() {
        let events = [
            event(Some(0), "like", None, None),
            event(Some(1), "like", None, None),
            event(Some(0), "hide", None, None),
            event(None, "hide", None, None),
        ];
        let h = encode(&events);
        assert_eq!(h.rows, [1]);
        assert_eq!((h.gaps, h.runs), (vec![0], vec![0]));
    }

    #[test]
    fn types_that_are_not_declared_are_kept_and_unknown() {
        let h = encode(&[event(Some(0), "rate", None, None), event(Some(1), "share", None, None)]);
        assert_eq!((h.rows, h.types), (vec![1, 0], vec![0, 1]));
        assert_eq!(history().kept(&[event(Some(0), "rate", None, None); 5], 2), [4, 3]);
    }
}
