//! The log: slates shown, events, and assignments of experiments, one JSON object a line. Lines are only appended, and
//! the oldest leave a full log.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Assignment, Event};
use crate::bundle::short_hash;
use crate::features::Bag;
use crate::request::{Request, Slate};

/// A slate that was shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Impression {
    /// Always `impression`: tells this line from others.
    #[serde(rename = "type")]
    pub kind: String,
    /// Id of the slate.
    pub slate: String,
    /// Milliseconds UTC of the request, if it gave a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Model id of the bundle.
    pub model: String,
    /// Policy name.
    pub policy: String,
    /// The request with all knobs, the seed and the decision id. Together with the events before, it repeats the slate.
    #[serde(default)]
    pub request: Request,
    /// First 16 hexadecimal digits of the SHA-256 over the encoded context.
    pub context: String,
    /// Id of the first event after the slate was drawn. A page that waits until the visitor sees a slate writes this
    /// line later than that event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The slots from the top; those that the visitor has seen, where the page waits for that.
    pub slots: Vec<Slot>,
}

impl Impression {
    /// The line of a slate; `context` is the encoded context of the request.
    pub(crate) fn of(slate: &Slate, request: Request, context: &Bag) -> Impression {
        // Weights as bits, so that different floats never hash alike.
        let context: String = context.iter().map(|(slot, weight)| format!("{slot}:{} ", weight.to_bits())).collect();
        let slots = slate.items.iter().map(|item| Slot {
            item: item.id.clone(),
            score: item.score,
            propensity: item.propensity.unwrap_or_default(),
            standard_error: item.standard_error,
        });
        Impression {
            kind: "impression".into(),
            slate: slate.id.clone(),
            time: request.time,
            model: slate.model.clone(),
            policy: slate.policy.clone(),
            context: short_hash(&context),
            before: None,
            slots: slots.collect(),
            request,
        }
    }
}

/// One slot of a shown slate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Item id.
    pub item: String,
    /// Score, in logits.
    pub score: f32,
    /// P(item in this slot | the slots before), under the policy.
    pub propensity: f64,
    /// Standard error of the propensity, if samples estimated it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
}

/// A line of the log. A line with an `item` is an event, whatever its type; other lines say what they are by their
/// type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LogLine {
    /// A slate that was shown.
    Impression(Box<Impression>),
    /// An event.
    Event(Event),
    /// The arm that a unit got in an experiment.
    Assignment(Assignment),
}

/// The last lines, in the order in which they were appended.
#[derive(Debug, Clone, Default)]
pub struct EventLog {
    lines: VecDeque<LogLine>,
    written: usize,
}

impl EventLog {
    /// The most lines that are kept. The oldest leave first.
    pub const CAPACITY: usize = 20_000;

    /// Appends a line.
    pub fn push(&mut self, line: LogLine) {
        if self.lines.len() == Self::CAPACITY {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        self.written += 1;
    }

    /// Removes the last line.
    pub fn take_back(&mut self) {
        self.written -= usize::from(self.lines.pop_back().is_some());
    }

    /// Number of lines ever appended, with those that have left.
    pub fn written(&self) -> usize {
        self.written
    }

    /// The kept lines, oldest first, without the first `written` ever appended.
    pub fn since(&self, written: usize) -> impl Iterator<Item = &LogLine> {
        let left = self.written - self.lines.len();
        self.lines.iter().skip(written.saturating_sub(left))
    }

    /// The lines, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &LogLine> {
        self.lines.iter().rev()
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &LogLine> {
        self.lines.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_leave_and_new_ones_are_told_apart() {
        let mut log = EventLog::default();
        let line = |n: usize| LogLine::Event(Event { item: n.to_string(), ..Event::default() });
        (0..EventLog::CAPACITY + 3).for_each(|n| log.push(line(n)));
        assert_eq!((log.lines().count(), log.written()), (EventLog::CAPACITY, EventLog::CAPACITY + 3));
        assert_eq!(log.lines().next(), Some(&line(3)));
        let since = |written| log.since(written).cloned().collect::<Vec<_>>();
        assert_eq!(since(log.written() - 2), [line(EventLog::CAPACITY + 1), line(EventLog::CAPACITY + 2)]);
        assert_eq!((since(log.written()).len(), since(0).len()), (0, EventLog::CAPACITY));
        let written = log.written();
        log.take_back();
        assert_eq!((log.lines().last(), log.written()), (Some(&line(EventLog::CAPACITY + 1)), written - 1));
    }
}
