//! The order of the events: by user, then time, then item.

use std::collections::HashSet;

use anyhow::Result;

use super::events::Line;
use crate::data::{DatasetEvent, LongVec};

/// Most temporary files among which the lines of the users are distributed.
const MOST_PARTS: usize = 64;

/// The events of all users in the order of [`Dataset::events`](crate::data::Dataset::events).
pub(super) struct Ordered {
    pub events: LongVec<DatasetEvent>,
    /// Where the events of each user start, and the number of all: `[users + 1]`.
    pub offsets: Vec<usize>,
    /// The row of the file that each event comes from; empty if it was not asked for.
    pub rows: Vec<Option<u32>>,
    /// How many rows were left out because they repeat another one exactly.
    pub repeated: u64,
}

/// Sorts the events by user, then time, then item; without times by user, then file order. Exact repeats of a row are
/// dropped.
///
/// Lines that exceed the memory limit are first distributed to temporary files, each with the lines of some users, so
/// that every file is written and read from start to end.
///
/// # Errors
/// A temporary file that cannot be written.
pub(super) fn ordered(lines: LongVec<Line>, users: usize, with_rows: bool) -> Result<Ordered> {
    let most = lines.most();
    let mut counts = vec![0; users];
    lines.iter().for_each(|line| counts[line.event.user as usize] += 1);
    let in_part = (most / size_of::<Line>()).max(lines.len() / MOST_PARTS + 1);
    let (mut part_of, mut part, mut len) = (Vec::new(), 0, 0);
    for count in counts {
        if len > 0 && len + count > in_part {
            (part, len) = (part + 1, 0);
        }
        len += count;
        part_of.push(part);
    }
    let mut parts: Vec<LongVec<Line>> = (0..=part).map(|_| LongVec::new(if part == 0 { most } else { 0 })).collect();
    lines.iter().try_for_each(|line| parts[part_of[line.event.user as usize]].push(*line))?;
    drop(lines);
    let timed = parts[0][0].event.time.is_some();
    let mut out = Ordered { events: LongVec::new(most), offsets: vec![0], rows: Vec::new(), repeated: 0 };
    for mut part in parts {
        part.sort_by_key(|line| line.event.user);
        for lines in part.chunk_by(|a, b| a.event.user == b.event.user) {
            let mut seen = HashSet::new();
            let mut once: Vec<Line> = lines.iter().filter(|line| seen.insert(line.print)).copied().collect();
            out.repeated += (lines.len() - once.len()) as u64;
            once.sort_by_key(|line| (line.event.time, if timed { line.event.item } else { 0 }));
            once.iter().try_for_each(|line| out.events.push(line.event))?;
            out.rows.extend(once.iter().filter(|_| with_rows).map(|line| Some(line.row)));
            out.offsets.push(out.events.len());
        }
    }
    Ok(out)
}
