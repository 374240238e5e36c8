//! Training examples. An example is a window of one visitor's history; each prefix of the window is a request, and the
//! items that follow it are the targets.

use std::collections::{BTreeSet, HashSet};

use anyhow::Result;
use foretaste::features::{Bag, ColumnEncoding, Encoding, Fields, History, Value};

use super::row_events::RowEvents;
use super::{Config, Ratings};
use crate::data::{Dataset, LongVec, context_of};
use crate::losses::softmax::Target;
use crate::losses::squared_error::Rated;
use crate::ops::dropout::Dropout;
use crate::ops::event::EventIndex;
use crate::protocols::Sequence;
use crate::random::{mix, unit};
use crate::towers::{CatalogRows, SlotScale, UserInput, event_indices};

/// The encoded histories of all users in the training data.
pub struct Visitors {
    events: LongVec<HistoryEvent>,
    /// For each visitor, the index in `events` after the last event.
    ends: Vec<usize>,
    fields: Vec<Fields>,
    requests: Vec<Vec<Fields>>,
    scale: SlotScale,
}

/// One encoded event, with everything that training needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct HistoryEvent {
    /// The encoded event; its item is a catalog row.
    index: EventIndex,
    /// Whether this is the visitor's first event with its item.
    first: bool,
    /// The weight of the event's type, which sets its share of a target; 0 if it is no target.
    weight: f32,
    /// Factor on the share: the sequence's correction for how likely the item was to be shown.
    correction: f32,
    /// The rating minus the mean, divided by the standard deviation.
    rating: Option<f32>,
    /// Milliseconds UTC.
    time: Option<i64>,
}

/// One user's history.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// The events, oldest first.
    events: &'a [HistoryEvent],
    /// Columns of the users table.
    fields: &'a Fields,
    /// The declared context of each event; empty if the data has no context.
    requests: &'a [Fields],
    /// The scale of the context's slots.
    scale: &'a SlotScale,
}

/// Part of a visitor's history: `len` events from `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Index of the visitor.
    pub visitor: usize,
    /// Index of the first event.
    pub start: usize,
    /// Number of events. The last one is only a target.
    pub len: usize,
}

/// The training example of a window, with one context and one target for each prefix `first..=events.len()`.
pub struct Example {
    /// The history, oldest first. An event's item is its index among the candidates.
    pub events: Vec<EventIndex>,
    /// Number of events in the shortest prefix. It is 0 if the window starts with the visitor's first event, so that
    /// the empty history is a request too.
    pub first: usize,
    /// The encoded context of each request.
    pub contexts: Vec<Bag>,
    /// The target of each request.
    pub targets: Vec<Target>,
    /// The ratings to predict for each request.
    pub ratings: Vec<Vec<Rated>>,
}

impl Example {
    /// The input of the user tower. `rows` are the rows of the candidates.
    pub fn input<'a>(&'a self, rows: &'a CatalogRows) -> UserInput<'a, f32> {
        UserInput { events: &self.events, vectors: rows.read(), first: self.first, contexts: &self.contexts }
    }
}

impl Visitors {
    /// Encodes the sequences. Leaves out those with fewer than two usable events, which have no event to predict.
    /// `scale` is that of the context's slots.
    ///
    /// # Errors
    /// If the events do not fit in memory and the disk is full.
    pub fn of(
        data: &Dataset,
        sequences: &[Sequence],
        encoding: &Encoding,
        scale: &SlotScale,
        ratings: Option<&Ratings>,
    ) -> Result<Visitors> {
        let spec = &encoding.history;
        let rows = RowEvents::new(data, spec);
        let events = LongVec::new(data.events.most());
        let mut out = Visitors { events, ends: vec![], fields: vec![], requests: vec![], scale: scale.clone() };
        for sequence in sequences {
            let events = rows.of(&sequence.events);
            // Every event is encoded, however long the history.
            let kept = spec.kept(&events, usize::MAX);
            if kept.len() < 2 {
                continue;
            }
            let indices = event_indices(&spec.encode(&events, &kept, usize::MAX));
            let mut seen = HashSet::new();
            for (index, place) in indices.into_iter().zip(&kept).rev() {
                let event = &events[*place];
                out.events.push(HistoryEvent {
                    index,
                    first: seen.insert(index.item),
                    weight: spec.declared(event.kind).filter(|t| t.positive).map_or(0.0, |t| t.weight),
                    correction: sequence.events[*place].weight,
                    rating: ratings.and_then(|ratings| Some(ratings.scaled(event.value?))),
                    time: event.time,
                })?;
            }
            out.ends.push(out.events.len());
            out.fields.push(context_of(data, sequence.user as usize, encoding));
            out.requests.push(requests(data, sequence, encoding, &kept));
        }
        out.events.read_anywhere();
        Ok(out)
    }

    /// The number of visitors.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The visitor with index `visitor`.
    pub fn get(&self, visitor: usize) -> Visitor<'_> {
        let start = if visitor == 0 { 0 } else { self.ends[visitor - 1] };
        let events = &self.events[start..self.ends[visitor]];
        Visitor { events, fields: &self.fields[visitor], requests: &self.requests[visitor], scale: &self.scale }
    }
}

/// The declared context of the kept events, oldest first. `kept` are their indices in the sequence, newest first. The
/// context table has a row for every event of the user, also for events outside the sequence, so each event is searched
/// for among these rows in order.
fn requests(data: &Dataset, sequence: &Sequence, encoding: &Encoding, kept: &[usize]) -> Vec<Fields> {
    let columns: Vec<_> =
        data.context_table.columns.iter().filter(|c| encoding.context.iter().any(|e| e.name == c.name)).collect();
    if columns.is_empty() {
        return Vec::new();
    }
    let mut at = data.offsets[sequence.user as usize];
    let fields = |place: &usize| {
        let event = &sequence.events[*place];
        while (data.events[at].item, data.events[at].time) != (event.item, event.time) {
            at += 1;
        }
        at += 1;
        let present = columns.iter().filter(|c| c.values[at - 1] != Value::Missing);
        present.map(|c| (c.name.clone(), c.values[at - 1].clone())).collect()
    };
    kept.iter().rev().map(fields).collect()
}

impl Visitor<'_> {
    /// Returns a window of at most `most` events; `draw` decides where it starts.
    pub fn window(&self, visitor: usize, most: usize, draw: u64) -> Window {
        let len = self.events.len().min(most);
        Window { visitor, start: (draw % (self.events.len() - len + 1) as u64) as usize, len }
    }

    /// The catalog rows of all items in the window and in the `horizon` events after it.
    pub fn rows(self, window: Window, horizon: usize) -> impl Iterator<Item = u32> {
        let end = (window.start + window.len + horizon).min(self.events.len());
        self.events[window.start..end].iter().map(|e| e.index.item)
    }

    /// Makes the training example of a window. `place[row]` is the item's index among the candidates, or `u32::MAX` if
    /// it is not one of them. `seed` decides which fields are dropped and which events are hidden.
    pub fn example(&self, window: Window, place: &[u32], encoding: &Encoding, config: &Config, seed: u64) -> Example {
        let missing = |what: u64| unit(mix(seed, what)) < config.missing;
        let (no_values, no_times) = (missing(0), missing(1));
        let Window { start, len, .. } = window;
        let event = |e: &EventIndex| EventIndex {
            item: place[e.item as usize],
            value: if no_values { 0 } else { e.value },
            gap: if no_times { 0 } else { e.gap },
            run: if no_times { 0 } else { e.run },
            ..*e
        };
        let dropped: Vec<&ColumnEncoding> =
            encoding.context.iter().enumerate().filter(|(i, _)| missing(2 + *i as u64)).map(|(_, c)| c).collect();
        if config.held_out > 0.0 {
            let hidden = Dropout { rate: config.held_out, seed: mix(seed, u64::MAX) };
            let (hidden, kept): (Vec<usize>, Vec<usize>) = (start..start + len).partition(|at| hidden.drops(*at as u64));
            let context = self.context(0, kept.last().map_or(start, |at| at + 1), &dropped, encoding, kept.len());
            return Example {
                events: self.thinned(&kept, &encoding.history).iter().map(event).collect(),
                first: kept.len(),
                contexts: vec![context],
                targets: vec![self.hidden_target(&hidden, place)],
                ratings: vec![hidden.iter().filter_map(|at| self.rated(*at, place)).collect()],
            };
        }
        let first = usize::from(start > 0);
        let prefixes = first..len;
        Example {
            events: self.events[start..start + len - 1].iter().map(|e| event(&e.index)).collect(),
            first,
            contexts: prefixes.clone().map(|p| self.context(start, p, &dropped, encoding, p)).collect(),
            targets: prefixes.clone().map(|p| self.target(start + p, place, config)).collect(),
            ratings: prefixes.map(|p| self.rated(start + p, place).into_iter().collect()).collect(),
        }
    }

    /// The rating of event `at`.
    fn rated(&self, at: usize, place: &[u32]) -> Option<Rated> {
        Some((place[self.events[at].index.item as usize], self.events[at].rating?))
    }

    /// Encodes the kept events as if there were no others: gaps and runs are computed between neighbours in `kept`.
    fn thinned(&self, kept: &[usize], spec: &History) -> Vec<EventIndex> {
        let second = |at: usize| self.events[at].time.map(|t| t.div_euclid(1000));
        let mut run = 0;
        let event = |(i, at): (usize, &usize)| {
            let before = i.checked_sub(1).map(|i| kept[i]);
            let same = before.is_some_and(|b| second(b).is_some() && second(b) == second(*at));
            run = if same { (run + 1).min(spec.run_buckets - 1) } else { 0 };
            let gap = spec.gap_bucket(before.and_then(|b| self.events[b].time), self.events[*at].time);
            EventIndex { gap: gap as u16, run: run as u16, ..self.events[*at].index }
        };
        kept.iter().enumerate().map(event).collect()
    }

    /// The target of an example with hidden events: their items by weight, without items that are also in a visible
    /// event.
    fn hidden_target(&self, hidden: &[usize], place: &[u32]) -> Target {
        let others = (0..self.events.len()).filter(|at| hidden.binary_search(at).is_err());
        let known: BTreeSet<u32> = others.map(|at| self.events[at].index.item).collect();
        let new = hidden.iter().map(|at| &self.events[*at]).filter(|e| e.weight > 0.0 && !known.contains(&e.index.item));
        let wanted = new.map(|e| (place[e.index.item as usize], e.weight * e.correction)).collect();
        let masked = known.iter().map(|item| place[*item as usize]).filter(|p| *p != u32::MAX).collect();
        Target { wanted, masked }
    }

    /// The encoded context of the request after `prefix` events from `start` on. The request has the time of the last
    /// of these events, as in the protocols.
    fn context(&self, start: usize, prefix: usize, dropped: &[&ColumnEncoding], encoding: &Encoding, known: usize) -> Bag {
        let at = start + prefix;
        let mut fields = self.fields.clone();
        if let Some(request) = self.requests.get(at) {
            fields.extend(request.clone());
        }
        fields.extend(dropped.iter().map(|c| (c.name.clone(), Value::Missing)));
        let time = self.events[at.saturating_sub(1)].time;
        let mut bag = encoding.encode_context(&fields, time, 0, known).expect("fields are those of the encoding");
        self.scale.apply(&mut bag);
        bag
    }

    /// The target of the request before event `at`. The next target gets `next_weight`; the rest is spread over the
    /// targets within the horizon, each `horizon_decay` times the one before.
    fn target(&self, at: usize, place: &[u32], config: &Config) -> Target {
        let before = self.events[..at].iter().filter(|e| e.first);
        let masked = before.map(|e| place[e.index.item as usize]).filter(|p| *p != u32::MAX).collect();
        let ahead = || self.events[at..].iter().filter(|e| e.weight > 0.0).take(config.horizon);
        let mut decayed = 1.0;
        let mut wanted: Vec<(u32, f32)> = ahead()
            .map(|e| {
                let share = decayed * e.weight;
                decayed *= config.horizon_decay as f32;
                (place[e.index.item as usize], share)
            })
            .collect();
        let sum: f32 = wanted.iter().map(|(_, w)| w).sum();
        let next = config.next_weight as f32;
        for (i, ((_, weight), event)) in wanted.iter_mut().zip(ahead()).enumerate() {
            *weight = event.correction * ((1.0 - next) * *weight / sum + if i == 0 { next } else { 0.0 });
        }
        Target { wanted, masked }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use super::*;

    fn events(items: &[u32]) -> Vec<HistoryEvent> {
        let mut seen = HashSet::new();
        let event = |item: &u32| HistoryEvent {
            index: EventIndex { item: *item, value: 1, gap: 1, ..EventIndex::default() },
            first: seen.insert(*item),
            weight: 1.0,
            correction: 1.0,
            rating: None,
            time: Some(0),
        };
        items.iter().map(event).collect()
    }

    fn visitor(events: &[HistoryEvent]) -> Visitor<'_> {
        static NONE: Fields = Fields::new();
        static UNSCALED: LazyLock<SlotScale> = LazyLock::new(SlotScale::default);
        Visitor { events, fields: &NONE, requests: &[], scale: &UNSCALED }
    }

    #[test]
    fn targets_look_ahead_and_mask_the_past() {
        let config = Config { horizon: 2, horizon_decay: 0.5, next_weight: 0.4, ..Config::default() };
        let place = [10, 11, 12, u32::MAX];
        let target = visitor(&events(&[0, 3, 0, 1, 2])).target(2, &place, &config);
        assert_eq!(target.masked, [10]);
        assert_eq!(target.wanted, [(10, 0.6 / 1.5 + 0.4), (11, 0.6 * 0.5 / 1.5)]);
        assert!(visitor(&events(&[0])).target(1, &place, &config).wanted.is_empty());
        let mut corrected = events(&[0, 3, 0, 1, 2]);
        corrected[3].correction = 2.0;
        let target = visitor(&corrected).target(2, &place, &config);
        assert_eq!(target.wanted, [(10, 0.6 / 1.5 + 0.4), (11, 2.0 * (0.6 * 0.5 / 1.5))], "what is rarely shown counts for more");
    }

    #[test]
    fn hidden_events_are_found_from_the_others() {
        let spec = History { len: 9, cap: 9, types: vec![], value_edges: vec![], gap_buckets: 4, run_buckets: 3 };
        let encoding = Encoding { history: spec, items: vec![], context: vec![] };
        let mut events = events(&[0, 1, 2, 3, 0, 4]);
        events[4..].iter_mut().for_each(|event| event.time = Some(9_000));
        events[2].rating = Some(0.5);
        let visitor = visitor(&events);
        let place = [10, 11, 12, 13, 14];
        let config = Config { held_out: 0.5, missing: 0.0, ..Config::default() };
        let mut hidden = 0;
        for seed in 0..200 {
            let example = visitor.example(Window { visitor: 0, start: 0, len: 6 }, &place, &encoding, &config, seed);
            let known: BTreeSet<u32> = example.events.iter().map(|e| e.item).collect();
            let wanted: BTreeSet<u32> = example.targets[0].wanted.iter().map(|(p, _)| *p).collect();
            assert!(known.is_disjoint(&wanted) && known.len() + wanted.len() == 5, "{known:?} {wanted:?}");
            assert_eq!(example.targets[0].masked, known.into_iter().collect::<Vec<_>>());
            assert_eq!(example.ratings[0], if wanted.contains(&12) { vec![(12, 0.5)] } else { vec![] });
            assert_eq!((example.first, example.contexts.len()), (example.events.len(), 1));
            hidden += 6 - example.events.len();
        }
        assert!((500..700).contains(&hidden), "{hidden}");
        let events = visitor.thinned(&[0, 2, 3, 4], &encoding.history);
        assert_eq!(events.iter().map(|e| (e.gap, e.run)).collect::<Vec<_>>(), [(0, 0), (1, 1), (1, 2), (3, 0)]);
    }

    #[test]
    fn windows_stay_inside_and_begin_anywhere() {
        let events = events(&[0, 1, 2, 0, 1]);
        let visitor = visitor(&events);
        let starts: BTreeSet<usize> = (0..50).map(|draw| visitor.window(0, 3, draw).start).collect();
        assert_eq!(starts, BTreeSet::from([0, 1, 2]));
        assert_eq!(visitor.window(0, 9, 7), Window { visitor: 0, start: 0, len: 5 });
        let window = Window { visitor: 0, start: 1, len: 2 };
        assert_eq!(visitor.rows(window, 1).collect::<Vec<_>>(), [1, 2, 0]);
    }
}
