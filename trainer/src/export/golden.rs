//! Golden rows: what the bundle computes for invented visitors. No user of the data gets into the bundle.

use std::collections::BTreeMap;

use anyhow::Result;
use foretaste::Recommender;
use foretaste::features::{ColumnEncoding, ColumnKind, Encoding, Fields, Value};
pub(super) use foretaste::golden::Golden;
use foretaste::golden::{GoldenInput, GoldenRow};
use foretaste::profile::Event;

use crate::random::mix;
use crate::towers::VectorScale;

/// Sunday, 2023-11-05 13:20:00 UTC.
const START_MS: i64 = 1_699_190_400_000;
/// Lengths of the histories: empty, one event, a few, and more events than a tower reads.
const LENGTHS: [usize; 7] = [0, 1, 2, 5, 20, 60, 450];

/// Makes one row for each length. Every second visitor has a context. `scales` are those of its vector columns.
pub(super) fn rows(recommender: &Recommender, scales: &BTreeMap<String, VectorScale>) -> Result<Golden> {
    let encoding = &recommender.bundle().manifest.encoding;
    let row = |(i, len): (usize, &usize)| {
        let history = history(recommender, *len, i as u64);
        let context = if i % 2 == 1 { context(encoding, scales, i as u64) } else { Fields::new() };
        let time = (i == 0).then_some(START_MS);
        Ok(GoldenRow::make(recommender, GoldenInput { history, context, time, tz_offset_min: (i == 3).then_some(-90) })?)
    };
    Ok(Golden { rows: LENGTHS.iter().enumerate().map(row).collect::<Result<_>>()? })
}

/// Events with random items, types and values, and gaps from 0 ms to 46 days. One event in ten has an unknown item.
fn history(recommender: &Recommender, len: usize, seed: u64) -> Vec<Event> {
    let (catalog, spec) = (&recommender.bundle().catalog, &recommender.bundle().manifest.encoding.history);
    let mut time = START_MS;
    let event = |i: usize| {
        let draw = |what: u64, n: usize| (mix(seed, i as u64 * 8 + what) % n.max(1) as u64) as usize;
        time += [0, 0, 400, 5_000, 90_000, 7_200_000, 4_000_000_000][draw(0, 7)];
        let names: Vec<&str> = spec.types.iter().map(|t| t.name.as_str()).chain(["new-type"]).collect();
        let known = draw(1, 10) > 0;
        let item = if known { catalog.id(draw(2, catalog.len()) as u32).to_owned() } else { format!("unknown {i}") };
        let edges = &spec.value_edges;
        let value = (draw(4, 4) > 0 && !edges.is_empty()).then(|| edges[draw(5, edges.len())]);
        Event {
            item,
            kind: names[draw(3, names.len())].into(),
            value,
            time: (draw(6, 8) > 0).then_some(time),
            ..Event::default()
        }
    };
    (0..len).map(event).collect()
}

/// A value for every context column that a page states. Columns that are derived from the time have none.
fn context(encoding: &Encoding, scales: &BTreeMap<String, VectorScale>, seed: u64) -> Fields {
    let value = |(i, column): (usize, &ColumnEncoding)| {
        let pick = |words: &[String]| words.get((mix(seed, i as u64) % (words.len() as u64 + 1)) as usize).cloned();
        let value = match &column.kind {
            ColumnKind::Category { vocabulary } | ColumnKind::Text { vocabulary, .. } => {
                Value::Text(pick(vocabulary).unwrap_or("unknown".into()))
            }
            ColumnKind::Set { vocabulary } => Value::Set(pick(vocabulary).into_iter().chain(["unknown".into()]).collect()),
            ColumnKind::Number { mean, sd, .. } => Value::Number(mean + sd * (mix(seed, i as u64) % 7) as f64 - 3.0 * sd),
            ColumnKind::Vector { dim } => {
                let number = |j: usize| (j % 3) as f64 - 1.0;
                let usual = |s: &VectorScale, j: usize| s.mean[j] + s.spread / libm::sqrt(*dim as f64) * number(j);
                let scale = scales.get(&column.name);
                Value::Vector((0..*dim).map(|j| scale.map_or(number(j), |scale| usual(scale, j))).collect())
            }
            _ => return None,
        };
        Some((column.name.clone(), value))
    };
    encoding.context.iter().enumerate().filter_map(value).collect()
}
