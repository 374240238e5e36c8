//! Slates of some test users, for people to look at.

use anyhow::Result;
use foretaste::{Recommender, Request};

use crate::data::{Dataset, context_of, event_of};
use crate::protocols::Split;

/// How many of the newest events are shown.
const EVENTS: usize = 8;
/// Length of a slate.
const ITEMS: usize = 10;

/// The slate of one test user.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Id of the user.
    pub user: String,
    /// Titles of the newest events, newest first.
    pub history: Vec<String>,
    /// The slate, best item first.
    pub items: Vec<ExampleItem>,
}

/// One item of an example slate.
#[derive(Debug, Clone, PartialEq)]
pub struct ExampleItem {
    /// Title, or the id of an item without one.
    pub title: String,
    /// Whether the item is a target of the query.
    pub is_target: bool,
}

/// Slates of `count` test users, spread evenly over the test part. Clears the recommender's profile.
///
/// # Errors
/// Those of the towers.
pub fn examples(recommender: &mut Recommender, data: &Dataset, split: &Split, count: usize) -> Result<Vec<Example>> {
    let every = split.test.len().div_ceil(count.max(1)).max(1);
    let name = |item: u32| data.titles[item as usize].clone().unwrap_or_else(|| data.items[item as usize].clone());
    let mut out = Vec::new();
    for query in split.test.iter().step_by(every) {
        recommender.import_profile(query.history.iter().map(|e| event_of(data, e)).collect())?;
        let context = context_of(data, query.user as usize, &recommender.bundle().manifest.encoding);
        let slate = recommender.recommend(&Request { k: ITEMS, context, ..Request::default() })?;
        let row = |id: &str| recommender.bundle().catalog.row(id);
        let is_target = |id: &str| row(id).is_some_and(|row| query.targets.contains(&row));
        let items = slate.items.iter().map(|item| ExampleItem {
            title: item.title.clone().unwrap_or_else(|| item.id.clone()),
            is_target: is_target(&item.id),
        });
        out.push(Example {
            user: data.users[query.user as usize].clone(),
            history: query.history.iter().rev().take(EVENTS).map(|e| name(e.item)).collect(),
            items: items.collect(),
        });
    }
    recommender.clear();
    Ok(out)
}
