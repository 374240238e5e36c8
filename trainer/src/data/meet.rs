//! Two sources that should have the same ids: how many of one the other has, and the likely cause if few do.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;

use anyhow::{Result, bail};

/// Most missing ids whose cause is looked for.
const SAMPLE: usize = 1000;
/// If so many ids are asked for and none is known, the sources do not belong together.
const MANY: usize = 10;

/// How many ids of one source another one has. Shown as one line.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Met {
    /// What is counted: `items of the events in items.csv`.
    pub what: String,
    /// Number of ids that the other source has.
    pub known: usize,
    /// Number of all ids.
    pub of: usize,
    /// The first id that the other source lacks; if a cause was found, one that the cause explains.
    pub example: Option<String>,
    /// Why the other source lacks ids, where that was found.
    pub cause: Option<Cause>,
}

/// Why two sources write the same ids in different ways.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Cause {
    /// How the other source writes the example.
    pub beside: String,
    /// The cause, as a message says it.
    pub reason: &'static str,
}

/// A way to write an id that is the same for both sources if the reason holds.
type Form = (&'static str, fn(&str) -> Cow<'_, str>);

const FORMS: [Form; 6] = [
    ("a join made floats of whole numbers", without_point),
    ("leading zeros were lost", without_zeros),
    ("upper and lower case differ", |id| id.to_lowercase().into()),
    ("there are blanks around the ids of one side", |id| without_blanks(id).into()),
    ("there are quotes around the ids of one side", |id| without_quotes(id).into()),
    ("the two sides write ids in different ways", |id| {
        without_zeros(&without_point(without_blanks(without_quotes(without_blanks(id))))).to_lowercase().into()
    }),
];

/// `12.0` as `12`.
fn without_point(id: &str) -> Cow<'_, str> {
    let whole = |text: &&str| !text.is_empty() && text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    match id.split_once('.') {
        Some((head, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') && whole(&head) => head.into(),
        _ => id.into(),
    }
}

/// `007` as `7`.
fn without_zeros(id: &str) -> Cow<'_, str> {
    if !id.bytes().all(|b| b.is_ascii_digit()) {
        return id.into();
    }
    let rest = id.trim_start_matches('0');
    if rest.is_empty() && !id.is_empty() { "0".into() } else { rest.into() }
}

fn without_blanks(id: &str) -> &str {
    id.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

fn without_quotes(id: &str) -> &str {
    let inner = |quote: char| id.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(id)
}

impl Met {
    /// Counts how many of `asked` another source has. `what` says what is counted. If a tenth of them or more are
    /// missing, the cause is looked for among `there`, the ids that the other source has.
    pub fn of<'a, T: Iterator<Item = &'a str>>(
        what: impl Into<String>,
        asked: impl IntoIterator<Item = &'a str>,
        has: impl Fn(&str) -> bool,
        there: impl FnOnce() -> T,
    ) -> Met {
        let mut met = Met { what: what.into(), known: 0, of: 0, example: None, cause: None };
        let mut missing = Vec::new();
        for id in asked {
            met.of += 1;
            if has(id) {
                met.known += 1;
            } else if missing.len() < SAMPLE {
                missing.push(id);
            }
        }
        met.example = missing.first().map(|id| (*id).to_owned());
        if met.known * 10 <= met.of * 9
            && let Some((id, cause)) = cause(&missing, there())
        {
            (met.example, met.cause) = (Some(id), Some(cause));
        }
        met
    }

    /// Whether something seems wrong: fewer than half of the ids are known, or a cause was found.
    pub fn few(&self) -> bool {
        2 * self.known < self.of || self.cause.is_some()
    }

    /// Prints the line on standard error: as a warning if [`few`](Self::few) are known, else as a note, which `quiet`
    /// leaves out.
    pub fn say(&self, quiet: bool) {
        if self.few() {
            eprintln!("warning: {self}");
        } else if !quiet {
            eprintln!("{self}");
        }
    }

    /// # Errors
    /// None of the ids is known, and they are ten or more, or a cause was found.
    pub fn check(&self) -> Result<()> {
        if self.known == 0 && (self.of >= MANY || self.cause.is_some()) {
            bail!("{self}");
        }
        Ok(())
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {} of {}", self.what, self.known, self.of)?;
        match (&self.example, &self.cause) {
            (Some(id), Some(cause)) => write!(f, " (not {} but {}: {})", shown(id), shown(&cause.beside), cause.reason),
            (Some(id), None) => write!(f, " (not {})", shown(id)),
            (None, _) => Ok(()),
        }
    }
}

/// A text as shown in messages: shortened, in quotes, without control characters.
pub fn shown(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    format!("{cut:?}{}", if cut.len() < text.len() { "…" } else { "" })
}

/// A name as shown in messages: as it is if it is short and on one line, else as [`shown`].
pub fn plain(name: &str) -> String {
    let quoted = shown(name);
    if quoted.get(1..quoted.len() - 1) == Some(name) && !name.contains([',', '`']) { name.to_owned() } else { quoted }
}

/// The form that joins most of the `missing` ids with ids that are `there`, with one of the missing ids. It must join a
/// tenth of them.
fn cause<'a>(missing: &[&str], there: impl Iterator<Item = &'a str>) -> Option<(String, Cause)> {
    let by_form: Vec<HashMap<Cow<str>, &str>> =
        FORMS.iter().map(|(_, form)| missing.iter().map(|id| (form(id), *id)).collect()).collect();
    let mut joined: Vec<Joined> = FORMS.iter().map(|_| Joined::default()).collect();
    for id in there {
        for (((_, form), wanted), joined) in FORMS.iter().zip(&by_form).zip(&mut joined) {
            if let Some(missing) = wanted.get(form(id).as_ref()) {
                joined.missing.insert(missing);
                joined.first.get_or_insert((missing, id));
            }
        }
    }
    // Of forms that join as many ids the first, which is the simplest, is taken.
    let best = (0..FORMS.len()).rev().max_by_key(|i| joined[*i].missing.len())?;
    let (id, beside) = joined[best].first?;
    let cause = Cause { beside: beside.to_owned(), reason: FORMS[best].0 };
    (joined[best].missing.len() * 10 >= missing.len()).then(|| (id.to_owned(), cause))
}

/// What a form joins.
#[derive(Default)]
struct Joined<'m, 't> {
    missing: HashSet<&'m str>,
    /// A missing id, and the id that is there.
    first: Option<(&'m str, &'t str)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(asked: &[&str], there: &[&str]) -> Met {
        Met::of("items of the events in items.csv", asked.iter().copied(), |id| there.contains(&id), || there.iter().copied())
    }

    #[test]
    fn the_likely_cause_is_named() {
        let cases: [(&[&str], &[&str], &str); 9] = [
            (&["12.0", "3.0"], &["3", "12"], "0 of 2 (not \"3.0\" but \"3\": a join made floats of whole numbers)"),
            (&["12", "3"], &["3.0", "12.0"], "0 of 2 (not \"3\" but \"3.0\": a join made floats of whole numbers)"),
            (&["7"], &["007"], "0 of 1 (not \"7\" but \"007\": leading zeros were lost)"),
            (&["000"], &["0"], "0 of 1 (not \"000\" but \"0\": leading zeros were lost)"),
            (&["b0aa", "x"], &["B0AA", "x"], "1 of 2 (not \"b0aa\" but \"B0AA\": upper and lower case differ)"),
            (&["a "], &["\u{a0}a"], "0 of 1 (not \"a \" but \"\\u{a0}a\": there are blanks around the ids of one side)"),
            (&["a"], &["\"a\""], "0 of 1 (not \"a\" but \"\\\"a\\\"\": there are quotes around the ids of one side)"),
            (&["07.0"], &["7"], "0 of 1 (not \"07.0\" but \"7\": the two sides write ids in different ways)"),
            (&["a", "\u{1b}[2J"], &["b"], "0 of 2 (not \"a\")"),
        ];
        for (asked, there, expected) in cases {
            let met = met(asked, there);
            assert_eq!(met.to_string(), format!("items of the events in items.csv: {expected}"));
            assert!(met.few());
        }
    }

    #[test]
    fn a_few_unknown_ids_are_no_fault() {
        let ids: Vec<String> = (0..30).map(|i| format!("i{i}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let all = met(&ids, &ids);
        assert_eq!(all.to_string(), "items of the events in items.csv: 30 of 30");
        let most = met(&ids, &ids[5..]);
        assert!(!all.few() && !most.few() && met(&ids, &ids[20..]).few());
        assert_eq!((most.known, most.of, most.example.as_deref(), most.cause), (25, 30, Some("i0"), None));
        // One id of thirty that differs only in case is chance.
        let mut others = ids.clone();
        others[0] = "I0";
        assert_eq!(met(&ids, &others).cause, None);
        assert_eq!(met(&[], &ids).to_string(), "items of the events in items.csv: 0 of 0");
        assert!(!met(&[], &ids).few());
    }

    #[test]
    fn sources_that_do_not_belong_together_are_refused() {
        let many: Vec<String> = (0..10).map(|i| format!("i{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(met(&many, &["x"]).check().is_err() && met(&["1.0"], &["1"]).check().is_err());
        assert!(met(&many[..9], &["x"]).check().is_ok() && met(&many, &["i3"]).check().is_ok() && met(&[], &[]).check().is_ok());
    }
}
