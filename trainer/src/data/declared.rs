//! `data.toml`: names and kinds of columns, and what types of event mean.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use foretaste::features::EventType;
use serde::Deserialize;

/// Everything that `data.toml` may say.
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
}

/// Unit of `timestamp`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
pub(super) enum TimeUnit {
    #[default]
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "ms")]
    Milliseconds,
}

/// What the columns with a meaning are called in the files.
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
    /// The declared name, if any.
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

    /// Where the column with a meaning stands: under its declared name where that is there, else under its own.
    pub fn find(&self, meaning: &str, columns: &[String]) -> Option<usize> {
        let at = |name: &str| columns.iter().position(|c| c == name);
        self.of(meaning).and_then(at).or_else(|| at(meaning))
    }

    /// Whether a declared name of one of `meanings` is not among the columns: that meaning.
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
    /// The word of `data.toml`.
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

/// A declared type of event; what is left out has its default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeclaredType {
    positive: Option<bool>,
    seen: Option<bool>,
    hide: Option<bool>,
    weight: Option<f32>,
}

impl Declared {
    /// Reads `data.toml` of a folder; nothing is declared where there is none.
    pub fn read(folder: &Path) -> Result<Declared> {
        let path = folder.join("data.toml");
        if !path.exists() {
            return Ok(Declared::default());
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Declared::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Declared> {
        let declared: Declared = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            anyhow!("line {line}: {}", error.message().replace('\n', " "))
        })?;
        if let Some((name, _)) = declared.types.iter().find(|(_, t)| t.weight.is_some_and(|w| !(w >= 0.0 && w.is_finite()))) {
            bail!("[types.{name}] weight: a finite number, 0 or more, expected");
        }
        if let Some(kind) = declared.items.get("title").map(|c| c.kind)
            && !matches!(kind, ColumnKind::Text | ColumnKind::Ignore)
        {
            bail!("[items.title] kind: `text` or `ignore` expected, got `{}`", kind.name());
        }
        Ok(declared)
    }

    /// The meaning of a type: declared, else `hide` hides and anything else speaks for the item.
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

/// A type of event that no table declares.
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
