//! Logs that pages export: slates with propensities, visitors' events, and arms of experiments. One file holds one
//! visitor's log.

mod dsjson;
mod ga4;
mod obp;
mod parquet;
mod rewards;

pub use self::parquet::parquet;
pub use dsjson::dsjson;
pub use ga4::ga4;
pub use obp::obp;
pub use rewards::Rewards;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use foretaste::profile::{Event, Impression, LogLine};

/// One visitor's log.
#[derive(Debug, Clone, Default)]
pub struct VisitorLog {
    /// The file's name without its extension. It names the visitor in tables.
    pub name: String,
    /// Lines in the order of the file, which is the order of time.
    pub lines: Vec<LogLine>,
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
    /// Reads an exported log (JSON lines). Empty lines are skipped.
    ///
    /// # Errors
    /// A file that cannot be read, or a line that is not a line of a log, with its number.
    pub fn read(path: &Path) -> Result<VisitorLog> {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let line = |(i, line): (usize, &str)| {
            let at = || format!("{}:{}: not a line of an exported log", path.display(), i + 1);
            let value: serde_json::Value = serde_json::from_str(line).with_context(at)?;
            // The kind of line is decided here, so that the error names the faulty field. An untagged enum would only
            // say that no variant matched.
            let line = match value["type"].as_str() {
                Some("impression") if value.get("item").is_none() => serde_json::from_value(value).map(LogLine::Impression),
                Some("assignment") if value.get("item").is_none() => serde_json::from_value(value).map(LogLine::Assignment),
                _ => serde_json::from_value(value).map(LogLine::Event),
            };
            line.with_context(at)
        };
        Ok(VisitorLog { name, lines: lines.map(line).collect::<Result<_>>()? })
    }

    /// The slates, each with the events that answer it. An event answers the slate that it names. An event that names
    /// none answers the last slate that showed its item.
    pub fn shown(&self) -> Vec<Shown<'_>> {
        let mut all: Vec<Shown> = Vec::new();
        let (mut by_name, mut last) = (BTreeMap::new(), BTreeMap::new());
        for line in &self.lines {
            match line {
                LogLine::Impression(impression) => {
                    by_name.insert(impression.slate.as_str(), all.len());
                    impression.slots.iter().for_each(|slot| _ = last.insert(slot.item.as_str(), all.len()));
                    all.push(Shown { impression, answers: vec![Vec::new(); impression.slots.len()] });
                }
                LogLine::Event(event) => {
                    let slate = match &event.slate {
                        Some(name) => by_name.get(name.as_str()),
                        None => last.get(event.item.as_str()),
                    };
                    let Some(shown) = slate.map(|at| &mut all[*at]) else { continue };
                    let slot = shown.impression.slots.iter().position(|slot| slot.item == event.item);
                    slot.into_iter().for_each(|slot| shown.answers[slot].push(event));
                }
                LogLine::Assignment(_) => {}
            }
        }
        all
    }
}

/// The types of some answers, joined by `|`.
fn kinds(answers: &[&Event]) -> String {
    answers.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>().join("|")
}

/// Unix milliseconds as ISO 8601 in UTC; empty if the time is not known.
fn iso(time: Option<i64>) -> String {
    time.map(crate::time::iso).unwrap_or_default()
}
