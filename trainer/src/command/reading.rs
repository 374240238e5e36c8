//! The arguments of reading a data folder, which several verbs share.

use anyhow::{Context, Result};
use foretaste::bundle::{Bundle, Catalog};
use foretaste_trainer::data::{Dataset, Met, ReadOptions};

/// The arguments that every verb with a data folder has.
#[derive(clap::Args)]
pub struct Reading {
    /// Largest share of bad rows that a file may have: 0 refuses a file with any bad row, 1 accepts any number. Bad
    /// rows are skipped and printed.
    #[arg(long, value_name = "SHARE", default_value_t = ReadOptions::default().max_bad, value_parser = share)]
    max_bad: f64,
    /// Megabytes of events to hold in memory. If there are more, they go to a temporary file in the folder that TMPDIR
    /// names: slower, with less memory.
    #[arg(long, value_name = "MB", default_value_t = ReadOptions::default().in_memory >> 20)]
    memory: usize,
}

impl Reading {
    /// The options as `data::read_folder` takes them.
    pub fn options(&self, quiet: bool) -> ReadOptions {
        let in_memory = self.memory.saturating_mul(1 << 20);
        ReadOptions { max_bad: self.max_bad, quiet, in_memory, ..ReadOptions::default() }
    }

    /// The same for what is to be learnt from: one event is too few.
    pub fn to_learn(&self, quiet: bool) -> ReadOptions {
        ReadOptions { least_events: 2, ..self.options(quiet) }
    }
}

/// Says on standard error how many items of a folder's events the bundle knows, and, if some are missing, how many of
/// their types and how many of the columns of users that the bundle reads.
///
/// # Errors
/// The bundle knows none of the items: it is of another catalog, or one of the two writes ids in another way.
pub fn meet_bundle(data: &Dataset, bundle: &Bundle) -> Result<()> {
    let (catalog, types) = (&bundle.catalog, &bundle.manifest.encoding.history.types);
    let items = data.items.iter().zip(&data.in_events).filter(|(_, seen)| **seen).map(|(id, _)| id.as_str());
    let met = Met::of("items of the events in the catalog", items, |id| catalog.row(id).is_some(), || ids(catalog));
    met.check().context("the bundle is of other items")?;
    met.say(false);
    let seen = data.types.iter().filter(|t| t.trained).map(|t| t.name.as_str());
    let known = || types.iter().map(|t| t.name.as_str());
    let types = Met::of("types of the events in the bundle", seen, |name| known().any(|known| known == name), known);
    let columns = || data.user_table.columns.iter().map(|c| c.name.as_str());
    let read = bundle.manifest.encoding.context.iter().filter(|c| !c.is_derived() && columns().next().is_some());
    let read = read.map(|c| c.name.as_str()).filter(|name| data.context_table.columns.iter().all(|c| c.name != *name));
    let what = "columns that the bundle reads of users in the users table";
    let columns = Met::of(what, read, |name| columns().any(|column| column == name), columns);
    [types, columns].iter().filter(|met| met.known < met.of).for_each(|met| met.say(false));
    Ok(())
}

/// The ids of a catalog.
pub fn ids(catalog: &Catalog) -> impl Iterator<Item = &str> {
    (0..catalog.len() as u32).map(|row| catalog.id(row))
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x| (0.0..=1.0).contains(x)).ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
