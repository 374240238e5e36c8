//! `foretaste recommend`: prints what a page would show.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use foretaste::bundle::Catalog;
use foretaste::features::{ColumnKind, Encoding, Fields, Value};
use foretaste::profile::{Event, LogLine};
use foretaste::{Explanation, MAX_SLOTS, Recommender, Request, Slate};
use foretaste_trainer::data::{Met, context_of, event_of, read_folder, shown};
use foretaste_trainer::log::read;
use foretaste_trainer::verify::open_bundle;

use super::explore::Exploring;
use super::reading::{Reading, ids, meet_bundle};
use super::{output, usage};

/// How many unknown items of a history are named.
const NAMED: usize = 5;

/// Recommend from a bundle, with the same code that a page runs.
///
/// The visitor is a history (`--history 50,181:5,172:4@874965758`: item, rating, Unix seconds), a log that a page
/// exported (`--events log.jsonl`), or a user of a data folder (`--data data --user 3`).
#[derive(ClapArgs)]
#[command(after_help = "example: foretaste recommend models/demo --history 50,181:5 -k 5 --context hour=20")]
pub struct Args {
    /// The folder of the bundle.
    bundle: PathBuf,
    /// The history, oldest item first: `ID[:RATING][@UNIX],…` An empty text is a new visitor.
    #[arg(long, conflicts_with_all = ["events", "data"], allow_hyphen_values = true)]
    history: Option<String>,
    /// A log that a page exported: one JSON object on each line.
    #[arg(long, conflicts_with = "data")]
    events: Option<PathBuf>,
    /// A data folder. It needs `--user` or `--all-users`.
    #[arg(long)]
    data: Option<PathBuf>,
    /// The id of a user of the data folder.
    #[arg(long, requires = "data", conflicts_with_all = ["history", "events"])]
    user: Option<String>,
    /// Recommend to every user of the data folder: one JSON object on each line, or a table with `--out`.
    #[arg(long, requires = "data", conflicts_with_all = ["user", "history", "events"])]
    all_users: bool,
    /// With `--all-users`: write a Parquet table of user, rank, item and score to this file.
    #[arg(long, requires = "all_users")]
    out: Option<PathBuf>,
    /// Number of items to recommend; a slate has at most 1,000.
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    k: u32,
    /// Values of context columns, such as the hour of the request: key=value,…
    #[arg(long, allow_hyphen_values = true)]
    context: Option<String>,
    /// Print one JSON object instead of the table; with FILE, write it there and print the table too. `--all-users`
    /// always prints JSON.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Say why each item has its score: which events add or take the most, and at which place the item would stand
    /// without them.
    #[arg(long, conflicts_with = "out")]
    explain: bool,
    #[command(flatten)]
    exploring: Exploring,
    #[command(flatten)]
    reading: Reading,
}

/// A slate, and why each item has its score if that was asked for.
struct Answer {
    slate: Slate,
    why: Vec<Explanation>,
}

/// Runs the verb.
pub fn run(mut args: Args) -> Result<()> {
    let mut recommender = open_bundle(&args.bundle)?;
    let wanted = args.k;
    args.k = slots(wanted, recommender.bundle().catalog.len());
    if args.k < wanted {
        eprintln!("note: a slate has at most {MAX_SLOTS} items; -k {wanted} gets as many");
    }
    if let Some(folder) = &args.data {
        return of_data(&args, folder, &mut recommender);
    }
    let events = match (&args.history, &args.events) {
        (Some(history), _) => parse_history(history, &recommender.bundle().catalog)?,
        (_, Some(file)) => read_events(file)?,
        _ => return Err(usage("expected --history, --events or --data; `--history ''` is a new visitor")),
    };
    say_unknown(&events, &recommender.bundle().catalog);
    let context = given_context(&args, &recommender.bundle().manifest.encoding)?;
    let answer = answer(&args, &mut recommender, events, context)?;
    output::print(&json(&answer), args.json.as_deref(), || table(&answer, &recommender.bundle().catalog))
}

/// The slots that `-k` asks for, as far as a slate of a catalog of so many items has them.
fn slots(k: u32, items: usize) -> u32 {
    if (k as usize).min(items) > MAX_SLOTS { MAX_SLOTS as u32 } else { k }
}

fn answer(args: &Args, recommender: &mut Recommender, events: Vec<Event>, context: Fields) -> Result<Answer> {
    recommender.import_profile(events)?;
    let slate = recommender.recommend(&Request { context, ..args.exploring.request(args.k as usize)? })?;
    // The request with the id of the decision, which the log has.
    let why = match recommender.log().newest_first().next() {
        Some(LogLine::Impression(shown)) if args.explain => {
            slate.items.iter().map(|item| recommender.explain(&shown.request, &item.id)).collect::<foretaste::Result<_>>()?
        }
        _ => Vec::new(),
    };
    Ok(Answer { slate, why })
}

fn of_data(args: &Args, folder: &Path, recommender: &mut Recommender) -> Result<()> {
    let data = read_folder(folder, &args.reading.options(true))?;
    meet_bundle(&data, recommender.bundle())?;
    let given = given_context(args, &recommender.bundle().manifest.encoding)?;
    let users: Vec<usize> = match &args.user {
        Some(id) => {
            vec![data.users.iter().position(|u| u == id).with_context(|| format!("{}: no user `{id}`", folder.display()))?]
        }
        None if args.all_users => (0..data.users.len()).collect(),
        None => return Err(usage("--data needs --user or --all-users")),
    };
    let mut slates = BTreeMap::new();
    let (mut strangers, asked) = (0, users.len());
    for user in users {
        let history = data.history(user);
        let events: Vec<Event> = history.iter().map(|e| event_of(&data, e)).collect();
        let catalog = &recommender.bundle().catalog;
        strangers += usize::from(events.iter().all(|event| catalog.row(&event.item).is_none()));
        if args.user.is_some() {
            say_unknown(&events, catalog);
        }
        let mut context = context_of(&data, user, &recommender.bundle().manifest.encoding);
        context.extend(given.clone());
        let answer = answer(args, recommender, events, context)?;
        match (&args.out, args.all_users) {
            (Some(_), _) => {
                slates.insert(user, answer.slate.items.into_iter().map(|i| (i.id, i.score)).collect::<Vec<_>>());
            }
            (None, true) => {
                let mut object = json(&answer);
                object["user"] = data.users[user].clone().into();
                println!("{object}");
            }
            (None, false) => {
                output::print(&json(&answer), args.json.as_deref(), || table(&answer, &recommender.bundle().catalog))?;
            }
        }
    }
    if strangers > 0 {
        eprintln!("users with no item that is in the catalog: {strangers} of {asked}; their slate is that of a new visitor");
    }
    if let Some(out) = &args.out {
        foretaste_trainer::data::write_slates(out, &data.users, &slates)?;
    }
    Ok(())
}

/// Says which events of a history have no effect, because the catalog lacks their items, and how many these are.
fn say_unknown(events: &[Event], catalog: &Catalog) {
    let mut items: Vec<&str> = events.iter().map(|event| event.item.as_str()).collect();
    items.sort_unstable();
    items.dedup();
    let unknown: Vec<&str> = items.iter().copied().filter(|item| catalog.row(item).is_none()).collect();
    for item in unknown.iter().take(NAMED) {
        eprintln!("note: {} is not in the catalog; it has no effect", shown(item));
    }
    if !unknown.is_empty() {
        Met::of("items of the history in the catalog", items, |id| catalog.row(id).is_some(), || ids(catalog)).say(false);
    }
}

/// Reads `ID[:RATING][@UNIX],…`. A text that is an id of the catalog is that id, even if it contains commas, colons or
/// `@`: the longest id wins.
fn parse_history(text: &str, catalog: &Catalog) -> Result<Vec<Event>> {
    let pieces: Vec<&str> = text.split(',').collect();
    let most = 1 + (0..catalog.len() as u32).map(|row| catalog.id(row).matches(',').count()).max().unwrap_or(0);
    let mut events = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        let whole = (at + 1..=pieces.len().min(at + most))
            .rev()
            .map(|end| (end, pieces[at..end].join(",")))
            .find(|(_, id)| catalog.row(id).is_some());
        match whole {
            Some((end, id)) => {
                events.push(Event { item: id, kind: "view".into(), ..Event::default() });
                at = end;
            }
            None => {
                if !pieces[at].is_empty() {
                    events.push(parse_token(pieces[at])?);
                }
                at += 1;
            }
        }
    }
    Ok(events)
}

fn parse_token(token: &str) -> Result<Event> {
    let (rest, time) = match token.rsplit_once('@') {
        Some((rest, unix)) => {
            let seconds: i64 =
                unix.parse().with_context(|| format!("--history: `{unix}` in `{token}` is not a Unix time in whole seconds"))?;
            (rest, Some(seconds.checked_mul(1000).with_context(|| format!("--history: the time in `{token}` is out of range"))?))
        }
        None => (token, None),
    };
    let (item, value) = match rest.rsplit_once(':') {
        Some((item, rating)) => {
            let rating = rating.parse().ok().filter(|r: &f64| r.is_finite());
            (item, Some(rating.with_context(|| format!("--history: the rating in `{token}` is not a finite number"))?))
        }
        None => (rest, None),
    };
    if item.is_empty() {
        bail!("--history: `{token}` has no item id");
    }
    let kind = if value.is_some() { "rate" } else { "view" };
    Ok(Event { item: item.into(), kind: kind.into(), value, time, ..Event::default() })
}

/// Reads the events of an exported log. Slates and assignments are skipped.
fn read_events(file: &Path) -> Result<Vec<Event>> {
    let event = |line| match line {
        LogLine::Event(event) => Some(event),
        LogLine::Impression(_) | LogLine::Assignment(_) => None,
    };
    let logs = read(&[file.to_owned()], 0.0)?;
    logs.warnings.iter().for_each(|warning| output::warn(warning));
    Ok(logs.visitors.into_iter().flat_map(|visitor| visitor.lines).filter_map(event).collect())
}

/// The values of `--context`, each of which its column can read.
fn given_context(args: &Args, encoding: &Encoding) -> Result<Fields> {
    let context = parse_context(args.context.as_deref().unwrap_or(""))?;
    for column in &encoding.context {
        let Some(value) = context.get(&column.name) else { continue };
        let expected = match &column.kind {
            ColumnKind::Vector { .. } => Some("nothing: a vector cannot be given here".to_owned()),
            ColumnKind::Number { .. } if value.number().is_none() => Some("a number".to_owned()),
            _ if column.is_derived() => {
                let last = column.width() - 1;
                let fits = value.number().is_some_and(|x| (0.0..=last as f64).contains(&x) && x.fract() == 0.0);
                (!fits).then(|| format!("a whole number from 0 to {last}"))
            }
            _ => None,
        };
        if let Some(expected) = expected {
            bail!("--context {}={}: expected {expected}", column.name, value.text().unwrap_or_default());
        }
    }
    Ok(context)
}

fn parse_context(text: &str) -> Result<Fields> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').with_context(|| format!("--context: `{pair}` is not key=value"))?;
        Ok((key.to_string(), Value::Text(value.to_string())))
    };
    text.split(',').filter(|p| !p.is_empty()).map(pair).collect()
}

fn json(Answer { slate, why }: &Answer) -> serde_json::Value {
    let item = |(i, place): (&foretaste::Item, usize)| {
        let mut item = serde_json::json!({ "id": i.id, "title": i.title, "score": i.score, "propensity": i.propensity });
        if let Some(rating) = i.rating {
            item["rating"] = rating.into();
        }
        if let Some(why) = why.get(place) {
            item["explanation"] = serde_json::json!(why);
        }
        item
    };
    serde_json::json!({
        "items": slate.items.iter().zip(0..).map(item).collect::<Vec<_>>(),
        "model": slate.model,
        "policy": slate.policy,
        "timings_us": slate.timings_us,
    })
}

fn table(Answer { slate, why }: &Answer, catalog: &Catalog) -> String {
    let mut text = String::new();
    for (i, item) in slate.items.iter().enumerate() {
        let explored = item.propensity.filter(|p| *p < 1.0).map(|p| format!("  p {p:.4}")).unwrap_or_default();
        let title = output::plain(item.title.as_deref().unwrap_or(""));
        _ = writeln!(text, "{:>4}  {:>8.3}  {:<8}  {title}{explored}", i + 1, item.score, output::plain(&item.id));
        for event in why.get(i).into_iter().flat_map(|why| &why.events) {
            let Some(place) = event.place_without else { continue };
            let title = catalog.row(&event.item).and_then(|row| catalog.title(row)).unwrap_or_default();
            let (id, title) = (output::plain(&event.item), output::plain(title));
            _ = writeln!(text, "      {:>+8.3}  {id:<8}  {title}; without it number {place}", event.part);
        }
    }
    let t = slate.timings_us;
    _ = writeln!(
        text,
        "encode {:.0} µs, tower {:.0} µs, score {:.0} µs, filter {:.0} µs, slate {:.0} µs",
        t.encode, t.tower, t.score, t.filter, t.slate
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_k_above_what_a_slate_has_gets_as_many() {
        assert_eq!([(7, 5000), (u32::MAX, 60), (u32::MAX, 5000)].map(|(k, items)| slots(k, items)), [7, u32::MAX, 1000]);
    }

    #[test]
    fn history_tokens_are_read_or_refused() {
        let e = parse_token("181:5@874965758").unwrap();
        assert_eq!((e.item.as_str(), e.kind.as_str(), e.value, e.time), ("181", "rate", Some(5.0), Some(874_965_758_000)));
        assert_eq!(parse_token("a:b:2.5").unwrap().item, "a:b");
        for bad in ["1@x", "1:x", "1:inf", ":5", "@1", "1@9223372036854775807"] {
            assert!(parse_token(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn context_pairs_are_read_or_refused() {
        assert_eq!(parse_context("hour=3,age=24").unwrap().len(), 2);
        assert!(parse_context("").unwrap().is_empty());
        assert!(parse_context("hour").is_err());
    }
}
