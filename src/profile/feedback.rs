//! What kept events and shown slates tell about the items, as answers with a reward.

use std::collections::BTreeSet;

use super::{EventLog, Impression, LogLine};
use crate::bundle::RatingRange;
use crate::features::{History, RowEvent};

/// Whether a slate of the log counts. It is asked from the newest on.
pub type KnownSlates<'a> = &'a mut dyn FnMut(&Impression) -> bool;

/// The answers in a visitor's events, oldest first: the catalog row, or `None` for an item outside the catalog, and the
/// reward.
///
/// An event of a positive type gives the weight of the type; one with a rating gives that weight times the place of the
/// rating in its range, −1 to 1. A type that hides gives −1. Events of other declared types give nothing.
#[allow(clippy::manual_clamp)] // std's `clamp` would bring the printing of floats into the WASM module.
pub fn answers(events: &[RowEvent], types: &History, ratings: Option<RatingRange>) -> Vec<(Option<u32>, f64)> {
    let reward = |event: &RowEvent| match (types.declared(event.kind), event.value, ratings) {
        (Some(kind), _, _) if kind.hide => Some(-1.0),
        (Some(kind), Some(value), Some(RatingRange { least, most })) if kind.positive => {
            Some(f64::from(kind.weight) * (2.0 * (value - least) / (most - least) - 1.0).max(-1.0).min(1.0))
        }
        (Some(kind), _, _) if kind.positive => Some(f64::from(kind.weight)),
        (Some(_), _, _) => None,
        // The tower reads events of undeclared types, so they count as interest here too.
        (None, _, _) => Some(1.0),
    };
    events.iter().filter_map(|event| Some((event.row, reward(event)?))).collect()
}

/// The last `most` items that were shown and that no later event names, oldest first, each once. With each comes the
/// number of slates shown after it. Only slates that `knows` takes count.
pub fn ignored<'a>(log: &'a EventLog, knows: KnownSlates, most: usize) -> Vec<(&'a str, usize)> {
    let mut named = BTreeSet::new();
    let mut ignored = Vec::new();
    let mut slates = 0;
    for line in log.newest_first() {
        match line {
            LogLine::Event(event) => _ = named.insert(event.item.as_str()),
            LogLine::Impression(impression) if knows(impression) => {
                let fresh = impression.slots.iter().rev().filter(|slot| named.insert(&slot.item));
                ignored.extend(fresh.map(|slot| (slot.item.as_str(), slates)));
                slates += 1;
                if ignored.len() >= most {
                    break;
                }
            }
            LogLine::Impression(_) | LogLine::Assignment(_) => {}
        }
    }
    ignored.truncate(most);
    ignored.reverse();
    ignored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::EventType;
    use crate::profile::{Assignment, Event, Slot};

    #[test]
    fn items_without_an_answer_are_found() {
        let mut log = EventLog::default();
        let shown = |log: &mut EventLog, items: &[&str]| {
            let slots = items.iter().map(|item| Slot { item: item.to_string(), ..Slot::default() }).collect();
            log.push(LogLine::Impression(Box::new(Impression { slots, ..Impression::default() })));
        };
        let event = |item: &str| LogLine::Event(Event { item: item.into(), kind: "like".into(), ..Event::default() });
        shown(&mut log, &["a", "b"]);
        log.push(event("a"));
        shown(&mut log, &["a", "c", "d"]);
        log.push(event("c"));
        assert_eq!(ignored(&log, &mut |_| true, 9), [("b", 1), ("a", 0), ("d", 0)]);
        assert_eq!(ignored(&log, &mut |_| true, 2), [("a", 0), ("d", 0)]);
        log.push(LogLine::Assignment(Assignment { arm: "d".into(), ..Assignment::default() }));
        shown(&mut log, &["b"]);
        assert_eq!(ignored(&log, &mut |_| true, 9), [("a", 1), ("d", 1), ("b", 0)]);
    }

    #[test]
    fn types_and_ratings_give_the_reward() {
        let kind = |name: &str, positive, hide, weight| EventType {
            name: name.into(),
            positive,
            seen: true,
            hide,
            weight,
            trained: true,
        };
        let types = vec![kind("buy", true, false, 3.0), kind("hide", false, true, 1.0), kind("seen", false, false, 1.0)];
        let history = History { len: 1, cap: 1, types, value_edges: vec![], gap_buckets: 2, run_buckets: 1 };
        let event = |kind: &str, value| RowEvent { kind: history.type_place(kind), value, ..RowEvent::default() };
        let events = [event("buy", None), event("hide", None), event("seen", None), event("like", None), event("buy", Some(2.0))];
        let rewards = |ratings| answers(&events, &history, ratings).into_iter().map(|a| a.1).collect::<Vec<f64>>();
        assert_eq!(rewards(None), [3.0, -1.0, 1.0, 3.0]);
        assert_eq!(rewards(Some(RatingRange { least: 1.0, most: 5.0 })), [3.0, -1.0, 1.0, -1.5]);
    }
}
