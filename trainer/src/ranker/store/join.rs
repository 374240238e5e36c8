//! Reads the values of an entity at a moment: a point-in-time join of one row.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use foretaste::features::{Measure, Value, View};

use super::super::FeatureValue;
use super::{Card, MOMENT, Specification, TableSpec};
use crate::data::Dataset;
use crate::data::columnar::{ReadCell, each_row};

/// The last row of an entity before a moment: when it was true first, and its values.
type Last = (i64, Vec<Option<f64>>);

/// The values of the views for a visitor and, if one is given, an item, from the tables in `store`, as
/// [`super::super::values_at`] gives them from events: those of the last row at `at` or before it, in milliseconds UTC;
/// without a time of the last one. Values of a table that has a time to live are missing once it is over. A view by a
/// column of items has a value for each of the item's values.
///
/// # Errors
/// A store without tables of this specification, or that does not reach to `at`; files that cannot be read.
pub fn stored_values(
    data: &Dataset,
    store: &Path,
    user: usize,
    item: Option<u32>,
    at: Option<i64>,
) -> Result<BTreeMap<String, FeatureValue>> {
    let specification = Specification::of(data)?;
    let folder = store.join(specification.hash()?);
    let card = Card::read(&folder, &specification)?;
    let card = card.with_context(|| format!("{}: no tables: `foretaste features write` makes them", folder.display()))?;
    let at = at.unwrap_or(card.through);
    ensure!(
        at <= card.through,
        "{}: it knows what happened until {}, not until {}: write it again when there are later events",
        folder.display(),
        card.through / 1000,
        at / 1000
    );
    let mut values = BTreeMap::new();
    for table in &specification.tables {
        let (entity, column) = table.keys();
        let id = match (entity, item) {
            ("user", _) => &data.users[user],
            (_, Some(item)) => &data.items[item as usize],
            (_, None) => continue,
        };
        let parts = card.tables.get(&table.of).with_context(|| format!("{}: no table `{}`", folder.display(), table.of))?;
        let mut last: BTreeMap<String, Last> = BTreeMap::new();
        for file in &parts.files {
            let path = folder.join(&parts.folder).join(file);
            find(&path, table, id, at, &mut last).with_context(|| path.display().to_string())?;
        }
        // Of a visitor's values by a column those that the item has, or all.
        let members = match (entity, column, item) {
            ("user", Some(name), Some(item)) => {
                let own = data.item_table.columns.iter().find(|own| own.name == name);
                Some(own.map(|own| Value::set(&own.values[item as usize])).unwrap_or_default())
            }
            _ => None,
        };
        for (i, view) in table.views.iter().enumerate() {
            let one = |key: &str| value(view, i, table.ttl_ms, last.get(key), at);
            let value = match (&members, column) {
                (_, None) => FeatureValue::One(one("")),
                (Some(members), _) if members.len() == 1 => FeatureValue::One(one(&members[0])),
                (Some(members), _) => FeatureValue::ByValue(members.iter().map(|key| (key.clone(), one(key))).collect()),
                (None, _) => FeatureValue::ByValue(last.keys().map(|key| (key.clone(), one(key))).collect()),
            };
            values.insert(view.name.clone(), value);
        }
    }
    Ok(values)
}

/// Keeps for each second key the last row of an entity until a moment.
fn find(path: &Path, table: &TableSpec, id: &str, at: i64, last: &mut BTreeMap<String, Last>) -> Result<()> {
    let (entity, column) = table.keys();
    let mut wanted = vec![entity];
    wanted.extend(column);
    wanted.push(MOMENT);
    let keys = wanted.len();
    wanted.extend(table.views.iter().map(|view| view.name.as_str()));
    each_row(path, &wanted, |cells| {
        let key = match (&cells[0], &cells[keys - 2]) {
            (ReadCell::Text(own), _) if own != id => return Ok(()),
            (ReadCell::Text(_), ReadCell::Text(key)) => {
                if column.is_some() {
                    key.as_str()
                } else {
                    ""
                }
            }
            _ => anyhow::bail!("a row without an entity"),
        };
        let ReadCell::Moment(moment) = cells[keys - 1] else { anyhow::bail!("a row without a moment") };
        let is_later = last.get(key).is_none_or(|(other, _)| *other < moment);
        if moment <= at && is_later {
            let number = |cell: &ReadCell| if let ReadCell::Number(x) = cell { Some(*x) } else { None };
            last.insert(key.to_owned(), (moment, cells[keys..].iter().map(number).collect()));
        }
        Ok(())
    })
}

/// The value of a view at a moment from the row before it. Nothing has happened in between, but time has passed.
fn value(view: &View, place: usize, ttl_ms: Option<i64>, row: Option<&Last>, at: i64) -> Option<f64> {
    let Some((moment, values)) = row else {
        // No event yet.
        return matches!(view.measure, Measure::Count | Measure::Decay { .. }).then_some(0.0);
    };
    let passed = at.saturating_sub(*moment);
    if ttl_ms.is_some_and(|ttl| passed > ttl) {
        return None;
    }
    let value = values[place]?;
    Some(match view.measure {
        Measure::Decay { half_life } => value * libm::exp2(-(passed as f64) / half_life as f64),
        Measure::Since => value + passed as f64 / 1000.0,
        Measure::Count | Measure::Rate | Measure::Mean => value,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::super::super::values_at;
    use super::super::write_store;
    use super::*;
    use crate::data::{ReadOptions, read_folder, synthetic};
    use crate::random::mix;

    const FEATURES: &str = "
[features.count]\nof = 'user'\ncount = true
[features.count_5]\nof = 'user'\ncount = true\nwindow = '5 events'
[features.rate_30d]\nof = 'user'\nrate = true\ntypes = ['rate']\nwindow = '30d'
[features.mean_40d]\nof = 'user'\nmean = true\nwindow = '40d'
[features.tag_decay]\nof = 'user.tags'\ndecay = '9d'
[features.tag_decay_20d]\nof = 'user.tags'\ndecay = '9d'\nwindow = '20d'
[features.tag_4]\nof = 'user.tags'\ncount = true\nwindow = '4 events'
[features.category_since]\nof = 'user.category'\nsince = true\nwindow = '25d'
[features.item_30d]\nof = 'item'\ncount = true\nwindow = '30d'
[features.item_decay]\nof = 'item'\ndecay = '3d'\nwindow = '9 events'
[features.item_mean]\nof = 'item'\nmean = true
[features.by_hour]\nof = 'item.hour'\ncount = true\nwindow = '90d'
[features.by_segment]\nof = 'item.segment'\nsince = true
";

    /// Data whose first `share` of the days is there, with the features above and `more`.
    fn data(share: f64, more: &str) -> Dataset {
        let folder = tempfile::tempdir().unwrap();
        synthetic::write(&synthetic::Size { users: 30, items: 40, events: 500 }, 4, folder.path()).unwrap();
        let path = folder.path().join("events.csv");
        let text = fs::read_to_string(&path).unwrap();
        let time = |line: &str| line.rsplit(',').next().unwrap().parse::<i64>().ok();
        let times: Vec<i64> = text.lines().filter_map(time).collect();
        let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
        let end = least + ((most - least) as f64 * share) as i64;
        let kept: Vec<&str> = text.lines().filter(|line| time(line).is_none_or(|time| time <= end)).collect();
        fs::write(path, kept.join("\n")).unwrap();
        let path = folder.path().join("data.toml");
        fs::write(&path, fs::read_to_string(&path).unwrap() + FEATURES + more).unwrap();
        read_folder(folder.path(), &ReadOptions { quiet: true, ..ReadOptions::default() }).unwrap()
    }

    fn is_close(got: Option<f64>, expected: Option<f64>) -> bool {
        got == expected || got.zip(expected).is_some_and(|(a, b)| (a - b).abs() <= 1e-9 * b.abs().max(1.0))
    }

    /// Every row of every table as text.
    fn rows(store: &Path) -> BTreeSet<String> {
        let mut rows = BTreeSet::new();
        for folder in fs::read_dir(store).unwrap() {
            let folder = folder.unwrap().path();
            let card: Card = serde_json::from_slice(&fs::read(folder.join("store.json")).unwrap()).unwrap();
            for table in &card.specification.tables {
                let parts = &card.tables[&table.of];
                let mut n = 0;
                for file in &parts.files {
                    let mut names = vec![table.keys().0];
                    names.extend(table.keys().1);
                    names.push(MOMENT);
                    names.extend(table.views.iter().map(|view| view.name.as_str()));
                    let path = folder.join(&parts.folder).join(file);
                    each_row(&path, &names, |cells| {
                        n += 1;
                        assert!(rows.insert(format!("{}: {cells:?}", table.of)), "twice: {} {cells:?}", table.of);
                        Ok(())
                    })
                    .unwrap();
                }
                assert_eq!(n, parts.rows, "{}", table.of);
            }
        }
        rows
    }

    /// At drawn moments, at those of events, and just before and after them.
    #[test]
    fn the_join_gives_what_the_events_give() {
        let (data, store) = (data(1.0, ""), tempfile::tempdir().unwrap());
        let outcome = write_store(&data, store.path()).unwrap();
        assert_eq!(
            outcome.added.keys().collect::<Vec<_>>(),
            ["item", "item.hour", "item.segment", "user", "user.category", "user.tags"]
        );
        let (mut known, mut asked) = (0, 0);
        for round in 0..120u64 {
            let event = data.events[mix(1, round) as usize % data.events.len()];
            let other = data.events[mix(2, round) as usize % data.events.len()];
            let at = 1000 * other.time.unwrap() + [0, 1000, -1000, 1000 * 86_400 * 30 + 1000][round as usize % 4];
            let at = Some(at.min(outcome.through));
            for item in [None, Some(event.item)] {
                let got = stored_values(&data, store.path(), event.user as usize, item, at).unwrap();
                let expected = values_at(&data, event.user as usize, item, at);
                assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
                for (name, got) in &got {
                    let is_same = match (got, &expected[name]) {
                        (FeatureValue::One(a), FeatureValue::One(b)) => is_close(*a, *b),
                        (FeatureValue::ByValue(a), FeatureValue::ByValue(b)) => {
                            // A value that was never had counts nothing.
                            let none = if name.contains("since") || name == "by_segment" { None } else { Some(0.0) };
                            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                            let of = |map: &BTreeMap<String, Option<f64>>, key: &String| map.get(key).copied().unwrap_or(none);
                            keys.into_iter().all(|key| is_close(of(a, key), of(b, key)))
                        }
                        // An item with several tags: the store has each of them alone.
                        (FeatureValue::ByValue(_), FeatureValue::One(_)) => name.starts_with("tag_"),
                        _ => false,
                    };
                    assert!(is_same, "{name} at {at:?}: {got:?}, expected {:?}", expected[name]);
                    asked += 1;
                    known += usize::from(!matches!(got, FeatureValue::One(None)));
                }
            }
        }
        assert!(asked > 2500 && known * 2 > asked, "{known} of {asked}");
    }

    #[test]
    fn appended_events_give_the_rows_of_all_events() {
        let (scratch, grown) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all = data(1.0, "");
        write_store(&all, scratch.path()).unwrap();
        let first = write_store(&data(0.4, ""), grown.path()).unwrap();
        let earlier = rows(grown.path());
        let part = |folder: &str| fs::read(Path::new(folder).join("user/part-000000-000000.parquet")).unwrap();
        let bytes = part(&first.folder);
        write_store(&data(0.7, ""), grown.path()).unwrap();
        let last = write_store(&all, grown.path()).unwrap();
        assert_eq!((&first.folder, part(&last.folder)), (&last.folder, bytes), "what was there is as it was");
        let (grown_rows, all_rows) = (rows(grown.path()), rows(scratch.path()));
        assert!(earlier.len() > 500 && earlier.is_subset(&grown_rows) && all_rows.len() > 2 * earlier.len());
        assert_eq!(grown_rows, all_rows);
        // Nothing is new.
        assert!(write_store(&all, grown.path()).unwrap().added.values().all(|rows| *rows == 0));
        assert_eq!(rows(grown.path()), all_rows);
    }

    #[test]
    fn changed_and_late_events_are_refused_and_nothing_is_lost() {
        let store = tempfile::tempdir().unwrap();
        let mut data = data(0.5, "");
        let outcome = write_store(&data, store.path()).unwrap();
        let before = rows(store.path());
        let original = data.events.clone();
        data.events.change(|events| events[3].rating = Some(2.5));
        let changed = write_store(&data, store.path()).unwrap_err().to_string();
        assert!(changed.contains("they were changed, or some came late"), "{changed}");
        data.events = original;
        let values = data.item_table.columns.iter_mut().find(|column| column.name == "category").unwrap();
        values.values[data.events[0].item as usize] = Value::Text("another".into());
        assert!(write_store(&data, store.path()).is_err(), "what events are counted by");
        assert!(write_store(&self::data(0.3, ""), store.path()).is_err(), "fewer events");
        assert_eq!(rows(store.path()), before);

        // What a stopped writing has left is not read, and is removed by the next one.
        let left = Path::new(&outcome.folder).join("user/part-000009-000000.parquet");
        fs::write(&left, "cut off").unwrap();
        let all = self::data(1.0, "");
        let at = Some(outcome.through);
        stored_values(&all, store.path(), 0, None, at).unwrap();
        write_store(&all, store.path()).unwrap();
        assert!(!left.exists());
        let late = stored_values(&all, store.path(), 0, None, Some(i64::MAX)).unwrap_err().to_string();
        assert!(late.contains("it knows what happened until"), "{late}");
        // A damaged table is an error, not a panic.
        let part = Path::new(&outcome.folder).join("user/part-000000-000000.parquet");
        let mut bytes = fs::read(&part).unwrap();
        bytes.truncate(bytes.len() / 2);
        fs::write(&part, bytes).unwrap();
        assert!(stored_values(&all, store.path(), 0, None, None).is_err());
    }

    #[test]
    fn values_older_than_their_time_to_live_are_missing() {
        let store = tempfile::tempdir().unwrap();
        let data = data(1.0, "[ttl]\nuser = '2d'\n'item.hour' = '1d'\n");
        let outcome = write_store(&data, store.path()).unwrap();
        let plain = self::data(1.0, "");
        assert_ne!(outcome.folder, write_store(&plain, store.path()).unwrap().folder, "another specification");
        let event = data.history(0)[2];
        let at = |seconds: i64| {
            let at = Some((1000 * (event.time.unwrap() + seconds)).min(outcome.through));
            let of = |data: &Dataset| stored_values(data, store.path(), 0, Some(event.item), at).unwrap();
            (of(&data), of(&plain))
        };
        let (mut fresh, mut expected) = at(1);
        // Of the hours only that of the event is fresh.
        let [Some(FeatureValue::ByValue(hours)), Some(FeatureValue::ByValue(all))] =
            [&mut fresh, &mut expected].map(|values| values.remove("by_hour"))
        else {
            panic!("a number for each hour")
        };
        assert_eq!(fresh, expected);
        let known: Vec<&String> = hours.iter().filter(|(_, value)| value.is_some()).map(|(hour, _)| hour).collect();
        assert!(known.len() < all.len() && known.contains(&&(event.time.unwrap() / 3600 % 24).to_string()), "{hours:?}");
        assert!(known.iter().all(|hour| hours[*hour] == all[*hour]));
        // The end of the data is long after: nobody has come for days.
        let last = data.history(0).last().unwrap().time.unwrap();
        let (old, expected) = at(last - event.time.unwrap() + 3 * 86_400);
        assert_eq!(old["count"], FeatureValue::One(None));
        assert!(matches!(expected["count"], FeatureValue::One(Some(n)) if n > 1.0));
        assert_eq!((&old["item_mean"], &old["tag_4"]), (&expected["item_mean"], &expected["tag_4"]), "other tables live on");
        let fault = |more: &str| {
            let mut other = self::data(0.3, "");
            other.ttl.insert(more.into(), 1);
            write_store(&other, store.path()).unwrap_err().to_string()
        };
        assert!(fault("user.price").contains("[ttl] `user.price`: no feature is counted of it"));
    }

    #[test]
    fn names_that_tables_need_are_refused() {
        let store = tempfile::tempdir().unwrap();
        for (name, of) in [("item", "item"), ("event_timestamp", "user")] {
            let mut data = data(0.3, "");
            let own = data.views.iter().position(|view| crate::data::of_text(&view.of) == of).unwrap();
            data.views[own].name = name.into();
            let error = write_store(&data, store.path()).unwrap_err().to_string();
            assert!(error.contains(&format!("two columns `{name}`")), "{error}");
        }
        let mut timeless = data(0.3, "");
        timeless.events.change(|events| events.iter_mut().for_each(|event| event.time = None));
        assert!(write_store(&timeless, store.path()).unwrap_err().to_string().contains("no times"));
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 0);
    }
}
