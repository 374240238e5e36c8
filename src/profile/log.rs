//! The log of what was shown, what the visitor did, and which arms of experiments were given: append-only, bounded, one JSON object a line.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Assignment, Event};
use crate::bundle::short_hash;
use crate::features::Bag;
use crate::request::{Request, Slate};

/// A slate that was shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Impression {
    /// Always `impression`: tells the line from an event's.
    #[serde(rename = "type")]
    pub kind: String,
    /// Id of the slate.
    pub slate: String,
    /// Milliseconds UTC of the request, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Model id of the bundle.
    pub model: String,
    /// Policy name.
    pub policy: String,
    /// What was asked, with all knobs, the seed and the decision id: with the events before, it repeats the slate.
    #[serde(default)]
    pub request: Request,
    /// First 16 hexadecimal digits of the SHA-256 over the encoded context.
    pub context: String,
    /// The slots from the top.
    pub slots: Vec<Slot>,
}

impl Impression {
    /// The line of a slate; `context` is the encoded context of the request.
    pub(crate) fn of(slate: &Slate, request: Request, context: &Bag) -> Impression {
        // The weights bit by bit.
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
    /// Standard error of the propensity, where samples estimate it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
}

/// A line of the log. What has an `item` is an event, whatever its type; else the type tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum LogLine {
    /// What was shown.
    Impression(Box<Impression>),
    /// What the visitor did.
    Event(Event),
    /// Which arm of an experiment was given.
    Assignment(Assignment),
}

/// The last lines, in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct EventLog {
    lines: VecDeque<LogLine>,
    written: usize,
}

impl EventLog {
    /// Most lines that are kept; older ones leave first.
    pub const CAPACITY: usize = 20_000;

    /// Appends a line.
    pub fn push(&mut self, line: LogLine) {
        if self.lines.len() == Self::CAPACITY {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
        self.written += 1;
    }

    /// Lines that ever came, with those that have left.
    pub fn written(&self) -> usize {
        self.written
    }

    /// The kept lines but for the first `written` ones that ever came, oldest first.
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
    fn the_oldest_leave_and_the_new_ones_are_known() {
        let mut log = EventLog::default();
        let line = |n: usize| LogLine::Event(Event { item: n.to_string(), ..Event::default() });
        (0..EventLog::CAPACITY + 3).for_each(|n| log.push(line(n)));
        assert_eq!((log.lines().count(), log.written()), (EventLog::CAPACITY, EventLog::CAPACITY + 3));
        assert_eq!(log.lines().next(), Some(&line(3)));
        let since = |written| log.since(written).cloned().collect::<Vec<_>>();
        assert_eq!(since(log.written() - 2), [line(EventLog::CAPACITY + 1), line(EventLog::CAPACITY + 2)]);
        assert_eq!((since(log.written()).len(), since(0).len()), (0, EventLog::CAPACITY));
    }
}
