//! Lines that were delivered twice, and exports that overlap.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hasher;

use foretaste::profile::LogLine;

use super::VisitorLog;

/// Most logs that may begin with the same line for that line to tell whose an export is.
const MOST_ALIKE: usize = 16;

/// What is left when each line counts once.
pub(super) struct Distinct {
    /// One log for each visitor, in the order of their first exports.
    pub visitors: Vec<VisitorLog>,
    /// Number of lines that were left out.
    pub repeated: usize,
    /// Pairs of names: the export that was joined, and the visitor it was joined with.
    pub joined: Vec<[String; 2]>,
}

/// Counts each line of a visitor once, and joins the exports of one visitor: those of the same name, and those that
/// overlap. Events get an id of their own where they have none or that of an earlier, different event.
pub(super) fn distinct(logs: Vec<VisitorLog>) -> Distinct {
    let lines = |logs: &[VisitorLog]| logs.iter().map(|log| log.lines.len()).sum::<usize>();
    let before = lines(&logs);
    let exports: Vec<Export> = logs.into_iter().map(Export::new).collect();
    let whose = whose(&exports);
    let mut visitors: BTreeMap<usize, Vec<Export>> = BTreeMap::new();
    whose.iter().zip(exports).for_each(|(visitor, export)| visitors.entry(*visitor).or_default().push(export));
    let mut joined = Vec::new();
    let mut join = |mut exports: Vec<Export>| {
        let name = exports[0].log.name.clone();
        joined.extend(exports[1..].iter().map(|export| [export.log.name.clone(), name.clone()]));
        exports.sort_by_key(|export| export.log.lines.iter().find_map(time));
        let mut known = HashSet::new();
        let mut whole = Export::default();
        exports.into_iter().for_each(|export| whole.take(export, &mut known));
        let mut log = VisitorLog { name, ..whole.log };
        name_events(&mut log);
        log
    };
    let visitors: Vec<VisitorLog> = visitors.into_values().map(&mut join).collect();
    Distinct { repeated: before - lines(&visitors), visitors, joined }
}

/// The time of a line, where it has one.
pub(crate) fn time(line: &LogLine) -> Option<i64> {
    match line {
        LogLine::Impression(impression) => impression.time,
        LogLine::Event(event) => event.time,
        LogLine::Assignment(given) => given.time,
    }
}

/// Identifies a line by all its fields: two lines of a visitor with one key are one line that was delivered twice.
/// `None` for an event without id and time, because two equal ones may be two events.
fn key(line: &LogLine) -> Option<u64> {
    let unnamed = matches!(line, LogLine::Event(event) if event.id.is_none() && event.time.is_none());
    let mut hash = Hash(DefaultHasher::new());
    let written = serde_json::to_writer(&mut hash, line);
    (!unnamed && written.is_ok()).then(|| hash.0.finish())
}

/// Hashes what is written.
struct Hash(DefaultHasher);

impl std::io::Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A log without repeated lines, with the key of each line.
#[derive(Default)]
struct Export {
    log: VisitorLog,
    keys: Vec<Option<u64>>,
}

impl Export {
    fn new(log: VisitorLog) -> Export {
        let keys = log.lines.iter().map(key).collect();
        let mut export = Export { log: VisitorLog::new(log.name.clone(), vec![]), keys: vec![] };
        export.take(Export { log, keys }, &mut HashSet::new());
        export
    }

    /// Appends the lines whose key is not `known`.
    fn take(&mut self, more: Export, known: &mut HashSet<u64>) {
        let lines = more.log.lines.into_iter().zip(more.log.places).zip(more.keys);
        for ((line, place), key) in lines.filter(|(_, key)| key.is_none_or(|key| known.insert(key))) {
            self.log.lines.push(line);
            self.log.places.push(place);
            self.keys.push(key);
        }
    }

    /// Key and time of each line that has both.
    fn timed(&self) -> impl Iterator<Item = (u64, i64)> {
        self.keys.iter().zip(&self.log.lines).filter_map(|(key, line)| Some(((*key)?, time(line)?)))
    }

    /// Keys of the first lines, up to the second different time; empty if there is no second. Visitors may share a
    /// line, such as the first slate at a rounded time, but not these.
    fn head(&self) -> Vec<u64> {
        let first = self.timed().next().map(|(_, time)| time);
        let alike = self.timed().take_while(|(_, time)| Some(*time) == first).count();
        let head: Vec<u64> = self.timed().take(alike + 1).map(|(key, _)| key).collect();
        if head.len() > alike { head } else { Vec::new() }
    }
}

/// For each export, the first export of the same visitor. Two exports overlap if one has the head of the other.
fn whose(exports: &[Export]) -> Vec<usize> {
    let mut visitors = Groups((0..exports.len()).collect());
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut heads: HashMap<u64, Vec<(Vec<u64>, usize)>> = HashMap::new();
    for (place, export) in exports.iter().enumerate() {
        visitors.join(place, *names.entry(&export.log.name).or_insert(place));
        let head = export.head();
        let Some(first) = head.first() else { continue };
        let alike = heads.entry(*first).or_default();
        match alike.iter().find(|(other, _)| *other == head) {
            Some((_, other)) => visitors.join(place, *other),
            None if alike.len() <= MOST_ALIKE => alike.push((head, place)),
            None => {}
        }
    }
    for (place, export) in exports.iter().enumerate() {
        let keys: Vec<u64> = export.timed().map(|(key, _)| key).collect();
        for (i, key) in keys.iter().enumerate() {
            let alike = heads.get(key).filter(|alike| alike.len() <= MOST_ALIKE);
            for (_, other) in alike.into_iter().flatten().filter(|(head, _)| keys[i..].starts_with(head)) {
                visitors.join(place, *other);
            }
        }
    }
    (0..exports.len()).map(|place| visitors.first(place)).collect()
}

/// Disjoint groups of numbers; each number points to an earlier one of its group, or to itself.
struct Groups(Vec<usize>);

impl Groups {
    /// The smallest number of a group.
    fn first(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.first(a), self.first(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Gives an id to events that have none, and to those with the id of an earlier event: a page that reloads may use the
/// id of a removed event again, and a profile takes each id once.
fn name_events(log: &mut VisitorLog) {
    let (mut ids, mut places) = (HashSet::new(), Vec::new());
    for (place, line) in log.lines.iter().enumerate() {
        if let LogLine::Event(event) = line
            && event.id.as_ref().is_none_or(|id| !ids.insert(id.clone()))
        {
            places.push(place);
        }
    }
    for place in places {
        let id = (0..).map(|n| format!("line {place}.{n}")).find(|id| !ids.contains(id));
        if let LogLine::Event(event) = &mut log.lines[place] {
            event.id = id;
        }
    }
}

#[cfg(test)]
mod tests {
    use foretaste::profile::{Assignment, Event, Impression};

    use super::*;

    fn event(id: &str, item: &str, time: i64) -> LogLine {
        let [id, item] = [id, item].map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
        LogLine::Event(Event {
            id,
            item: item.unwrap(),
            kind: "view".into(),
            time: Some(time).filter(|t| *t > 0),
            ..Event::default()
        })
    }

    fn shown(slate: &str, time: i64) -> LogLine {
        LogLine::Impression(Box::new(Impression {
            slate: slate.into(),
            time: Some(time).filter(|t| *t > 0),
            ..Impression::default()
        }))
    }

    fn assigned(unit: &str) -> LogLine {
        LogLine::Assignment(Assignment { unit: unit.into(), ..Assignment::default() })
    }

    fn of(logs: &[(&str, &[LogLine])]) -> Distinct {
        distinct(logs.iter().map(|(name, lines)| VisitorLog::new(*name, lines.to_vec())).collect())
    }

    fn items(log: &VisitorLog) -> Vec<&str> {
        log.lines
            .iter()
            .filter_map(|line| if let LogLine::Event(event) = line { Some(event.item.as_str()) } else { None })
            .collect()
    }

    #[test]
    fn a_line_that_stands_twice_counts_once() {
        let once = [shown("s", 0), event("a", "1", 0), event("", "2", 7), assigned("u"), shown("t", 9)];
        let twice: Vec<LogLine> = once.iter().flat_map(|line| [line.clone(), line.clone()]).collect();
        for lines in [twice, [once.clone(), once.clone()].concat()] {
            let found = of(&[("v", &lines)]);
            assert_eq!((found.repeated, found.visitors[0].lines.len(), items(&found.visitors[0])), (5, 5, vec!["1", "2"]));
        }
    }

    #[test]
    fn lines_that_only_look_alike_stay() {
        // Two events without id and time may be two events; equal ids and names with other fields are other lines.
        let lines = [event("", "1", 0), event("", "1", 0), event("a", "1", 5), event("a", "2", 5), shown("s", 5), shown("s", 6)];
        let found = of(&[("v", &lines), ("w", &lines[2..3])]);
        assert_eq!((found.repeated, found.visitors[0].lines.len(), found.visitors.len()), (0, 6, 2));
        let ids: HashSet<_> =
            found.visitors[0].lines.iter().filter_map(|l| if let LogLine::Event(e) = l { e.id.clone() } else { None }).collect();
        assert_eq!(ids.len(), 4, "every event can be replayed: {ids:?}");
    }

    #[test]
    fn exports_that_overlap_are_joined() {
        let lines: Vec<LogLine> = (1..=9).map(|i| event(&format!("e{i}"), &i.to_string(), 1000 * i)).collect();
        let other: Vec<LogLine> = (1..=9).map(|i| event(&format!("e{i}"), &(i + 1).to_string(), 1000 * i)).collect();
        for (first, second) in [(0..6, 3..9), (3..9, 0..6), (0..9, 2..7), (2..7, 0..9), (0..9, 0..9), (0..2, 0..9)] {
            let all = first.start.min(second.start)..first.end.max(second.end);
            let found = of(&[("v", &lines[first.clone()]), ("other", &other), ("w", &lines[second.clone()])]);
            assert_eq!(found.visitors.len(), 2, "{first:?} {second:?}");
            assert_eq!((found.visitors[0].name.as_str(), found.visitors[0].lines.as_slice()), ("v", &lines[all.clone()]));
            assert_eq!(found.repeated, first.len() + second.len() - all.len());
            assert_eq!(found.joined, [["w", "v"].map(String::from)]);
        }
        // A chain: the first and the last have no line in common.
        let found = of(&[("a", &lines[0..4]), ("c", &lines[5..9]), ("b", &lines[2..7])]);
        assert_eq!((found.visitors.len(), found.visitors[0].lines.as_slice()), (1, &lines[..]));
        // Exports that do not overlap are two visitors, unless their names are one.
        assert_eq!(of(&[("a", &lines[0..4]), ("b", &lines[4..9])]).visitors.len(), 2);
        assert_eq!(of(&[("a", &lines[4..9]), ("a", &lines[0..4])]).visitors[0].lines, lines);
    }

    #[test]
    fn one_moment_does_not_make_two_visitors_one() {
        // Fresh visitors of a page that rounds times or gives none: equal lines, but of different people.
        for time in [0, 60_000] {
            let lines = [shown("s", time), event("e0", "1", time), shown("t", time)];
            let found = of(&[("v", &lines), ("w", &lines), ("x", &lines[..2])]);
            assert_eq!((found.visitors.len(), found.repeated), (3, 0));
        }
    }

    /// A hundred thousand visitors that begin alike take no time in proportion to its square.
    #[test]
    fn many_that_begin_alike_are_read_fast() {
        let logs: Vec<VisitorLog> =
            (0..50_000).map(|i| VisitorLog::new(i.to_string(), vec![shown("s", 60_000), event("e0", "1", 60_001 + i)])).collect();
        let since = std::time::Instant::now();
        assert_eq!(distinct(logs).visitors.len(), 50_000);
        assert!(since.elapsed().as_secs() < 20, "{:?}", since.elapsed());
    }
}
