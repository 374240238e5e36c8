//! Slates of some visitors of the test part, to look at.

use anyhow::Result;
use foretaste::{Recommender, Request};

use crate::data::{Dataset, context_of, event_of};
use crate::protocols::Split;

/// Events of a history, and items of a slate.
const EVENTS: usize = 8;
const ITEMS: usize = 10;

/// What one visitor of the test part was recommended.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Id of the user.
    pub user: String,
    /// Titles of the newest events, newest first.
    pub history: Vec<String>,
    /// Titles of the slate, and whether the item was wanted.
    pub items: Vec<(String, bool)>,
}

/// `count` of them, spread over the test part; leaves the recommender's profile empty.
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
        let wanted = |id: &str| row(id).is_some_and(|row| query.targets.contains(&row));
        out.push(Example {
            user: data.users[query.user as usize].clone(),
            history: query.history.iter().rev().take(EVENTS).map(|e| name(e.item)).collect(),
            items: slate.items.iter().map(|i| (i.title.clone().unwrap_or_else(|| i.id.clone()), wanted(&i.id))).collect(),
        });
    }
    recommender.clear();
    Ok(out)
}
