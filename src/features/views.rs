//! A view: a number counted from events, as it is declared. `aggregate.rs` computes it.

use serde::{Deserialize, Serialize};

use super::{Fields, History, Keys, MAX_NAMES};
use crate::error::{ErrorKind, Result, range};

/// The longest span of time, in milliseconds: a hundred years.
const MAX_SPAN: i64 = 100 * 366 * super::columns::DAY_MS;

/// A number counted from events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Flat")]
pub struct View {
    /// Its name. No column of items or context has it.
    pub name: String,
    /// Whose events are looked at.
    pub of: Over,
    /// What is computed from those that count.
    pub measure: Measure,
    /// The types of event that count, all of them declared; empty: every type.
    pub types: Vec<String>,
    /// How far back events count; `None`: all of them do.
    pub window: Option<Window>,
}

/// Whose events a view looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// The visitor's.
    User,
    /// The visitor's, with items that share a value of this items column with the candidate.
    UserColumn(String),
    /// Everybody's with the candidate. The values travel in the bundle.
    Item,
    /// Everybody's with the candidate, where this context column had the value that it has now. The values travel in
    /// the bundle.
    ItemContext(String),
}

/// What is computed from the events that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How many they are.
    Count,
    /// How many they are, as a share of the events of every type in the same window. Missing if there is none.
    Rate,
    /// The sum of 2^(−age / `half_life`).
    Decay {
        /// Milliseconds, 1 or more.
        half_life: i64,
    },
    /// The mean of their values; missing if none has a value.
    Mean,
    /// Seconds since the last of them; missing if there is none.
    Since,
}

/// How far back events count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Events of at most this age, 1 or more.
    Milliseconds(i64),
    /// The last so many events of every type, 1 or more.
    Events(usize),
}

/// A view as JSON has it.
#[derive(Serialize)]
struct Flat {
    name: String,
    /// `user` or `item`.
    of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    /// `count`, `rate`, `decay`, `mean` or `since`.
    measure: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    half_life_ms: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window_events: Option<usize>,
}

impl TryFrom<Fields> for View {
    type Error = String;

    fn try_from(fields: Fields) -> std::result::Result<View, String> {
        let mut keys = Keys::new(fields);
        let (name, types) = (keys.text("name").unwrap_or_default(), keys.texts("types").unwrap_or_default());
        let of = match (keys.text("of").as_deref(), keys.text("column")) {
            (Some("user"), None) => Some(Over::User),
            (Some("user"), Some(column)) => Some(Over::UserColumn(column)),
            (Some("item"), None) => Some(Over::Item),
            (Some("item"), Some(column)) => Some(Over::ItemContext(column)),
            _ => None,
        };
        let measure = match (keys.text("measure").as_deref(), keys.whole("half_life_ms")) {
            (Some("count"), None) => Some(Measure::Count),
            (Some("rate"), None) => Some(Measure::Rate),
            (Some("decay"), Some(half_life)) => Some(Measure::Decay { half_life }),
            (Some("mean"), None) => Some(Measure::Mean),
            (Some("since"), None) => Some(Measure::Since),
            _ => None,
        };
        let window = match (keys.whole("window_ms"), keys.count("window_events")) {
            (None, None) => Some(None),
            (Some(span), None) => Some(Some(Window::Milliseconds(span))),
            (None, Some(events)) => Some(Some(Window::Events(events))),
            _ => None,
        };
        let view = of.zip(measure).zip(window).map(|((of, measure), window)| View { name, of, measure, types, window });
        keys.end(view, "a view without `of`, a measure with its half-life, or one window at most")
    }
}

impl From<View> for Flat {
    fn from(view: View) -> Flat {
        let (of, column) = match view.of {
            Over::User => ("user", None),
            Over::UserColumn(column) => ("user", Some(column)),
            Over::Item => ("item", None),
            Over::ItemContext(column) => ("item", Some(column)),
        };
        let (measure, half_life_ms) = match view.measure {
            Measure::Count => ("count", None),
            Measure::Rate => ("rate", None),
            Measure::Decay { half_life } => ("decay", Some(half_life)),
            Measure::Mean => ("mean", None),
            Measure::Since => ("since", None),
        };
        let (window_ms, window_events) = match view.window {
            None => (None, None),
            Some(Window::Milliseconds(span)) => (Some(span), None),
            Some(Window::Events(events)) => (None, Some(events)),
        };
        let [of, measure] = [of, measure].map(Into::into);
        Flat { name: view.name, of, column, measure, half_life_ms, types: view.types, window_ms, window_events }
    }
}

impl View {
    /// Whether the value is computed from the visitor's own events; else it travels in the bundle.
    pub fn is_of_user(&self) -> bool {
        matches!(self.of, Over::User | Over::UserColumn(_))
    }

    /// The number that a column of the ranker encodes for a value of this view: counts and times lie far apart, so
    /// those of `count`, `decay` and `since` become ln(1 + x).
    pub fn scaled(&self, value: f64) -> f64 {
        match self.measure {
            Measure::Count | Measure::Decay { .. } | Measure::Since => libm::log(1.0 + value),
            Measure::Rate | Measure::Mean => value,
        }
    }

    /// Checks all numbers, and that the types are declared.
    ///
    /// # Errors
    /// `range`; `malformed` for an empty name, a type that is not declared, and a rate of every type, which is always
    /// 1.
    pub fn check(&self, history: &History) -> Result<()> {
        let part = || self.name.clone();
        let malformed = |text: String| Err(ErrorKind::Malformed(text).at(part()));
        if self.name.is_empty() {
            return malformed("a view has no name".into());
        }
        if self.types.len() > MAX_NAMES {
            return Err(range("at most 1024 types", self.types.len()).at(part()));
        }
        if let Some(name) = self.types.iter().find(|name| history.type_of(name).is_none()) {
            return malformed(format!("the type `{name}` is not declared"));
        }
        if self.measure == Measure::Rate && self.types.is_empty() {
            return malformed("a rate needs types".into());
        }
        let spans = match (self.measure, self.window) {
            (Measure::Decay { half_life }, Some(Window::Milliseconds(span))) => [half_life, span],
            (Measure::Decay { half_life: span }, _) | (_, Some(Window::Milliseconds(span))) => [span, span],
            _ => [1, 1],
        };
        if let Some(span) = spans.iter().find(|span| !(1..=MAX_SPAN).contains(*span)) {
            return Err(range("1 millisecond to 100 years", span).at(part()));
        }
        match self.window {
            Some(Window::Events(events)) if events == 0 || events > super::MAX_HISTORY => {
                Err(range("1 to 65536 events", events).at(part()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::EventType;
    use crate::json::from_json;

    fn history() -> History {
        let like = EventType { name: "like".into(), positive: true, seen: true, hide: false, weight: 1.0, trained: true };
        History { len: 1, cap: 1, types: vec![like], value_edges: vec![], gap_buckets: 2, run_buckets: 1 }
    }

    const FULL: &str =
        r#"{"name":"a","of":"user","column":"tags","measure":"decay","half_life_ms":60000,"types":["like"],"window_ms":9}"#;

    #[test]
    fn a_view_is_written_as_it_is_read() {
        let view: View = from_json(FULL.as_bytes()).unwrap();
        let measure = Measure::Decay { half_life: 60_000 };
        let of = Over::UserColumn("tags".into());
        let expected = View { name: "a".into(), of, measure, types: vec!["like".into()], window: Some(Window::Milliseconds(9)) };
        assert_eq!(view, expected);
        assert_eq!(serde_json::to_string(&view).unwrap(), FULL);
        assert_eq!(view.check(&history()), Ok(()));
        for (of, column) in [("user", None), ("item", None), ("item", Some("hour"))] {
            for measure in ["count", "rate", "mean", "since"] {
                let column = column.map_or(String::new(), |column| format!(r#""column":"{column}","#));
                let text = format!(r#"{{"name":"a","of":"{of}",{column}"measure":"{measure}","window_events":3}}"#);
                assert_eq!(serde_json::to_string(&from_json::<View>(text.as_bytes()).unwrap()).unwrap(), text);
            }
        }
    }

    #[test]
    fn hostile_views_are_refused() {
        let code = |from: &str, to: &str| {
            assert!(FULL.contains(from), "{from}");
            let view = from_json::<View>(FULL.replace(from, to).as_bytes()).map_err(|kind| kind.at("view"));
            view.and_then(|view| view.check(&history())).err().map_or("accepted", |error| error.code())
        };
        assert_eq!(code("user", "user"), "accepted");
        assert_eq!(code("\"of\"", "\"off\""), "unknown-key");
        assert_eq!(code("\"name\":\"a\"", "\"name\":\"\""), "malformed");
        assert_eq!(code("\"user\"", "\"users\""), "malformed");
        assert_eq!(code("decay", "count"), "malformed");
        assert_eq!(code("\"decay\",\"half_life_ms\":60000", "\"decay\""), "malformed");
        assert_eq!(code("\"window_ms\":9", "\"window_ms\":9,\"window_events\":9"), "malformed");
        assert_eq!(code("[\"like\"]", "[\"other\"]"), "malformed");
        assert_eq!(code("60000", "0"), "range");
        assert_eq!(code("60000", "-5"), "range");
        assert_eq!(code("60000", "9007199254740992"), "range");
        assert_eq!(code("60000", "9007199254740994"), "malformed");
        assert_eq!(code("60000", "0.5"), "malformed");
        assert_eq!(code("\"window_ms\":9", "\"window_ms\":0"), "range");
        assert_eq!(code("\"window_ms\":9", "\"window_events\":0"), "range");
        assert_eq!(code("\"window_ms\":9", "\"window_events\":65537"), "range");
        let rate = r#""rate","types":[],"#;
        assert_eq!(code(r#""decay","half_life_ms":60000,"types":["like"],"#, rate), "malformed");
    }
}
