//! Slates whose line a page wrote when the visitor saw them, which may be after the next event.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foretaste::profile::{Impression, LogLine};

use super::VisitorLog;

/// Puts each slate where it was drawn, before the first event that followed, so that a replay draws it from the same
/// history. Of the lines of one slate, which grow as the visitor sees more of it, the longest is left.
pub(super) fn arrange(log: &mut VisitorLog) {
    let mut events = HashMap::new();
    for (place, line) in log.lines.iter().enumerate() {
        if let LogLine::Event(event) = line
            && let Some(id) = &event.id
        {
            events.entry(id.clone()).or_insert(place);
        }
    }
    let mut slates: HashMap<String, usize> = HashMap::new();
    // The lines that stay, each with the place where it belongs: before the line there, or at it.
    let mut stay: Vec<((usize, bool), LogLine, _)> = Vec::with_capacity(log.lines.len());
    for (place, (line, at)) in std::mem::take(&mut log.lines).into_iter().zip(std::mem::take(&mut log.places)).enumerate() {
        let mut belongs = (place, true);
        if let LogLine::Impression(shown) = &line {
            match slates.entry(shown.slate.clone()) {
                Entry::Occupied(known) => {
                    let (_, earlier, _) = &mut stay[*known.get()];
                    if let LogLine::Impression(earlier) = earlier
                        && grows(earlier, shown)
                    {
                        earlier.slots.clone_from(&shown.slots);
                        continue;
                    }
                }
                Entry::Vacant(new) => _ = new.insert(stay.len()),
            }
            let first = shown.before.as_ref().and_then(|id| events.get(id));
            belongs = first.map_or(belongs, |event| (*event.min(&place), false));
        }
        stay.push((belongs, line, at));
    }
    stay.sort_by_key(|(belongs, ..)| *belongs);
    (log.lines, log.places) = stay.into_iter().map(|(_, line, at)| (line, at)).unzip();
}

/// Whether `later` is the same slate, of which the visitor has seen more.
fn grows(earlier: &Impression, later: &Impression) -> bool {
    let same = |a: &Impression, b: &Impression| {
        (a.time, &a.context, &a.request, &a.policy) == (b.time, &b.context, &b.request, &b.policy)
    };
    later.slots.len() > earlier.slots.len() && later.slots.starts_with(&earlier.slots) && same(earlier, later)
}

#[cfg(test)]
mod tests {
    use foretaste::profile::{Event, Slot};

    use super::*;

    fn event(id: &str) -> LogLine {
        LogLine::Event(Event { id: Some(id.into()), item: "1".into(), ..Event::default() })
    }

    fn shown(slate: &str, before: Option<&str>, slots: usize) -> LogLine {
        let slots = (0..slots).map(|slot| Slot { item: slot.to_string(), ..Slot::default() }).collect();
        let before = before.map(str::to_owned);
        LogLine::Impression(Box::new(Impression { slate: slate.into(), before, slots, ..Impression::default() }))
    }

    fn arranged(lines: &[LogLine]) -> Vec<LogLine> {
        let mut log = VisitorLog::new("v", lines.to_vec());
        arrange(&mut log);
        assert_eq!(log.lines.len(), log.places.len());
        log.lines
    }

    #[test]
    fn a_late_slate_stands_where_it_was_drawn() {
        let lines = [event("a"), event("b"), shown("s", Some("b"), 2), event("c"), shown("t", None, 1)];
        let [a, b, s, c, t] = lines.clone();
        assert_eq!(arranged(&lines), [a, s, b, c, t]);
        // Two that waited keep their order, and an event that has left the log moves nothing.
        let lines = [event("b"), shown("s", Some("b"), 2), shown("t", Some("b"), 2), shown("u", Some("gone"), 2)];
        let [b, s, t, u] = lines.clone();
        assert_eq!(arranged(&lines), [s, t, b, u]);
    }

    #[test]
    fn of_a_slate_that_grew_the_longest_line_is_left() {
        let lines = [shown("s", None, 2), event("a"), shown("s", Some("a"), 3), shown("s", Some("a"), 5)];
        assert_eq!(arranged(&lines), [shown("s", None, 5), event("a")]);
        // A line that says no more, or something else, is another slate of a page that was loaded again.
        let lines = [shown("s", None, 3), shown("s", None, 2), shown("t", None, 1)];
        assert_eq!(arranged(&lines), lines);
    }
}
