//! Generated events with a known ground truth: stories, their readers, and what they read next.
//!
//! What there is to learn. Each point is a reason why a popularity list, a dot product of fixed vectors or a bag of
//! items is not enough:
//! - a reader's taste depends on the mood of the session (three moods, each with its own axes; the hour hints at the
//!   mood) and is reversed outside the favourite categories: `world::World::affinity`;
//! - the next story depends on the last one: sequels, and runs within a category;
//! - popularity is skewed (Zipf), falls after a release and follows fashions: `world::World::popularity`;
//! - columns hint at the hidden axes: tags, words of the title, price, the reader's age and segment.

mod events;
mod world;

use std::path::Path;
use std::{fmt, fs};

use anyhow::Result;

use super::write::csv_line;
pub(crate) use world::{CATEGORIES, MOODS, Mood, SEGMENTS, World};

/// Terms of use.
pub const LICENCE: &str = "generated, CC0";

/// Size of the data.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Number of users; each has at least one event.
    pub users: u32,
    /// Number of items; the rarest may have no events.
    pub items: u32,
    /// Exact number of events.
    pub events: u32,
}

impl Default for Size {
    fn default() -> Self {
        Size { users: 1000, items: 600, events: 60_000 }
    }
}

/// Why no data of a size can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeFault {
    /// There are no users.
    NoUsers,
    /// Fewer events than users.
    FewEvents {
        /// One event for each user.
        least: u32,
        /// What was asked for.
        got: u32,
    },
    /// Some users would need more than half of the items.
    ManyEvents {
        /// Half of the items for each user.
        most: u64,
        /// What was asked for.
        got: u32,
    },
}

impl fmt::Display for SizeFault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            SizeFault::NoUsers => write!(f, "users: 1 or more expected, got 0"),
            SizeFault::FewEvents { least, got } => write!(f, "events: {least} or more expected, one a user, got {got}"),
            SizeFault::ManyEvents { most, got } => {
                write!(f, "events: at most {most} expected, half of the items a user, got {got}")
            }
        }
    }
}

impl std::error::Error for SizeFault {}

impl Size {
    /// Checks that every user can have an event and that no user needs more than half of the items.
    ///
    /// # Errors
    /// What is wrong with the size.
    pub fn check(&self) -> Result<(), SizeFault> {
        let most = u64::from(self.users) * u64::from(self.items / 2);
        match self.events {
            _ if self.users == 0 => Err(SizeFault::NoUsers),
            got if got < self.users => Err(SizeFault::FewEvents { least: self.users, got }),
            got if u64::from(got) > most => Err(SizeFault::ManyEvents { most, got }),
            _ => Ok(()),
        }
    }
}

/// Writes a data folder into an existing folder. The same seed gives the same bytes on every machine.
///
/// # Errors
/// A [`SizeFault`], before anything is written; a folder that cannot be written.
pub fn write(size: &Size, seed: u64, folder: &Path) -> Result<()> {
    size.check()?;
    let world = World::new(size, seed);
    let events = events::generate(&world, size, seed);
    let mut text = String::from("user,item,rating,timestamp\n");
    for e in &events {
        csv_line(&mut text, &[e.user + 1, e.item + 1, e.rating, e.time].map(|n| n.to_string()));
    }
    fs::write(folder.join("events.csv"), text)?;
    let mut text = String::from("item,title,category,tags,price\n");
    for (i, item) in world.items.iter().enumerate() {
        let price = format!("{}.{:02}", item.cents / 100, item.cents % 100);
        csv_line(&mut text, &[&(i + 1).to_string(), &item.title, CATEGORIES[item.category].0, &item.tags(), &price]);
    }
    fs::write(folder.join("items.csv"), text)?;
    let mut text = String::from("user,age,segment\n");
    for (u, user) in world.users.iter().enumerate() {
        csv_line(&mut text, &[&(u + 1).to_string(), &user.age.to_string(), SEGMENTS[user.segment].name]);
    }
    fs::write(folder.join("users.csv"), text)?;
    let kinds = "[items.title]\nkind = \"text\"\n\n[items.category]\nkind = \"category\"\n\n[items.tags]\nkind = \"set\"\n\n\
        [items.price]\nkind = \"number\"\n\n[users.age]\nkind = \"number\"\n\n[users.segment]\nkind = \"category\"\n";
    fs::write(folder.join("data.toml"), format!("name = \"synthetic-{seed}\"\nlicence = \"{LICENCE}\"\n\n{kinds}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ReadOptions, read_folder};

    #[test]
    fn sizes_are_exact_and_seeds_fix_the_bytes() {
        let size = Size { users: 300, items: 150, events: 9000 };
        let folder = |seed| {
            let folder = tempfile::tempdir().unwrap();
            write(&size, seed, folder.path()).unwrap();
            folder
        };
        let (a, b, c) = (folder(1), folder(1), folder(2));
        for name in ["events.csv", "items.csv", "users.csv", "data.toml"] {
            let bytes = |f: &tempfile::TempDir| fs::read(f.path().join(name)).unwrap();
            assert_eq!(bytes(&a), bytes(&b), "{name}");
            assert_ne!(bytes(&a), bytes(&c), "{name}");
        }
        let data = read_folder(a.path(), &ReadOptions { max_bad: 0.0, quiet: true, ..ReadOptions::default() }).unwrap();
        assert_eq!((data.users.len(), data.items.len(), data.events.len()), (300, 150, 9000));
        assert_eq!((data.users[0].as_str(), data.items[149].as_str(), data.name.as_str()), ("1", "150", "synthetic-1"));
        let kinds = |table: &crate::data::Table| table.columns.iter().map(|c| (c.name.clone(), c.kind)).collect::<Vec<_>>();
        let expected = [("category", "category"), ("price", "number"), ("tags", "set"), ("title", "text")];
        assert_eq!(kinds(&data.item_table), expected.map(|(n, k)| (n.to_owned(), k)));
        assert_eq!(kinds(&data.user_table), [("age", "number"), ("segment", "category")].map(|(n, k)| (n.to_owned(), k)));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        let check = |users, items, events| Size { users, items, events }.check();
        assert_eq!(check(10, 4, 20), Ok(()));
        assert_eq!(check(10, 4, 21), Err(SizeFault::ManyEvents { most: 20, got: 21 }));
        assert_eq!(check(10, 4, 9), Err(SizeFault::FewEvents { least: 10, got: 9 }));
        assert_eq!((check(0, 4, 0), check(1, 1, 1)), (Err(SizeFault::NoUsers), Err(SizeFault::ManyEvents { most: 0, got: 1 })));
        let folder = tempfile::tempdir().unwrap();
        let error = write(&Size { users: 10, items: 4, events: 21 }, 1, folder.path()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&SizeFault::ManyEvents { most: 20, got: 21 }));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is written");
    }
}
