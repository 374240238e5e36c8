//! The views that are inputs of a ranker.

use foretaste::features::{Measure, Over, View, Window};

use crate::data::Dataset;

/// Most columns of items whose values are counted in a visitor's history.
const MOST_COLUMNS: usize = 4;
const DAY_MS: i64 = 86_400_000;

/// The views that `data.toml` declares or, where it declares none, what may be counted: how popular an item is and was
/// of late, how it is rated, and what a visitor has had of each column. Columns of categories and sets are counted; of
/// many, those whose values recur most.
pub fn views_of(data: &Dataset) -> Vec<View> {
    if !data.views.is_empty() {
        return data.views.clone();
    }
    let view = |name: &str, of: Over, measure: Measure, window: Option<Window>| View {
        name: name.to_owned(),
        of,
        measure,
        types: Vec::new(),
        window,
    };
    let (has_times, has_ratings) = (data.has_times(), data.has_ratings());
    let mut views = vec![view("item_count", Over::Item, Measure::Count, None)];
    if has_times {
        for days in [7, 60] {
            views.push(view(&format!("item_decay_{days}d"), Over::Item, Measure::Decay { half_life: days * DAY_MS }, None));
        }
    }
    if has_ratings {
        views.push(view("item_mean", Over::Item, Measure::Mean, None));
        views.push(view("user_mean", Over::User, Measure::Mean, None));
    }
    for column in counted_columns(data) {
        let of = || Over::UserColumn(column.to_owned());
        views.push(view(&format!("user_{column}_count"), of(), Measure::Count, None));
        views.push(view(&format!("user_{column}_last_10"), of(), Measure::Count, Some(Window::Events(10))));
        if has_ratings {
            views.push(view(&format!("user_{column}_mean"), of(), Measure::Mean, None));
        }
    }
    // A column of the data keeps its name.
    let tables = [&data.item_table, &data.user_table, &data.context_table];
    views.retain(|view| tables.iter().all(|table| table.columns.iter().all(|column| column.name != view.name)));
    views
}

/// The columns of items that a visitor's events may share, by how many items have each of their values.
fn counted_columns(data: &Dataset) -> Vec<&str> {
    let mut columns: Vec<(usize, &str)> = data
        .item_table
        .columns
        .iter()
        .filter(|column| matches!(column.kind, "category" | "set"))
        .map(|column| {
            let values = column.values.iter().flat_map(foretaste::features::Value::set);
            (values.collect::<std::collections::BTreeSet<_>>().len(), column.name.as_str())
        })
        .filter(|(distinct, _)| *distinct > 1)
        .collect();
    columns.sort();
    columns.into_iter().take(MOST_COLUMNS).map(|(_, name)| name).collect()
}
