//! Logs that pages export: slates with propensities, visitors' events, and arms of experiments. One file holds one
//! visitor's log.
//!
//! Invariant: every verb gets its logs from [`read`], so what one verb refuses every verb refuses.

mod dsjson;
mod ga4;
mod late;
mod line;
mod names;
mod obp;
mod parquet;
mod reader;
mod repeats;
mod rewards;

pub use self::parquet::parquet;
pub use dsjson::dsjson;
pub use ga4::ga4;
pub use obp::obp;
pub use reader::{Logs, read};
pub use rewards::Rewards;

pub(crate) use line::{MAX_SLOTS, probability};
pub(crate) use reader::{MAX_LINE, text};
pub(crate) use repeats::time;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foretaste::profile::{Event, Impression, LogLine};

/// One visitor's log.
#[derive(Debug, Clone, Default)]
pub struct VisitorLog {
    /// Names the visitor in tables: the part of the file's path that tells it from the other files.
    pub name: String,
    /// Lines in the order of the file, which is the order of time.
    pub lines: Vec<LogLine>,
    /// Where each line stands, for those that were read from a file.
    places: Vec<Option<Place>>,
}

/// Where a line stands.
#[derive(Debug, Clone)]
struct Place {
    file: Arc<str>,
    /// From 1.
    line: u32,
}

/// A slate and the events that answered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown<'a> {
    /// The slate.
    pub impression: &'a Impression,
    /// The events that answered each slot, by slot.
    pub answers: Vec<Vec<&'a Event>>,
}

impl VisitorLog {
    /// A log that does not come from a file.
    pub fn new(name: impl Into<String>, lines: Vec<LogLine>) -> VisitorLog {
        VisitorLog { name: name.into(), places: vec![None; lines.len()], lines }
    }

    /// Where a line stands, for errors: `FILE:LINE`; the visitor and the number of the line if it comes from no file.
    pub fn at(&self, line: usize) -> String {
        match self.places.get(line) {
            Some(Some(place)) => format!("{}:{}", place.file, place.line),
            _ => format!("visitor {}, line {}", self.name, line + 1),
        }
    }

    /// The slates, each with the events that answer it. An event answers the slate that it names. An event that names
    /// none answers the last slate that showed its item.
    pub fn shown(&self) -> Vec<Shown<'_>> {
        let slates = self.lines.iter().filter_map(|line| if let LogLine::Impression(slate) = line { Some(slate) } else { None });
        let mut all: Vec<Shown> =
            slates.map(|impression| Shown { impression, answers: vec![Vec::new(); impression.slots.len()] }).collect();
        for (event, answered) in self.answered() {
            answered.into_iter().for_each(|(slate, slot)| all[slate].answers[slot].push(event));
        }
        all
    }

    /// Number of events that name a slate, and how many of them answer none.
    pub fn answers(&self) -> (usize, usize) {
        let answers: Vec<_> = self.answered().into_iter().filter(|(event, _)| event.slate.is_some()).collect();
        (answers.len(), answers.iter().filter(|(_, answered)| answered.is_none()).count())
    }

    /// The events, each with the slate (its number) and the slot that it answers.
    fn answered(&self) -> Vec<(&Event, Option<(usize, usize)>)> {
        let (mut slates, mut events) = (0, Vec::new());
        let (mut by_name, mut last, mut slots) = (HashMap::new(), HashMap::new(), HashMap::new());
        for line in &self.lines {
            match line {
                LogLine::Impression(impression) => {
                    by_name.insert(impression.slate.as_str(), slates);
                    for (slot, shown) in impression.slots.iter().enumerate() {
                        last.insert(shown.item.as_str(), slates);
                        // An item that stands twice is answered where it stands first.
                        slots.entry((slates, shown.item.as_str())).or_insert(slot);
                    }
                    slates += 1;
                }
                LogLine::Event(event) => {
                    let item = event.item.as_str();
                    let slate = match &event.slate {
                        Some(name) => by_name.get(name.as_str()),
                        None => last.get(item),
                    };
                    let answered = slate.and_then(|slate| Some((*slate, *slots.get(&(*slate, item))?)));
                    events.push((event, answered));
                }
                LogLine::Assignment(_) => {}
            }
        }
        events
    }
}

/// The items of some logs, shown or answered, each once.
pub fn items(visitors: &[VisitorLog]) -> BTreeSet<&str> {
    let mut items = BTreeSet::new();
    for line in visitors.iter().flat_map(|visitor| &visitor.lines) {
        match line {
            LogLine::Impression(impression) => items.extend(impression.slots.iter().map(|slot| slot.item.as_str())),
            LogLine::Event(event) => _ = items.insert(event.item.as_str()),
            LogLine::Assignment(_) => {}
        }
    }
    items
}

/// The types of some answers, joined by `|`.
fn kinds(answers: &[&Event]) -> String {
    answers.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>().join("|")
}

/// Unix milliseconds as ISO 8601 in UTC; empty if the time is not known.
fn iso(time: Option<i64>) -> String {
    time.map(crate::time::iso).unwrap_or_default()
}
