//! One line of an exported log: reading and checking it.

use std::ops::RangeInclusive;

use anyhow::{Context, Result, anyhow, bail, ensure};
use foretaste::profile::{Impression, LogLine, Profile};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

/// Most slots of a slate.
pub(crate) const MAX_SLOTS: usize = 1000;
/// Unix milliseconds of the years 1990 to 2200.
const TIMES: RangeInclusive<i64> = 631_152_000_000..=7_289_654_399_999;
/// Most bytes of a name.
const MAX_NAME: usize = 4096;

/// What says which kind of line a line is.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    item: Option<IgnoredAny>,
}

/// A line, and whether the time of an assignment was left out because it is not a time.
pub(super) struct Checked {
    pub line: LogLine,
    pub without_time: bool,
}

/// Reads one line of a log and checks it.
///
/// # Errors
/// A text that is not a line of a log; a propensity outside 0 < p ≤ 1; a time outside the years 1990 to 2200; more than
/// [`MAX_SLOTS`] slots; a name that is empty or too long.
pub(super) fn read(text: &str) -> Result<Checked> {
    let mut line = parse(text).context("not a line of an exported log")?;
    let without_time = check(&mut line)?;
    Ok(Checked { line, without_time })
}

/// The kind of line is decided first, so that an error names the faulty field: an untagged enum would only say that no
/// variant matched.
fn parse(text: &str) -> Result<LogLine> {
    ensure!(text.trim_start().starts_with('{'), "expected one JSON object on each line");
    let kind: Kind = json(text)?;
    match kind.kind.as_deref() {
        Some("impression") if kind.item.is_none() => json(text).map(LogLine::Impression),
        Some("assignment") if kind.item.is_none() => json(text).map(LogLine::Assignment),
        _ => json(text).map(LogLine::Event),
    }
}

/// Reads JSON. The error says the column; the line, which is always 1 here, is left out.
fn json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| {
        let full = error.to_string();
        let says = full.rsplit_once(" at line ").map_or(full.as_str(), |(says, _)| says);
        anyhow!("{says} (column {})", error.column())
    })
}

/// Checks a line. Returns whether the time of an assignment was left out.
fn check(line: &mut LogLine) -> Result<bool> {
    match line {
        LogLine::Impression(impression) => {
            slate(impression)?;
            [impression.time, impression.request.time].into_iter().flatten().try_for_each(time)?;
        }
        LogLine::Event(event) => {
            event.time.map_or(Ok(()), time)?;
            // The profile's own check: the event must be one that can be replayed.
            Profile::new(1).record(event.clone())?;
        }
        LogLine::Assignment(given) => {
            for (part, text) in [("experiment", &given.experiment), ("arm", &given.arm), ("unit", &given.unit)] {
                name(part, text)?;
            }
            // The order of the lines says when the unit was assigned, so a made-up time such as 1 does no harm.
            if let Some(Err(fault)) = given.time.map(time) {
                ensure!(unit(given.time.unwrap_or_default()).is_none(), fault);
                given.time = None;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn slate(impression: &Impression) -> Result<()> {
    name("slate", &impression.slate)?;
    let slots = impression.slots.len();
    ensure!(slots <= MAX_SLOTS, "slate `{}` has {slots} slots; a slate has at most {MAX_SLOTS}", impression.slate);
    for (place, slot) in impression.slots.iter().enumerate() {
        let at = || format!("slate `{}`, slot {place}", impression.slate);
        name("item", &slot.item).with_context(at)?;
        probability(slot.propensity).with_context(at)?;
    }
    Ok(())
}

/// Checks a propensity of a log or of a table.
///
/// # Errors
/// A number outside 0 < p ≤ 1, or so small that 1 / p is not finite.
pub(crate) fn probability(p: f64) -> Result<()> {
    if (f64::MIN_POSITIVE..=1.0).contains(&p) {
        return Ok(());
    }
    let why = match p {
        p if p > 1.0 && p <= 100.0 => ": it looks like per cent, so divide it by 100",
        _ => ": without it nothing can be said of another policy",
    };
    bail!("propensity: expected 0 < p <= 1, got {p:?}{why}")
}

fn time(ms: i64) -> Result<()> {
    if TIMES.contains(&ms) {
        return Ok(());
    }
    let why = unit(ms).map_or_else(String::new, |(unit, way)| format!("; it looks like {unit}, so {way}"));
    bail!("time {ms}: expected Unix milliseconds of the years 1990 to 2200{why}")
}

/// The unit in which a number would be a time of the years 1990 to 2200, and how it becomes milliseconds.
fn unit(time: i64) -> Option<(&'static str, &'static str)> {
    let fits = |ms: Option<i64>| ms.is_some_and(|ms| TIMES.contains(&ms));
    let units = [
        (time.checked_mul(1000), ("seconds", "multiply it by 1,000")),
        (Some(time / 1000), ("microseconds", "divide it by 1,000")),
        (Some(time / 1_000_000), ("nanoseconds", "divide it by 1,000,000")),
    ];
    units.into_iter().find(|(ms, _)| fits(*ms)).map(|(_, found)| found)
}

fn name(part: &str, text: &str) -> Result<()> {
    ensure!((1..=MAX_NAME).contains(&text.len()), "{part}: expected 1 to {MAX_NAME} bytes, got {}", text.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(propensity: &str, time: &str) -> String {
        format!(
            r#"{{"type":"impression","slate":"s","time":{time},"model":"m","policy":"p","context":"c","slots":[{{"item":"1","score":1,"propensity":1}},{{"item":"2","score":1,"propensity":{propensity}}}]}}"#
        )
    }

    fn event(time: &str) -> String {
        format!(r#"{{"item":"1","type":"view","time":{time}}}"#)
    }

    fn assigned(time: &str) -> String {
        format!(r#"{{"type":"assignment","experiment":"e","arm":"a","unit":"u","time":{time}}}"#)
    }

    fn fault(text: &str) -> String {
        read(text).err().map_or_else(String::new, |error| format!("{error:#}"))
    }

    const NOW: &str = "1735700000000";

    #[test]
    fn propensities_are_probabilities() {
        for p in ["1", "0.5", "1e-300"] {
            assert_eq!(fault(&shown(p, NOW)), "", "{p}");
        }
        for p in ["0", "-0.5", "-1e-300", "5e-324", "1.0000001", "1e300", "null", "\"0.5\""] {
            let fault = fault(&shown(p, NOW));
            assert!(fault.contains("slot 1") || fault.contains("not a line of an exported log"), "{p}: {fault}");
        }
        assert!(
            fault(&shown("50", NOW))
                .contains("slate `s`, slot 1: propensity: expected 0 < p <= 1, got 50.0: it looks like per cent")
        );
    }

    #[test]
    fn a_time_in_another_unit_is_told() {
        for ok in ["631152000000", NOW, "7289654399999"] {
            assert_eq!(fault(&event(ok)), "", "{ok}");
        }
        let says = |time: &str| [event(time), shown("1", time)].map(|text| fault(&text));
        for (time, unit) in [
            ("1735700000", "looks like seconds, so multiply it by 1,000"),
            ("1735700000000000", "looks like microseconds, so divide it by 1,000"),
            ("1735700000000000000", "looks like nanoseconds, so divide it by 1,000,000"),
        ] {
            assert!(says(time).iter().all(|says| says.contains(unit)), "{:?}", says(time));
            assert!(fault(&assigned(time)).contains(unit));
        }
        for time in ["0", "1", "-5", "631151999999", "7289654400000", "9223372036854775807", "-9223372036854775808"] {
            assert!(says(time).iter().all(|says| says.contains("expected Unix milliseconds")), "{:?}", says(time));
        }
    }

    #[test]
    fn a_made_up_time_of_an_assignment_is_left_out() {
        let read = |time: &str| read(&assigned(time)).unwrap();
        for (given, kept, without_time) in [("1", None, true), (NOW, Some(1_735_700_000_000), false)] {
            let Checked { line: LogLine::Assignment(line), without_time: left_out } = read(given) else { panic!() };
            assert_eq!((line.time, left_out), (kept, without_time));
        }
    }

    #[test]
    fn faults_name_the_field() {
        let long = "x".repeat(MAX_NAME + 1);
        let slots = vec![r#"{"item":"1","score":1,"propensity":1}"#; MAX_SLOTS + 1].join(",");
        let many = format!(r#"{{"type":"impression","slate":"s","model":"m","policy":"p","context":"c","slots":[{slots}]}}"#);
        for (text, says) in [
            (r#"{"item":"","type":"view"}"#.to_owned(), "event.item: expected 1 to 4096 bytes, got 0"),
            (r#"{"item":"1","type":""}"#.to_owned(), "event.type: expected 1 to 4096 bytes, got 0"),
            (format!(r#"{{"item":"{long}","type":"view"}}"#), "event.item: expected 1 to 4096 bytes, got 4097"),
            (r#"{"item":"1"}"#.to_owned(), "missing field `type`"),
            (r#"{"item":"1","type":"view","shoe":1}"#.to_owned(), "unknown field `shoe`"),
            (r#"["1","view"]"#.to_owned(), "expected one JSON object on each line"),
            ("\0".to_owned(), "expected one JSON object on each line"),
            (assigned(NOW).replace("\"u\"", "\"\""), "unit: expected 1 to 4096 bytes"),
            (shown("1", NOW).replace("\"s\"", "\"\""), "slate: expected 1 to 4096 bytes"),
            (shown("1", NOW).replace("\"score\":1", "\"score\":1e300"), "number out of range"),
            (many, "slate `s` has 1001 slots; a slate has at most 1000"),
        ] {
            assert!(fault(&text).contains(says), "{says}: {}", fault(&text));
        }
    }
}
