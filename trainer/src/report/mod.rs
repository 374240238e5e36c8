//! Reports for people: self-contained HTML pages, light or dark as the reader's system is.

mod chart;
mod data;
mod experiment;
mod policy;
mod simulation;

pub use data::html as data_report;
pub use experiment::html as experiment_report;
pub use policy::html as policy_report;
pub use simulation::html as simulation_report;

use chart::escape;

const STYLE: &str = include_str!("report.css");

/// A whole page: `over` is the kind of report, `name` its subject, and `body` its content as HTML.
fn page(over: &str, name: &str, body: &str) -> String {
    let name = escape(name);
    format!(
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>\
         <meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name='viewport' content='width=device-width, initial-scale=1'><meta name='color-scheme' content='light dark'>\
         <title>{name}: {over}</title><style>{STYLE}</style></head><body><main>\
         <header><p class='over'>{over}</p><h1>{name}</h1>{body}</main></body></html>\n"
    )
}

fn figure(title: &str, says: &str, chart: &str) -> String {
    format!("<figure><figcaption><h2>{title}</h2><p>{says}</p></figcaption>{chart}</figure>")
}

fn tiles<'a>(tiles: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let tile = |(says, value)| format!("<li><b>{value}</b><span>{says}</span></li>");
    format!("<ul class='tiles'>{}</ul>", tiles.into_iter().map(tile).collect::<String>())
}
