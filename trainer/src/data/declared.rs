//! `data.toml`: names and kinds of columns, and the meaning of types of event.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use foretaste::features::{ColumnEncoding, EventType, View};
use serde::Deserialize;

use super::features::{DeclaredFeature, Feature, span};
use super::{Formula, plain};
use crate::files;

/// Most bytes of `data.toml`.
const MOST_BYTES: u64 = 1 << 26;

/// The content of `data.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Declared {
    pub name: Option<String>,
    pub licence: Option<String>,
    pub time_unit: TimeUnit,
    pub columns: Renames,
    pub items: BTreeMap<String, DeclaredColumn>,
    pub users: BTreeMap<String, DeclaredColumn>,
    pub context: BTreeMap<String, DeclaredColumn>,
    pub types: BTreeMap<String, DeclaredType>,
    features: BTreeMap<String, DeclaredFeature>,
    utility: Option<DeclaredUtility>,
    ttl: BTreeMap<String, String>,
}

/// What an event, or all events of a visitor with an item, are worth.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeclaredUtility {
    value: String,
}

/// Unit of the column `timestamp`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
pub(super) enum TimeUnit {
    #[default]
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

/// The names that the columns with a meaning have in the files.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Renames {
    user: Option<String>,
    item: Option<String>,
    timestamp: Option<String>,
    rating: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    title: Option<String>,
}

impl Renames {
    /// The declared name of a column; `None` if it has its usual one.
    fn of(&self, meaning: &str) -> Option<&str> {
        match meaning {
            "user" => self.user.as_deref(),
            "item" => self.item.as_deref(),
            "timestamp" => self.timestamp.as_deref(),
            "rating" => self.rating.as_deref(),
            "type" => self.kind.as_deref(),
            _ => self.title.as_deref(),
        }
    }

    /// Index of the column with a meaning: the one with the declared name if the file has it, else the one with the
    /// usual name.
    pub fn find(&self, meaning: &str, columns: &[String]) -> Option<usize> {
        let at = |name: &str| columns.iter().position(|c| c == name);
        self.of(meaning).and_then(at).or_else(|| at(meaning))
    }

    /// The first of `meanings` whose declared name is not among the columns, with that name.
    pub fn lost<'a>(&self, meanings: &[&'a str], columns: &[String]) -> Option<(&'a str, &str)> {
        let lost = |m: &&'a str| self.of(m).map(|name| (*m, name));
        meanings.iter().filter_map(lost).find(|(_, name)| !columns.iter().any(|c| c == name))
    }
}

/// A declared column.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredColumn {
    pub kind: ColumnKind,
}

/// Kinds of column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ColumnKind {
    Category,
    Set,
    Number,
    Text,
    Vector,
    Ignore,
}

impl ColumnKind {
    /// The word for the kind in `data.toml`.
    pub fn name(self) -> &'static str {
        match self {
            ColumnKind::Category => "category",
            ColumnKind::Set => "set",
            ColumnKind::Number => "number",
            ColumnKind::Text => "text",
            ColumnKind::Vector => "vector",
            ColumnKind::Ignore => "ignore",
        }
    }
}

/// A declared type of event; keys that are left out have their defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeclaredType {
    positive: Option<bool>,
    seen: Option<bool>,
    hide: Option<bool>,
    weight: Option<f32>,
}

impl Declared {
    /// Reads the `data.toml` of a folder; without one nothing is declared.
    pub fn read(folder: &Path) -> Result<Declared> {
        let path = folder.join("data.toml");
        if path.symlink_metadata().is_err() {
            return Ok(Declared::default());
        }
        let text = files::read_text(&path, MOST_BYTES)?;
        Declared::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Declared> {
        let declared: Declared = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            anyhow!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        if let Some((name, _)) = declared.types.iter().find(|(_, t)| t.weight.is_some_and(|w| !(w >= 0.0 && w.is_finite()))) {
            bail!("[types.{}] weight: a finite number, 0 or more, expected", plain(name));
        }
        if let Some(kind) = declared.items.get("title").map(|c| c.kind)
            && !matches!(kind, ColumnKind::Text | ColumnKind::Ignore)
        {
            bail!("[items.title] kind: `text` or `ignore` expected, got `{}`", kind.name());
        }
        declared.features()?;
        declared.formula()?;
        declared.ttl()?;
        Ok(declared)
    }

    /// The declared features, each in order of their names: views, and times on a circle and crosses.
    pub fn features(&self) -> Result<(Vec<View>, Vec<ColumnEncoding>)> {
        let (mut views, mut inputs) = (Vec::new(), Vec::new());
        for (name, feature) in &self.features {
            match feature.feature(name)? {
                Feature::View(view) => views.push(view),
                Feature::Input(input) => inputs.push(input),
            }
        }
        Ok((views, inputs))
    }

    /// How long values hold, in milliseconds, by whose events they are counted from.
    pub fn ttl(&self) -> Result<BTreeMap<String, i64>> {
        let of = |(of, text): (&String, &String)| {
            let millis = span(text).with_context(|| format!("[ttl] `{}`", plain(of)))?;
            Ok((of.clone(), millis))
        };
        self.ttl.iter().map(of).collect()
    }

    /// The formula of the utility.
    pub fn formula(&self) -> Result<Option<Formula>> {
        let parse = |utility: &DeclaredUtility| Formula::parse(&utility.value).context("[utility] value");
        self.utility.as_ref().map(parse).transpose()
    }

    /// The meaning of a type of event: the declared one; otherwise `hide` hides the item, and every other type is
    /// positive.
    pub fn event_type(&self, name: &str, trained: bool) -> EventType {
        let none = DeclaredType::default();
        let declared = self.types.get(name).unwrap_or(&none);
        let hide = declared.hide.unwrap_or(name == "hide" && declared.positive != Some(true));
        let positive = declared.positive.unwrap_or(!hide);
        EventType {
            name: name.to_owned(),
            positive,
            seen: declared.seen.unwrap_or(true),
            hide,
            weight: declared.weight.unwrap_or(if positive { 1.0 } else { 0.0 }),
            trained,
        }
    }
}

/// The meaning of a type of event that nothing declares.
pub(crate) fn type_of(name: &str) -> EventType {
    Declared::default().event_type(name, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_it_does_not_know() {
        let cases = [
            ("nam = \"x\"", "line 1: unknown field `nam`"),
            ("\n[columns]\nuid = \"x\"", "line 3: unknown field `uid`"),
            ("[items.colour]\nkind = \"color\"", "line 2: unknown variant `color`"),
            ("[items.colour]\nkind = \"set\"\nwidth = 3", "line 3: unknown field `width`"),
            ("[items.colour]", "missing field `kind`"),
            ("[types.buy]\npositve = true", "line 2: unknown field `positve`"),
            ("[types.buy]\nweight = -1.0", "[types.buy] weight"),
            ("[types.buy]\nweight = nan", "[types.buy] weight"),
            ("time_unit = \"us\"", "unknown variant `us`"),
            ("[items.title]\nkind = \"set\"", "[items.title] kind"),
            ("[features.a]\nof = \"user\"", "[features.a]: one of `count`"),
            ("[features.a]\nof = \"user\"\ncuont = true", "line 3: unknown field `cuont`"),
            ("[utility]\nvalue = \"2 * (like\"", "[utility] value: character 10: `)` expected"),
            ("[ttl]\nuser = \"soon\"", "[ttl] `user`: a whole number with the unit"),
            ("[ttl]\nuser = 7", "line 2: invalid type"),
            ("[ttl]\nuser.genres = \"7d\"", "line 2: invalid type"),
            ("name = ", "line 1"),
        ];
        for (text, expected) in cases {
            let error = format!("{:#}", Declared::parse(text).expect_err(text));
            assert!(error.contains(expected) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn types_have_defaults() {
        let declared =
            Declared::parse("[types.buy]\nweight = 3\n[types.skip]\npositive = false\n[types.ban]\nhide = true").unwrap();
        let meaning = |name: &str| {
            let t = declared.event_type(name, false);
            (t.positive, t.seen, t.hide, t.weight)
        };
        assert_eq!(meaning("view"), (true, true, false, 1.0));
        assert_eq!(meaning("hide"), (false, true, true, 0.0));
        assert_eq!(meaning("buy"), (true, true, false, 3.0));
        assert_eq!(meaning("skip"), (false, true, false, 0.0));
        assert_eq!(meaning("ban"), (false, true, true, 0.0));
    }
}
