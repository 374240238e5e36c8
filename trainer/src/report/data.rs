//! The page of `prepare`: what a data folder contains.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use foretaste::features::Value;

use super::chart::{bars, escape, grouped, ranks};
use super::{figure, page, tiles};
use crate::data::{Column, Dataset, Notes, plain};
use crate::time::day;

/// Most bars of the chart over time.
const SPANS: i64 = 48;
/// Most bars of the chart of ratings.
const RATING_BARS: usize = 20;
/// How many of the most popular items are listed.
const LISTED: usize = 10;
/// How many example values of a column are shown.
const EXAMPLES: usize = 4;

/// The page for a data set and what was noticed while reading it.
pub fn html(data: &Dataset, notes: &Notes) -> String {
    let mut out = String::new();
    if let Some(licence) = &data.licence {
        _ = write!(out, "<p class='licence'>{}</p>", escape(licence));
    }
    _ = write!(out, "<p class='hash'>SHA-256 of the content <code>{}</code></p></header>", data.sha256);
    out += &numbers(data);
    out += &left_out(notes);
    let mut counts = vec![0u64; data.items.len()];
    data.events.iter().for_each(|e| counts[e.item as usize] += 1);
    out += "<div class='pair'>";
    if data.has_ratings() {
        out += &figure("Ratings", "events by rating", &bars("Ratings", &rating_bars(data)));
    }
    out += &popularity(&counts);
    out += &figure("Histories", "users by number of events", &bars("Histories", &history_bars(data)));
    if data.has_times() {
        out += &figure("Activity", "events over time", &bars("Activity", &time_bars(data)));
    }
    out += "</div>";
    out += &most_popular(data, &counts);
    out += &columns(data, notes);
    out += &types(data);
    page("data report", &data.name, &out)
}

fn numbers(data: &Dataset) -> String {
    let cold = data.in_events.iter().filter(|known| !**known).count();
    let mut lengths: Vec<usize> = (0..data.users.len()).map(|u| data.history(u).len()).collect();
    lengths.sort_unstable();
    let universe = (data.items.len() - cold).max(1) as f64;
    let density = 100.0 * data.events.len() as f64 / (data.users.len() as f64 * universe);
    let mut numbers = vec![
        ("events", grouped(data.events.len() as u64)),
        ("users", grouped(data.users.len() as u64)),
        ("items", grouped(data.items.len() as u64)),
        ("of them without events", grouped(cold as u64)),
        ("events of the median user", grouped(lengths.get(lengths.len() / 2).copied().unwrap_or(0) as u64)),
        ("of all pairs", format!("{density:.2} %")),
    ];
    if let Some((first, last)) = time_range(data) {
        numbers.push(("first event", day(first)));
        numbers.push(("last event", day(last)));
    }
    tiles(numbers)
}

/// Bad and repeated rows, columns that are not read, ids that one table has and another lacks, and warnings.
fn left_out(notes: &Notes) -> String {
    let mut out = String::new();
    for table in notes.tables.iter().filter(|t| t.bad > 0) {
        let (bad, rows, file) = (grouped(table.bad), grouped(table.rows), escape(&table.file));
        let named: String = table.named.iter().map(|n| format!("<li><code>{}</code></li>", escape(n))).collect();
        _ = write!(out, "<p><b>{file}</b>: bad rows, left out: {bad} of {rows}.</p><ol>{named}</ol>");
    }
    for table in notes.tables.iter().filter(|t| t.repeated > 0) {
        _ = write!(
            out,
            "<p><b>{}</b>: exact repeats of a row, counted once: {}.</p>",
            escape(&table.file),
            grouped(table.repeated)
        );
    }
    for table in &notes.tables {
        table.told.iter().for_each(|told| out += &format!("<p><b>{}</b>: {}.</p>", escape(&table.file), escape(told)));
        if !table.unread.is_empty() {
            let names: Vec<String> = table.unread.iter().map(|name| format!("<code>{}</code>", escape(name))).collect();
            _ = write!(out, "<p><b>{}</b>: not read: {}.</p>", escape(&table.file), names.join(", "));
        }
    }
    for warning in &notes.warnings {
        _ = write!(out, "<p><b>Warning</b>: {}.</p>", escape(warning));
    }
    for met in notes.met.iter().filter(|met| met.known < met.of) {
        _ = write!(out, "<p>{}.</p>", escape(&met.to_string()));
    }
    if notes.idle_users > 0 {
        _ = write!(out, "<p>Users of the users table without events, left out: {}.</p>", grouped(notes.idle_users as u64));
    }
    for note in &notes.notes {
        _ = write!(out, "<p>{}.</p>", escape(note));
    }
    if out.is_empty() {
        return "<p class='well'>No row is bad or repeated.</p>".to_owned();
    }
    format!("<section class='notes'><h2>Worth a look</h2>{out}</section>")
}

fn rating_bars(data: &Dataset) -> Vec<(String, u64)> {
    let mut ratings: Vec<f64> = data.events.iter().filter_map(|e| e.rating).collect();
    ratings.sort_by(f64::total_cmp);
    let mut bars: Vec<(f64, u64)> = Vec::new();
    for rating in &ratings {
        match bars.last_mut() {
            Some((value, count)) if value == rating => *count += 1,
            _ => bars.push((*rating, 1)),
        }
    }
    if bars.len() <= RATING_BARS {
        let label =
            |rating: f64| Some(rating.to_string()).filter(|text| text.len() < 9).unwrap_or_else(|| format!("{rating:.2e}"));
        return bars.into_iter().map(|(rating, count)| (label(rating), count)).collect();
    }
    // Each bound is halved before the subtraction, because the difference of two finite numbers may overflow.
    let (low, high) = (ratings[0], ratings[ratings.len() - 1]);
    let width = (high / 2.0 - low / 2.0) / (RATING_BARS as f64 / 2.0);
    let mut counts = [0; RATING_BARS];
    for rating in &ratings {
        counts[(((rating / 2.0 - low / 2.0) / (width / 2.0)) as usize).min(RATING_BARS - 1)] += 1;
    }
    counts.iter().enumerate().map(|(i, count)| (format!("{:.2e}", low + width * i as f64), *count)).collect()
}

fn history_bars(data: &Dataset) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    (0..data.users.len()).for_each(|u| *counts.entry(data.history(u).len().max(1).ilog2()).or_default() += 1);
    let last = counts.keys().next_back().copied().unwrap_or(0);
    let first = counts.keys().next().copied().unwrap_or(0);
    let label = |power: u32| match power {
        0 => "1".to_owned(),
        _ => format!("{}–{}", grouped(1 << power), grouped((1 << (power + 1)) - 1)),
    };
    (first..=last).map(|power| (label(power), counts.get(&power).copied().unwrap_or(0))).collect()
}

fn time_range(data: &Dataset) -> Option<(i64, i64)> {
    let times = || data.events.iter().filter_map(|e| e.time);
    Some((times().min()?, times().max()?))
}

fn time_bars(data: &Dataset) -> Vec<(String, u64)> {
    let Some((first, last)) = time_range(data) else { return Vec::new() };
    let width = ((last - first) / SPANS + 1).max(1);
    let mut counts = vec![0; ((last - first) / width + 1) as usize];
    data.events.iter().filter_map(|e| e.time).for_each(|t| counts[((t - first) / width) as usize] += 1);
    counts.into_iter().enumerate().map(|(i, count)| (day(first + width * i as i64), count)).collect()
}

fn popularity(counts: &[u64]) -> String {
    let mut sorted: Vec<u64> = counts.iter().copied().filter(|c| *c > 0).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let head: u64 = sorted[..sorted.len().div_ceil(10)].iter().sum();
    let share = 100.0 * head as f64 / sorted.iter().sum::<u64>().max(1) as f64;
    let says = format!("events of an item by its rank; the first tenth of the items has {share:.0} % of the events");
    figure("Popularity", &says, &ranks("Popularity", &sorted))
}

fn most_popular(data: &Dataset, counts: &[u64]) -> String {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(counts[*i]), *i));
    let row = |i: &usize| {
        let title = data.titles[*i].as_deref().unwrap_or("");
        let (id, title) = (escape(&data.items[*i]), escape(title));
        format!("<tr><td class='n'>{}</td><td><code>{id}</code></td><td>{title}</td></tr>", grouped(counts[*i]))
    };
    let rows: String = order.iter().take(LISTED).map(row).collect();
    format!(
        "<section><h2>Most popular</h2><table><tr><th class='n'>events</th><th>item</th><th>title</th></tr>{rows}</table></section>"
    )
}

fn columns(data: &Dataset, notes: &Notes) -> String {
    let mut rows = String::new();
    for (part, table) in [("items", &data.item_table), ("users", &data.user_table), ("context", &data.context_table)] {
        for column in &table.columns {
            let name = format!("{part}.{}", plain(&column.name));
            let chosen = notes.chosen.iter().any(|(chosen, _)| *chosen == name);
            let filled = column.values.iter().filter(|v| **v != Value::Missing).count();
            let share = 100.0 * filled as f64 / column.values.len().max(1) as f64;
            let (distinct, examples) = values(column);
            _ = write!(
                rows,
                "<tr><td><code>{}</code></td><td><span class='kind'>{}</span>{}</td><td class='n'>{share:.1} %</td>\
                 <td class='n'>{}</td><td class='wide'>{}</td></tr>",
                escape(&name),
                column.kind,
                if chosen { " by its values" } else { "" },
                grouped(distinct as u64),
                escape(&examples)
            );
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<section><h2>Columns</h2><table><tr><th>column</th><th>kind</th><th class='n'>filled</th><th class='n'>distinct</th>\
         <th>most frequent, or the range</th></tr>{rows}</table></section>"
    )
}

/// The number of distinct values (of sets: of members), and the most frequent values or the range of numbers.
fn values(column: &Column) -> (usize, String) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in &column.values {
        if let Value::Number(x) = value {
            (low, high) = (low.min(*x), high.max(*x));
        }
        let members = match value {
            Value::Missing => continue,
            Value::Vector(xs) => vec![format!("{xs:?}")],
            Value::Set(members) => members.clone(),
            other => other.text().into_iter().collect(),
        };
        members.into_iter().for_each(|member| *counts.entry(member).or_default() += 1);
    }
    let mut order: Vec<(&String, &usize)> = counts.iter().collect();
    order.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let short = |text: &str| text.chars().take(40).collect::<String>();
    let examples = match column.kind {
        "number" if low <= high => format!("{low} to {high}"),
        "vector" => column
            .values
            .iter()
            .find_map(|v| if let Value::Vector(x) = v { Some(format!("{} numbers", x.len())) } else { None })
            .unwrap_or_default(),
        _ => order.iter().take(EXAMPLES).map(|(text, count)| format!("{} ({count})", short(text))).collect::<Vec<_>>().join(", "),
    };
    (counts.len(), examples)
}

fn types(data: &Dataset) -> String {
    let mut counts = vec![0u64; data.types.len()];
    data.events.iter().for_each(|e| counts[usize::from(e.kind)] += 1);
    let yes = |b: bool| if b { "yes" } else { "–" };
    let row = |(t, count): (&foretaste::features::EventType, &u64)| {
        format!(
            "<tr><td><code>{}</code></td><td class='n'>{}</td><td>{}</td><td>{}</td><td>{}</td><td class='n'>{}</td></tr>",
            escape(&t.name),
            grouped(*count),
            yes(t.positive),
            yes(t.seen),
            yes(t.hide),
            t.weight
        )
    };
    let rows: String = data.types.iter().zip(&counts).map(row).collect();
    format!(
        "<section><h2>Types of event</h2><table><tr><th>type</th><th class='n'>events</th><th>positive</th><th>seen</th><th>hides</th>\
         <th class='n'>weight</th></tr>{rows}</table></section>"
    )
}
