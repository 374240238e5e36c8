//! `[features.NAME]` of `data.toml`: numbers that are counted from events, as views of the core, and the inputs that
//! only a ranker has: times on a circle and crosses.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use foretaste::features::{ColumnEncoding, ColumnKind, Measure, Over, Value, View, Window};
use serde::Deserialize;

use super::{Column, Dataset, Table, plain};

/// Units of a span of time and their milliseconds.
const UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Periods of a time on a circle, and their milliseconds. The year is the mean one of the calendar.
const PERIODS: [(&str, i64); 3] = [("day", 86_400_000), ("week", 7 * 86_400_000), ("year", 31_556_952_000)];
/// Buckets of a cross that names none, and the most that one may have.
const BUCKETS: [usize; 2] = [1024, 65_536];
/// The most values of a column of the context that a view is counted by: a bundle has a number for each of them.
const MOST_CONTEXT: usize = 64;
/// Names of inputs that every ranker has or may have.
const OF_RETRIEVAL: [&str; 4] = ["score", "neighbours", "place", "source"];
/// Names of what a page derives from the time and the history of a request.
const DERIVED: [&str; 4] = ["hour", "weekday", "history_length", "period"];

/// A declared feature. One of `count`, `rate`, `decay`, `mean`, `since`, `cyclic` and `cross` says what it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeclaredFeature {
    /// `user`, `user.COLUMN`, `item` or `item.COLUMN`.
    of: Option<String>,
    count: bool,
    rate: bool,
    /// The half-life.
    decay: Option<String>,
    mean: bool,
    since: bool,
    /// Types of event that count; empty: every type.
    types: Vec<String>,
    /// A span of time, or `20 events`.
    window: Option<String>,
    /// The period of a time on a circle.
    cyclic: Option<String>,
    /// The two inputs of a cross.
    cross: Option<Vec<String>>,
    /// How many buckets the pairs of a cross have.
    buckets: Option<usize>,
}

/// What a declaration stands for.
#[derive(Debug, PartialEq)]
pub(super) enum Feature {
    /// A number that is counted from events.
    View(View),
    /// A time on a circle, or a cross.
    Input(ColumnEncoding),
}

impl DeclaredFeature {
    /// The feature with this name.
    ///
    /// # Errors
    /// An unknown word or number, named with its key; keys that do not go together.
    pub fn feature(&self, name: &str) -> Result<Feature> {
        let own = || format!("[features.{}]", plain(name));
        let is_view = self.of.is_some() || self.count || self.rate || self.decay.is_some() || self.mean || self.since;
        let of_view = is_view || !self.types.is_empty() || self.window.is_some();
        let kind = match (&self.cyclic, &self.cross) {
            (None, None) => {
                ensure!(self.buckets.is_none(), "{} buckets: only a `cross` has them", own());
                return self.view(name).map(Feature::View);
            }
            (Some(_), None) if of_view || self.buckets.is_some() => bail!("{}: `cyclic` stands alone", own()),
            (Some(period), None) => match PERIODS.iter().find(|(word, _)| word == period) {
                Some((_, period_ms)) => ColumnKind::Cyclic { period_ms: *period_ms },
                None => bail!("{} cyclic: `day`, `week` or `year` expected, got `{}`", own(), plain(period)),
            },
            (None, Some(_)) if of_view => bail!("{}: beside `cross` only `buckets` may stand", own()),
            (None, Some(of)) => {
                let buckets = self.buckets.unwrap_or(BUCKETS[0]);
                let is_right = (1..=BUCKETS[1]).contains(&buckets);
                ensure!(is_right, "{} buckets: 1 to {} expected, got {buckets}", own(), BUCKETS[1]);
                match of.as_slice() {
                    [a, b] if a != b => ColumnKind::Cross { of: (a.clone(), b.clone()), buckets },
                    _ => bail!("{} cross: two names expected, as in `[\"genres\", \"hour\"]`", own()),
                }
            }
            (Some(_), Some(_)) => bail!("{}: one of `cyclic` and `cross` expected", own()),
        };
        Ok(Feature::Input(ColumnEncoding { name: name.to_owned(), kind }))
    }

    fn view(&self, name: &str) -> Result<View> {
        let own = || format!("[features.{}]", plain(name));
        let text = self.of.as_deref().unwrap_or_default();
        let of = match text.split_once('.').map_or((text, None), |(of, column)| (of, Some(column))) {
            ("user", None) => Over::User,
            ("user", Some(column)) => Over::UserColumn(column.to_owned()),
            ("item", None) => Over::Item,
            ("item", Some(column)) => Over::ItemContext(column.to_owned()),
            _ => {
                let expected = "`user`, `user.COLUMN`, `item` or `item.COLUMN`";
                bail!("{} of: {expected} expected, got `{}`", own(), plain(text))
            }
        };
        let half_life = self.decay.as_deref().map(span).transpose().with_context(|| format!("{} decay", own()))?;
        let measures = [
            self.count.then_some(Measure::Count),
            self.rate.then_some(Measure::Rate),
            half_life.map(|half_life| Measure::Decay { half_life }),
            self.mean.then_some(Measure::Mean),
            self.since.then_some(Measure::Since),
        ];
        let mut measures = measures.into_iter().flatten();
        let (Some(measure), None) = (measures.next(), measures.next()) else {
            bail!("{}: one of `count`, `rate`, `decay`, `mean` and `since` expected", own())
        };
        let window = self.window.as_deref().map(window).transpose().with_context(|| format!("{} window", own()))?;
        ensure!(
            measure != Measure::Rate || !self.types.is_empty(),
            "{}: a rate is the share of some `types`, and none is named",
            own()
        );
        Ok(View { name: name.to_owned(), of, measure, types: self.types.clone(), window })
    }
}

/// A span such as `90m`, in milliseconds.
pub(super) fn span(text: &str) -> Result<i64> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text[..text.len() - unit.len()].parse::<i64>().ok().filter(|n| *n > 0);
    let millis = UNITS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, millis)| *millis);
    number
        .zip(millis)
        .and_then(|(n, millis)| n.checked_mul(millis))
        .with_context(|| format!("a whole number with the unit ms, s, m, h or d expected, as in `7d`, got `{}`", plain(text)))
}

fn window(text: &str) -> Result<Window> {
    match text.strip_suffix("events") {
        None => span(text).map(Window::Milliseconds),
        Some(number) => {
            let events = number.trim().parse().ok().filter(|n| *n > 0);
            let expected = || format!("a whole number of events expected, as in `20 events`, got `{}`", plain(text));
            events.map(Window::Events).with_context(expected)
        }
    }
}

/// The column of the context that a view is counted by, from the data: a category of events or users with all of its
/// values, or the hour or weekday of an event. `None` if there is no such column.
pub(crate) fn counted_context(data: &Dataset, name: &str) -> Option<ColumnEncoding> {
    let of = |table: &Table| table.columns.iter().position(|column| column.name == name);
    let tables = [&data.context_table, &data.user_table];
    let kind = match tables.into_iter().find_map(|table| of(table).map(|at| &table.columns[at])) {
        Some(Column { kind: "category", values, .. }) => {
            let values: BTreeSet<String> = values.iter().filter_map(Value::text).collect();
            ColumnKind::Category { vocabulary: values.into_iter().collect() }
        }
        Some(_) => return None,
        None if !data.has_times() => return None,
        None if name == "hour" => ColumnKind::Hour,
        None if name == "weekday" => ColumnKind::Weekday,
        None => return None,
    };
    Some(ColumnEncoding { name: name.to_owned(), kind })
}

/// Checks declared features against the data.
///
/// # Errors
/// A name that is taken, an unknown column or type, ages of events that have no times, and a cross of what has no
/// values to pair.
pub(super) fn check(data: &Dataset) -> Result<()> {
    let find = |table: &'_ Table, name: &str| table.columns.iter().position(|column| column.name == name);
    let has = |table: &Table, name: &str| find(table, name).is_some();
    let tables = [("items", &data.item_table), ("users", &data.user_table), ("context", &data.context_table)];
    for name in data.views.iter().map(|view| &view.name).chain(data.inputs.iter().map(|input| &input.name)) {
        let own = format!("data.toml: [features.{}]", plain(name));
        if let Some((part, _)) = tables.iter().find(|(_, table)| has(table, name)) {
            bail!("{own}: a column of {part} has this name");
        }
        let is_taken = OF_RETRIEVAL.iter().chain(&DERIVED).any(|other| other == name);
        ensure!(!is_taken, "{own}: every ranker has an input with this name, another one expected");
    }
    for view in &data.views {
        let own = format!("data.toml: [features.{}]", plain(&view.name));
        match &view.of {
            Over::UserColumn(column) => {
                ensure!(has(&data.item_table, column), "{own} of: items have no column `{}`", plain(column));
            }
            Over::ItemContext(column) => {
                let expected = "a category of events or users, or `hour` or `weekday` of events with times";
                let counted = counted_context(data, column);
                let Some(width) = counted.map(|column| column.width() - 1) else {
                    bail!("{own} of: `{}` is not {expected}", plain(column))
                };
                ensure!(
                    width <= MOST_CONTEXT,
                    "{own} of: `{}` has {width} values, at most {MOST_CONTEXT} expected",
                    plain(column)
                );
            }
            Over::User | Over::Item => {}
        }
        if let Some(name) = view.types.iter().find(|name| data.types.iter().all(|t| t.name != **name)) {
            bail!("{own} types: no event has the type `{}`", plain(name));
        }
        let is_timed = matches!(view.window, Some(Window::Milliseconds(_)))
            || matches!(view.measure, Measure::Decay { .. } | Measure::Since);
        ensure!(!is_timed || data.has_times(), "{own}: it needs the times of events, and they have none");
        ensure!(view.measure != Measure::Mean || data.has_ratings(), "{own}: it needs ratings, and no event has one");
    }
    for input in &data.inputs {
        let own = format!("data.toml: [features.{}]", plain(&input.name));
        match &input.kind {
            ColumnKind::Cyclic { .. } => ensure!(data.has_times(), "{own}: it needs the times of events, and they have none"),
            ColumnKind::Cross { of: (a, b), .. } => {
                for name in [a, b] {
                    check_crossed(data, name).map_err(|fault| anyhow::anyhow!("{own} cross: `{}` {fault}", plain(name)))?;
                }
            }
            _ => {}
        }
    }
    for name in data.ttl.keys() {
        let is_of = |view: &View| of_text(&view.of) == *name;
        let is_counted = data.views.is_empty() || data.views.iter().any(is_of);
        ensure!(is_counted, "data.toml: [ttl] `{}`: no feature is counted of it", plain(name));
    }
    if let Some(formula) = &data.utility {
        formula.check(data).map_err(|fault| anyhow::anyhow!("data.toml: [utility] value: {fault}"))?;
    }
    Ok(())
}

/// Whether an input has buckets, words or members that a cross can pair; the error says why not.
fn check_crossed(data: &Dataset, name: &str) -> Result<(), &'static str> {
    if data.inputs.iter().any(|input| input.name == name) {
        return Err("is a cross or a time on a circle, which have no values to pair");
    }
    let is_of_request = OF_RETRIEVAL[..3].contains(&name) || name == "history_length";
    if is_of_request || data.views.iter().any(|view| view.name == name) {
        return Ok(());
    }
    let tables = [&data.item_table, &data.context_table, &data.user_table];
    match tables.into_iter().find_map(|table| table.columns.iter().find(|column| column.name == name)) {
        Some(column) if column.kind == "vector" => Err("is a vector, which has no values to pair"),
        Some(column) if column.kind == "number" => {
            let mut numbers = column.values.iter().filter_map(Value::number);
            let first = numbers.next();
            match numbers.any(|x| Some(x) != first) {
                true => Ok(()),
                false => Err("has fewer than two different numbers, so no edges between buckets"),
            }
        }
        Some(_) => Ok(()),
        None if ["hour", "weekday"].contains(&name) && data.has_times() => Ok(()),
        None if ["hour", "weekday"].contains(&name) => Err("needs the times of events, and they have none"),
        None => Err("is neither a column nor a declared feature"),
    }
}

/// Whose events a view looks at, as `data.toml` says it.
pub(crate) fn of_text(of: &Over) -> String {
    match of {
        Over::User => "user".to_owned(),
        Over::UserColumn(column) => format!("user.{column}"),
        Over::Item => "item".to_owned(),
        Over::ItemContext(column) => format!("item.{column}"),
    }
}

/// A view as `data.toml` declares it.
pub(super) fn declaration(view: &View, quoted: impl Fn(&str) -> String) -> String {
    let of = of_text(&view.of);
    let measure = match view.measure {
        Measure::Count => "count = true".to_owned(),
        Measure::Rate => "rate = true".to_owned(),
        Measure::Decay { half_life } => format!("decay = \"{half_life}ms\""),
        Measure::Mean => "mean = true".to_owned(),
        Measure::Since => "since = true".to_owned(),
    };
    let types = view.types.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let window = match view.window {
        None => String::new(),
        Some(Window::Milliseconds(span)) => format!("window = \"{span}ms\"\n"),
        Some(Window::Events(events)) => format!("window = \"{events} events\"\n"),
    };
    format!("\n[features.{}]\nof = {}\n{measure}\ntypes = [{types}]\n{window}", quoted(&view.name), quoted(&of))
}

/// A time on a circle or a cross as `data.toml` declares it.
pub(super) fn input_declaration(input: &ColumnEncoding, quoted: impl Fn(&str) -> String) -> String {
    let what = match &input.kind {
        ColumnKind::Cross { of: (a, b), buckets } => format!("cross = [{}, {}]\nbuckets = {buckets}", quoted(a), quoted(b)),
        ColumnKind::Cyclic { period_ms } => {
            let word = PERIODS.iter().find(|(_, ms)| ms == period_ms).map_or("", |(word, _)| word);
            format!("cyclic = {}", quoted(word))
        }
        _ => String::new(),
    };
    format!("\n[features.{}]\n{what}\n", quoted(&input.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::data::type_of;
    use crate::protocols::tests::dataset;

    fn feature(text: &str) -> Result<Feature> {
        toml::from_str::<DeclaredFeature>(text)?.feature("f")
    }

    fn read(text: &str) -> Result<View> {
        match feature(text)? {
            Feature::View(view) => Ok(view),
            Feature::Input(input) => bail!("{input:?} is no view"),
        }
    }

    #[test]
    fn a_declaration_is_read_as_it_is_written() {
        let like = || vec!["like".to_owned()];
        for (text, of, measure, types, window) in [
            ("of = 'user'\ncount = true", Over::User, Measure::Count, vec![], None),
            (
                "of = 'user.tags'\nrate = true\ntypes = ['like']\nwindow = '20 events'",
                Over::UserColumn("tags".into()),
                Measure::Rate,
                like(),
                Some(Window::Events(20)),
            ),
            ("of = 'item'\ndecay = '7d'", Over::Item, Measure::Decay { half_life: 604_800_000 }, vec![], None),
            (
                "of = 'item'\nmean = true\nwindow = '90m'",
                Over::Item,
                Measure::Mean,
                vec![],
                Some(Window::Milliseconds(5_400_000)),
            ),
            ("of = 'item'\nsince = true\ntypes = ['like']", Over::Item, Measure::Since, like(), None),
            ("of = 'item.hour'\ncount = true", Over::ItemContext("hour".into()), Measure::Count, vec![], None),
        ] {
            let view = read(text).unwrap();
            assert_eq!(view, View { name: "f".into(), of, measure, types, window }, "{text}");
            let written = declaration(&view, |name| format!("\"{name}\""));
            assert_eq!(read(written.split_once(']').unwrap().1).unwrap(), view, "{written}");
        }
        let cross = |buckets| ColumnKind::Cross { of: ("tags".into(), "hour".into()), buckets };
        for (text, kind) in [
            ("cyclic = 'day'", ColumnKind::Cyclic { period_ms: 86_400_000 }),
            ("cyclic = 'week'", ColumnKind::Cyclic { period_ms: 604_800_000 }),
            ("cyclic = 'year'", ColumnKind::Cyclic { period_ms: 31_556_952_000 }),
            ("cross = ['tags', 'hour']", cross(1024)),
            ("cross = ['tags', 'hour']\nbuckets = 65536", cross(65_536)),
        ] {
            let input = ColumnEncoding { name: "f".into(), kind };
            let written = input_declaration(&input, |name| format!("\"{name}\""));
            let input = Feature::Input(input);
            assert_eq!(feature(text).unwrap(), input, "{text}");
            assert_eq!(feature(written.split_once(']').unwrap().1).unwrap(), input, "{written}");
        }
    }

    #[test]
    fn faults_are_named() {
        for (text, expected) in [
            ("count = true", "[features.f] of: `user`"),
            ("of = 'users'\ncount = true", "got `users`"),
            ("of = 'user'\ncount = true\nbuckets = 9", "[features.f] buckets: only a `cross`"),
            ("cyclic = 'month'", "[features.f] cyclic: `day`, `week` or `year` expected, got `month`"),
            ("cyclic = 'day'\nof = 'user'", "[features.f]: `cyclic` stands alone"),
            ("cyclic = 'day'\nbuckets = 3", "[features.f]: `cyclic` stands alone"),
            ("cyclic = 'day'\ncross = ['a', 'b']", "one of `cyclic` and `cross`"),
            ("cross = ['a', 'b']\nwindow = '7d'", "beside `cross` only `buckets`"),
            ("cross = ['a']", "[features.f] cross: two names expected"),
            ("cross = ['a', 'a']", "[features.f] cross: two names expected"),
            ("cross = ['a', 'b', 'c']", "[features.f] cross: two names expected"),
            ("cross = ['a', 'b']\nbuckets = 0", "[features.f] buckets: 1 to 65536 expected, got 0"),
            ("cross = ['a', 'b']\nbuckets = 65537", "got 65537"),
            ("of = 'user'", "one of `count`"),
            ("of = 'user'\ncount = true\nmean = true", "one of `count`"),
            ("of = 'user'\nrate = true", "none is named"),
            ("of = 'user'\ndecay = '7'", "[features.f] decay: a whole number"),
            ("of = 'user'\ndecay = '-7d'", "got `-7d`"),
            ("of = 'user'\ndecay = '0d'", "got `0d`"),
            ("of = 'user'\ndecay = '99999999999999999d'", "with the unit"),
            ("of = 'user'\ncount = true\nwindow = 'events'", "[features.f] window: a whole number of events"),
            ("of = 'user'\ncount = true\nwindow = '0 events'", "got `0 events`"),
            ("of = 'user'\ncount = true\nwindw = '7d'", "unknown field `windw`"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    /// Two users with three items, which have tags, one vector each, and one price.
    fn data() -> Dataset {
        let mut data = dataset(&[&[0, 1, 2], &[0, 2]]);
        data.types = vec![type_of("rate")];
        let column = |name: &str, kind, values: Vec<Value>| Column { name: name.into(), kind, values };
        let text = |i: usize| Value::Text(format!("v{i}"));
        data.item_table.columns = vec![
            column("price", "number", vec![Value::Number(2.0); 3]),
            column("size", "number", (0..3).map(|i| Value::Number(f64::from(i))).collect()),
            column("tag", "category", (0..3).map(text).collect()),
            column("vector", "vector", vec![Value::Vector(vec![1.0]); 3]),
        ];
        data.user_table.columns = vec![column("town", "category", (0..2).map(text).collect())];
        data.context_table.columns =
            vec![column("device", "category", (0..5).map(text).collect()), column("spent", "number", vec![Value::Missing; 5])];
        data
    }

    #[test]
    fn names_are_checked_against_the_data() {
        let fault = |name: &str, text: &str| {
            let mut data = data();
            match toml::from_str::<DeclaredFeature>(text).unwrap().feature(name).unwrap() {
                Feature::View(view) => data.views.push(view),
                Feature::Input(input) => data.inputs.push(input),
            }
            check(&data).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
        };
        for text in [
            "of = 'item.town'\ncount = true",
            "of = 'item.device'\ncount = true",
            "of = 'item.hour'\ncount = true",
            "of = 'item.weekday'\nmean = true",
            "cyclic = 'week'",
            "cross = ['tag', 'hour']",
            "cross = ['size', 'town']",
            "cross = ['device', 'place']",
            "cross = ['history_length', 'weekday']",
        ] {
            assert_eq!(fault("f", text), "fine", "{text}");
        }
        for (name, text, expected) in [
            ("tag", "cyclic = 'day'", "[features.tag]: a column of items has this name"),
            ("score", "cyclic = 'day'", "[features.score]: every ranker"),
            ("hour", "of = 'user'\ncount = true", "[features.hour]: every ranker"),
            ("f", "of = 'item.tag'\ncount = true", "[features.f] of: `tag` is not a category of events or users"),
            ("f", "of = 'item.spent'\ncount = true", "[features.f] of: `spent` is not"),
            ("f", "of = 'item.period'\ncount = true", "[features.f] of: `period` is not"),
            ("f", "cross = ['tag', 'colour']", "[features.f] cross: `colour` is neither a column nor a declared feature"),
            ("f", "cross = ['tag', 'vector']", "[features.f] cross: `vector` is a vector"),
            ("f", "cross = ['price', 'tag']", "[features.f] cross: `price` has fewer than two different numbers"),
            ("f", "cross = ['spent', 'tag']", "[features.f] cross: `spent` has fewer than two"),
            ("f", "cross = ['tag', 'f']", "[features.f] cross: `f` is a cross or a time on a circle"),
        ] {
            let error = fault(name, text);
            assert!(error.starts_with("data.toml: ") && error.contains(expected), "{text}: {error}");
        }
        let mut timeless = data();
        timeless.events.change(|events| events.iter_mut().for_each(|event| event.time = None));
        let declare = |data: &mut Dataset, text: &str| match feature(text).unwrap() {
            Feature::View(view) => data.views = vec![view],
            Feature::Input(input) => data.inputs = vec![input],
        };
        for text in ["cyclic = 'day'", "cross = ['hour', 'tag']"] {
            declare(&mut timeless, text);
            assert!(check(&timeless).unwrap_err().to_string().contains("needs the times"), "{text}");
        }
        let mut many = dataset(&[&[0; 66]]);
        let values = (0..66).map(|i| Value::Text(i.to_string())).collect();
        many.context_table.columns = vec![Column { name: "page".into(), kind: "category", values }];
        declare(&mut many, "of = 'item.page'\ncount = true");
        assert!(check(&many).unwrap_err().to_string().contains("`page` has 66 values, at most 64"));
    }
}
