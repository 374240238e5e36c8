//! `[features.NAME]` of `data.toml`: numbers that are counted from events, as views of the core.

use anyhow::{Context, Result, bail, ensure};
use foretaste::features::{Measure, Over, View, Window};
use serde::Deserialize;

use super::{Dataset, plain};

/// Units of a span of time and their milliseconds.
const UNITS: [(&str, i64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A declared feature. One of `count`, `rate`, `decay`, `mean` and `since` says what is computed.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeclaredFeature {
    /// `user`, `user.COLUMN` or `item`.
    of: String,
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
}

impl DeclaredFeature {
    /// The view with this name.
    ///
    /// # Errors
    /// An unknown word or number, named with its key.
    pub fn view(&self, name: &str) -> Result<View> {
        let own = || format!("[features.{}]", plain(name));
        let of = match self.of.split_once('.').map_or((self.of.as_str(), None), |(of, column)| (of, Some(column))) {
            ("user", None) => Over::User,
            ("user", Some(column)) => Over::UserColumn(column.to_owned()),
            ("item", None) => Over::Item,
            _ => bail!("{} of: `user`, `user.COLUMN` or `item` expected, got `{}`", own(), plain(&self.of)),
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
fn span(text: &str) -> Result<i64> {
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

/// Checks declared views against the data that they count.
///
/// # Errors
/// A name that is a column's, an unknown column or type, and ages of events that have no times.
pub(super) fn check(data: &Dataset) -> Result<()> {
    let has = |table: &super::Table, name: &str| table.columns.iter().any(|column| column.name == name);
    for view in &data.views {
        let own = format!("data.toml: [features.{}]", plain(&view.name));
        let tables = [("items", &data.item_table), ("users", &data.user_table), ("context", &data.context_table)];
        if let Some((part, _)) = tables.iter().find(|(_, table)| has(table, &view.name)) {
            bail!("{own}: a column of {part} has this name");
        }
        if let Over::UserColumn(column) = &view.of {
            ensure!(has(&data.item_table, column), "{own} of: items have no column `{}`", plain(column));
        }
        if let Some(name) = view.types.iter().find(|name| data.types.iter().all(|t| t.name != **name)) {
            bail!("{own} types: no event has the type `{}`", plain(name));
        }
        let is_timed = matches!(view.window, Some(Window::Milliseconds(_)))
            || matches!(view.measure, Measure::Decay { .. } | Measure::Since);
        ensure!(!is_timed || data.has_times(), "{own}: it needs the times of events, and they have none");
        ensure!(view.measure != Measure::Mean || data.has_ratings(), "{own}: it needs ratings, and no event has one");
    }
    if let Some(formula) = &data.utility {
        formula.check(data).map_err(|fault| anyhow::anyhow!("data.toml: [utility] value: {fault}"))?;
    }
    Ok(())
}

/// A view as `data.toml` declares it.
pub(super) fn declaration(view: &View, quoted: impl Fn(&str) -> String) -> String {
    let of = match &view.of {
        Over::User => "user".to_owned(),
        Over::UserColumn(column) => format!("user.{column}"),
        Over::Item => "item".to_owned(),
        Over::ItemContext(column) => format!("item.{column}"),
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<View> {
        toml::from_str::<DeclaredFeature>(text)?.view("f")
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
        ] {
            let view = read(text).unwrap();
            assert_eq!(view, View { name: "f".into(), of, measure, types, window }, "{text}");
            let written = declaration(&view, |name| format!("\"{name}\""));
            assert_eq!(read(written.split_once(']').unwrap().1).unwrap(), view, "{written}");
        }
    }

    #[test]
    fn faults_are_named() {
        for (text, expected) in [
            ("count = true", "[features.f] of: `user`"),
            ("of = 'users'\ncount = true", "got `users`"),
            ("of = 'item.hour'\ncount = true", "got `item.hour`"),
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
}
