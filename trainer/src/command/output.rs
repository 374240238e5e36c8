//! Output that verbs share: a table for people and one JSON object for scripts, and the reading of list arguments.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result};
use foretaste_trainer::baselines;
use foretaste_trainer::evaluate::Report;
use foretaste_trainer::protocols::Protocol;
use serde::Serialize;

use super::Usage;

/// Prints a report of an evaluation. The table has colours if standard output is a terminal and NO_COLOR is not set.
pub fn write(report: &Report, json: Option<&Path>) -> Result<()> {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    show(report, json, || report.table(colour))
}

/// Prints a result. `--json` alone (`-`) prints JSON instead of the table. `--json FILE` writes the JSON to the file
/// and prints the table too. The table may hold names from data: control characters in them are replaced.
///
/// # Errors
/// A file that cannot be written.
pub fn print(result: &impl Serialize, json: Option<&Path>, table: impl Fn() -> String) -> Result<()> {
    show(result, json, || table().split('\n').map(plain).collect::<Vec<_>>().join("\n"))
}

/// Prints a warning to standard error, as one line.
pub fn warn(text: &str) {
    eprintln!("warning: {}", plain(text));
}

/// A text from data, such as a title, for one line of a terminal: control characters, and those that turn the direction
/// of the text after them, are replaced by `�`.
pub fn plain(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(acts) { text.replace(acts, "�").into() } else { text.into() }
}

fn show(result: &impl Serialize, json: Option<&Path>, table: impl Fn() -> String) -> Result<()> {
    match json {
        Some(path) if path == Path::new("-") => println!("{}", serde_json::to_string(result)?),
        Some(path) => {
            let text = serde_json::to_string_pretty(result)?;
            std::fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
            print!("{}", table());
        }
        None => print!("{}", table()),
    }
    Ok(())
}

/// Number of example slates on a report page.
pub const SLATES: usize = 6;

/// Writes a report page.
///
/// # Errors
/// A file that cannot be written.
pub fn page(file: &Path, html: &str) -> Result<()> {
    std::fs::write(file, html).with_context(|| format!("{}: cannot be written", file.display()))
}

/// Reads a comma-separated list of baselines; `all` stands for every baseline of the protocol.
///
/// # Errors
/// [`Usage`] if the protocol does not have a baseline of the list.
pub fn baselines(list: &str, protocol: Protocol) -> Result<Vec<String>> {
    let known = baselines::names(protocol);
    if list == "all" {
        return Ok(known.iter().map(|name| (*name).to_owned()).collect());
    }
    let names: Vec<String> = list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let (protocol, known) = (protocol.name(), known.join(", "));
            Err(Usage(format!("{protocol} has no baseline `{name}`; it has: {known}")).into())
        }
        None => Ok(names),
    }
}

/// Reads a comma-separated list of whole numbers and ranges: `0-2,7` gives 0, 1, 2, 7. A range has at most 10,001
/// numbers.
///
/// # Errors
/// [`Usage`] if a part is not a whole number.
pub fn numbers(list: &str) -> Result<Vec<u64>> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| Usage(format!("`{text}` in `{list}` is not a whole number")));
    let mut out = Vec::new();
    for part in list.split(',') {
        match part.split_once('-') {
            Some((first, last)) => out.extend(number(first)?..=number(last)?.min(number(first)? + 10_000)),
            None => out.push(number(part)?),
        }
    }
    Ok(out)
}

/// Reads a comma-separated list of `NAME=NUMBER`; without a list the map is empty. `flag` is the argument's name, for
/// errors.
///
/// # Errors
/// [`Usage`] if a part has no `=` or its number is not finite.
pub fn pairs(flag: &str, list: Option<&str>) -> Result<BTreeMap<String, f64>> {
    let pair = |pair: &str| {
        let (name, number) = pair.rsplit_once('=').ok_or_else(|| Usage(format!("{flag} {pair}: expected NAME=NUMBER")))?;
        let number = number.parse().ok().filter(|x: &f64| x.is_finite());
        Ok((name.to_owned(), number.ok_or_else(|| Usage(format!("{flag} {pair}: expected a number")))?))
    };
    list.iter().flat_map(|list| list.split(',')).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_the_data_acts_on_the_terminal() {
        assert_eq!(plain("a\x1b[31mb\nc\td\u{9b}e\u{202e}f\x7f"), "a�[31mb�c�d�e�f�");
        for kept in ["", "Amélie – “日本語” 👩‍👩‍👧", "שלום"] {
            assert!(matches!(plain(kept), Cow::Borrowed(same) if same == kept));
        }
    }

    #[test]
    fn list_arguments_are_read_or_refused() {
        assert_eq!(numbers("0-2,7").unwrap(), [0, 1, 2, 7]);
        assert!(numbers("a").is_err() && numbers("").is_err());
        let named = pairs("--x", Some("a=1,b=c=-.5")).unwrap();
        assert!(named.into_iter().eq([("a".to_owned(), 1.0), ("b=c".to_owned(), -0.5)]));
        assert!(
            pairs("--x", None).unwrap().is_empty() && pairs("--x", Some("a")).is_err() && pairs("--x", Some("a=inf")).is_err()
        );
        assert_eq!(baselines("all", Protocol::P3).unwrap().len(), 13);
        assert_eq!(baselines("bias,item-mean", Protocol::P2).unwrap(), ["bias", "item-mean"]);
        assert!(baselines("ease,x", Protocol::P3).unwrap_err().is::<Usage>());
        assert!(baselines("ease", Protocol::P2).unwrap_err().is::<Usage>());
    }
}
