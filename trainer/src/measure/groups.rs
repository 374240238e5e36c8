//! Groups of users and of items: how well each group of users is served, and how often each group of items is shown.

use std::collections::BTreeMap;

use foretaste::features::Value;

use crate::data::{Column, Dataset};

/// A column with more values than this makes no groups.
const MOST_VALUES: usize = 30;
/// Share of the items that are the head, the most popular ones; the others are the tail.
const HEAD: f64 = 0.2;

/// Name of the group of the items that are not in the head.
pub const TAIL: &str = "tail, the others";

/// Named groups of users or items.
pub(super) struct Groups {
    pub names: Vec<String>,
    /// By user or item: indices into `names` of its groups.
    pub of: Vec<Vec<usize>>,
}

impl Groups {
    fn new(members: usize) -> Groups {
        Groups { names: Vec::new(), of: vec![Vec::new(); members] }
    }

    fn add(&mut self, name: String, is_in: impl Fn(usize) -> bool) {
        let index = self.names.len();
        self.names.push(name);
        (0..self.of.len()).filter(|i| is_in(*i)).for_each(|i| self.of[i].push(index));
    }

    /// Adds one group for each value of a column of categories, or for each member of a column of sets.
    fn add_column(&mut self, column: &Column) {
        let mut values: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, value) in column.values.iter().enumerate() {
            let members: &[String] = match value {
                Value::Text(text) => std::slice::from_ref(text),
                Value::Set(members) => members,
                _ => &[],
            };
            members.iter().for_each(|member| values.entry(member).or_default().push(i));
        }
        if values.len() > MOST_VALUES {
            return;
        }
        for (value, members) in values {
            self.add(format!("{}: {value}", column.name), |i| members.binary_search(&i).is_ok());
        }
    }

    /// Groups of users: three by the number of their events, and one for each category in the users table.
    pub fn of_users(data: &Dataset) -> Groups {
        let mut groups = Groups::new(data.users.len());
        let events = |user: usize| data.history(user).len();
        let mut lengths: Vec<usize> = (0..data.users.len()).map(events).collect();
        lengths.sort_unstable();
        if let (Some(few), Some(some)) = (lengths.get(lengths.len() / 3).copied(), lengths.get(2 * lengths.len() / 3).copied()) {
            groups.add(format!("up to {few} events"), |user| events(user) <= few);
            groups.add(format!("{} to {some} events", few + 1), |user| (few + 1..=some).contains(&events(user)));
            groups.add(format!("more than {some} events"), |user| events(user) > some);
        }
        data.user_table.columns.iter().filter(|c| c.kind == "category").for_each(|column| groups.add_column(column));
        groups
    }

    /// Groups of items: head and tail by popularity, and one for each category or member of a set in the items table.
    pub fn of_items(data: &Dataset) -> Groups {
        let mut groups = Groups::new(data.items.len());
        let mut counts = vec![0u32; data.items.len()];
        data.events.iter().for_each(|e| counts[e.item as usize] += 1);
        let mut order: Vec<usize> = (0..counts.len()).collect();
        order.sort_by_key(|i| (std::cmp::Reverse(counts[*i]), *i));
        let mut is_head = vec![false; counts.len()];
        let head = (HEAD * counts.len() as f64) as usize;
        order[..head].iter().for_each(|i| is_head[*i] = true);
        groups.add("head, the most popular fifth".into(), |i| is_head[i]);
        groups.add(TAIL.into(), |i| !is_head[i]);
        let columns = data.item_table.columns.iter().filter(|c| c.kind == "category" || c.kind == "set");
        columns.for_each(|column| groups.add_column(column));
        groups
    }

    /// The share of all `shown` that each group has; `shown` is a count for each user or item. A member of several
    /// groups counts in each.
    pub fn shares(&self, shown: &[u32]) -> BTreeMap<String, f64> {
        let mut sums = vec![0u64; self.names.len()];
        for (groups, shown) in self.of.iter().zip(shown) {
            groups.iter().for_each(|g| sums[*g] += u64::from(*shown));
        }
        let all = shown.iter().map(|n| u64::from(*n)).sum::<u64>().max(1) as f64;
        self.names.iter().cloned().zip(sums.iter().map(|sum| *sum as f64 / all)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Table;
    use crate::protocols::tests::dataset;

    #[test]
    fn members_and_shares() {
        let mut data = dataset(&[&[0, 1, 2, 3, 4], &[0], &[0, 1]]);
        let text = |t: &str| Value::Text(t.into());
        data.user_table = Table {
            columns: vec![Column { name: "sex".into(), kind: "category", values: vec![text("f"), Value::Missing, text("m")] }],
        };
        let users = Groups::of_users(&data);
        assert_eq!(users.names, ["up to 2 events", "3 to 5 events", "more than 5 events", "sex: f", "sex: m"]);
        assert_eq!(users.of, [vec![1, 3], vec![0], vec![0, 4]]);
        let items = Groups::of_items(&data);
        assert_eq!(items.of, [vec![0], vec![1], vec![1], vec![1], vec![1]]);
        assert_eq!(items.shares(&[3, 0, 0, 1, 0]).into_values().collect::<Vec<_>>(), [0.75, 0.25]);
    }
}
