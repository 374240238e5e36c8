//! What a ranker of a data set reads: columns, views, and what `data.toml` declares beside them.

use anyhow::{Context, Result, bail};
use foretaste::bundle::{Calibration, Head, RankerSpec};
use foretaste::features::{ColumnKind, Encoding, Over};

use super::CANDIDATES;
use super::requests::inputs;
use crate::data::{Dataset, plain};
use crate::ranker::views_of;

/// The views and inputs of a ranker before their numbers are fitted, without heads. Crosses stand last, behind what
/// they cross.
pub fn spec(data: &Dataset, encoding: &Encoding) -> RankerSpec {
    let views = views_of(data);
    let mut inputs = inputs(encoding, &views);
    let is_cross = |kind: &ColumnKind| matches!(kind, ColumnKind::Cross { .. });
    inputs.extend(data.inputs.iter().filter(|input| !is_cross(&input.kind)).cloned());
    inputs.extend(data.inputs.iter().filter(|input| is_cross(&input.kind)).cloned());
    RankerSpec { candidates: CANDIDATES, inputs, views, heads: vec![] }
}

/// Checks before anything is learnt that a bundle can hold what the ranker would read.
///
/// # Errors
/// A column that the towers do not read, and so the bundle would not know; numbers outside the bundle's limits.
pub fn check(data: &Dataset, encoding: &Encoding) -> Result<()> {
    let mut spec = spec(data, encoding);
    let unread = |name: &str, key: &str, column: &str| {
        bail!(
            "data.toml: [features.{}] {key}: the towers do not read `{}`: `inputs` of the settings leaves it out, or none of \
             its values occurs in three rows",
            plain(name),
            plain(column)
        )
    };
    for view in &spec.views {
        let (columns, column) = match &view.of {
            Over::UserColumn(column) => (&encoding.items, column),
            Over::ItemContext(column) => (&encoding.context, column),
            Over::User | Over::Item => continue,
        };
        if columns.iter().all(|own| own.name != *column) {
            unread(&view.name, "of", column)?;
        }
    }
    for input in &spec.inputs {
        let ColumnKind::Cross { of: (a, b), .. } = &input.kind else { continue };
        if let Some(name) = [a, b].into_iter().find(|name| spec.inputs.iter().all(|own| own.name != **name)) {
            unread(&input.name, "cross", name)?;
        }
    }
    spec.heads = vec![Head { name: "head".into(), weight: 1.0, calibration: Calibration::Platt(1.0, 0.0) }];
    spec.check(encoding).context("data.toml: a bundle cannot hold what it declares for the ranker")
}

#[cfg(test)]
mod tests {
    use foretaste::features::{ColumnEncoding, Measure, Value, View};

    use super::super::super::{Config, encoding};
    use super::*;
    use crate::data::{Column, type_of};
    use crate::protocols::histories;
    use crate::protocols::tests::dataset;

    /// Six visitors of four items with a tag, from two towns; two events are hours apart.
    fn data() -> Dataset {
        let mut data = dataset(&[&[0, 1, 2, 3][..]; 6]);
        data.types = vec![type_of("rate")];
        data.events.change(|events| events.iter_mut().for_each(|event| event.time = event.time.map(|t| t * 7200)));
        let column = |name: &str, n: usize, of: fn(usize) -> String| Column {
            name: name.into(),
            kind: "category",
            values: (0..n).map(|i| Value::Text(of(i))).collect(),
        };
        data.item_table.columns = vec![column("tag", 4, |i| if i == 3 { "b".into() } else { "a".into() })];
        data.user_table.columns = vec![column("town", 6, |i| (i % 2).to_string())];
        data.context_table.columns = vec![column("page", 24, |i| i.to_string())];
        data
    }

    fn cross(a: &str, b: &str) -> ColumnEncoding {
        ColumnEncoding { name: "both".into(), kind: ColumnKind::Cross { of: (a.into(), b.into()), buckets: 64 } }
    }

    fn fitted(data: &Dataset) -> Encoding {
        encoding::fit(data, &histories(data, |_| true), &Config::default()).unwrap().0
    }

    #[test]
    fn what_is_declared_is_read() {
        let mut data = data();
        let day = ColumnEncoding { name: "day".into(), kind: ColumnKind::Cyclic { period_ms: 86_400_000 } };
        // In order of names the cross stands before the circle.
        data.inputs = vec![cross("tag", "town"), day];
        let view = |name: &str, of: Over| View { name: name.into(), of, measure: Measure::Count, types: vec![], window: None };
        data.views = vec![view("by_hour", Over::ItemContext("hour".into())), view("by_town", Over::ItemContext("town".into()))];
        let encoding = fitted(&data);
        check(&data, &encoding).unwrap();
        let spec = spec(&data, &encoding);
        let names: Vec<&str> = spec.inputs.iter().map(|input| input.name.as_str()).collect();
        assert_eq!(names[..5], ["score", "neighbours", "place", "by_hour", "by_town"]);
        assert_eq!(names[names.len() - 2..], ["day", "both"]);

        // Four events, two hours apart, of each of three visitors of a town; every item once.
        let histories = histories(&data, |_| true);
        let values = super::super::shipped_values(&data, &encoding, &spec.views, &histories);
        let hours: Vec<f32> = (0..4 * 24).map(|i| if i % 24 == 2 * (i / 24) { 6.0 } else { 0.0 }).collect();
        assert_eq!(values[0], hours);
        assert_eq!(values[1], [3.0, 3.0, 0.0].repeat(4), "the last slot is that of other towns");
    }

    #[test]
    fn what_the_towers_do_not_read_is_refused_before_anything_is_learnt() {
        let fault = |change: &dyn Fn(&mut Dataset)| {
            let mut data = data();
            change(&mut data);
            check(&data, &fitted(&data)).map_or_else(|error| format!("{error:#}"), |()| "fine".into())
        };
        assert_eq!(fault(&|data| data.inputs = vec![cross("tag", "hour")]), "fine");
        // No page occurs in three rows.
        let of_page = fault(&|data| data.inputs = vec![cross("tag", "page")]);
        assert!(of_page.contains("[features.both] cross: the towers do not read `page`"), "{of_page}");
        let by_page = fault(&|data| {
            let of = Over::ItemContext("page".into());
            data.views = vec![View { name: "v".into(), of, measure: Measure::Count, types: vec![], window: None }];
        });
        assert!(by_page.contains("[features.v] of: the towers do not read `page`"), "{by_page}");
        let many = fault(&|data| {
            let one = |i: usize| ColumnEncoding { name: format!("c{i}"), ..cross("tag", "town") };
            data.inputs = (0..300).map(one).collect();
        });
        assert!(many.contains("a bundle cannot hold"), "{many}");
    }
}
