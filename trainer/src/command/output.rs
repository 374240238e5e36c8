//! Where a report goes: a table for people, one JSON object for scripts.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, Result};
use foretaste_trainer::baselines;
use foretaste_trainer::evaluate::Report;
use foretaste_trainer::protocols::Protocol;
use serde::Serialize;

use super::Usage;

/// A report with its table.
pub fn write(report: &Report, json: Option<&Path>) -> Result<()> {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    print(report, json, || report.table(colour))
}

/// `--json` alone writes to standard output, and the table is left out; `--json FILE` writes the file beside the table.
pub fn print(result: &impl Serialize, json: Option<&Path>, table: impl Fn() -> String) -> Result<()> {
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

/// Slates on a page.
pub const SLATES: usize = 6;

/// A page for people.
pub fn page(file: &Path, html: &str) -> Result<()> {
    std::fs::write(file, html).with_context(|| format!("{}: cannot be written", file.display()))
}

/// The baselines of a list with commas, or `all` that the protocol has.
pub fn baselines(list: &str, protocol: Protocol) -> Result<Vec<String>> {
    let known = baselines::names(protocol);
    if list == "all" {
        return Ok(known.iter().map(|name| (*name).to_owned()).collect());
    }
    let names: Vec<String> = list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => {
            let (protocol, known) = (protocol.name(), known.join(", "));
            Err(Usage(format!("no baseline `{name}` of {protocol}; there are: {known}")).into())
        }
        None => Ok(names),
    }
}

/// Whole numbers in a list of `3`, `0-9`, with commas.
pub fn numbers(list: &str) -> Result<Vec<u64>> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| Usage(format!("`{text}` in `{list}` is no whole number")));
    let mut out = Vec::new();
    for part in list.split(',') {
        match part.split_once('-') {
            Some((first, last)) => out.extend(number(first)?..=number(last)?.min(number(first)? + 10_000)),
            None => out.push(number(part)?),
        }
    }
    Ok(out)
}

/// Finite numbers by name, from a list of `NAME=NUMBER` with commas; none without a list. `flag` names it in errors.
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
    fn lists() {
        assert_eq!(numbers("0-2,7").unwrap(), [0, 1, 2, 7]);
        assert!(numbers("a").is_err() && numbers("").is_err());
        let named = pairs("--x", Some("a=1,b=c=-.5")).unwrap();
        assert!(named.into_iter().eq([("a".to_owned(), 1.0), ("b=c".to_owned(), -0.5)]));
        assert!(
            pairs("--x", None).unwrap().is_empty() && pairs("--x", Some("a")).is_err() && pairs("--x", Some("a=inf")).is_err()
        );
        assert_eq!(baselines("all", Protocol::P3).unwrap().len(), 12);
        assert_eq!(baselines("bias,item-mean", Protocol::P2).unwrap(), ["bias", "item-mean"]);
        assert!(baselines("ease,x", Protocol::P3).unwrap_err().is::<Usage>());
        assert!(baselines("ease", Protocol::P2).unwrap_err().is::<Usage>());
    }
}
