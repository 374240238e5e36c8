//! The start of a training from an earlier run.

use std::collections::BTreeMap;

use foretaste::features::{ColumnEncoding, ColumnKind, Encoding};

use super::Run;
use crate::towers::{ItemTower, Parameter, Scales, UserTower};

/// Copies the numbers of an earlier run that still have the same meaning: rows of items by id, rows of slots, types and
/// values by what they stand for, and every other tensor if its shape is equal. All other numbers keep their start.
pub(super) fn take_over(base: &Run, encoding: &Encoding, ids: &[String], items: &mut ItemTower, user: &mut UserTower) {
    let old = &base.card.encoding;
    let item_rows = same(&with_unknown(&base.catalog.ids), &with_unknown(ids));
    let item_slots = same(&slots(&old.items), &slots(&encoding.items));
    let context = same(&slots(&old.context), &slots(&encoding.context));
    let types = same(&types(old), &types(encoding));
    let values = same(&values(old), &values(encoding));
    copy((&base.items.layout, &base.items.numbers), (&items.layout, &mut items.numbers), |name| match name {
        "ids" | "id_bias" | "input_ids" => Some(&item_rows),
        _ => Some(&item_slots),
    });
    copy((&base.user.layout, &base.user.numbers), (&user.layout, &mut user.numbers), |name| match name {
        "context" => Some(&context),
        "types" => Some(&types),
        "values" | "gain" | "rating_values" => Some(&values),
        _ => None,
    });
}

/// Gives vector columns that an earlier run has too the scale that they had there, which its numbers fit.
pub(super) fn take_over_scales(base: &Run, encoding: &Encoding, scales: &mut Scales) {
    let (old, from) = (&base.card.encoding, &base.card.scales);
    for (columns, old, from, scales) in [
        (&encoding.items, &old.items, &from.items, &mut scales.items),
        (&encoding.context, &old.context, &from.context, &mut scales.context),
    ] {
        for column in columns.iter().filter(|column| old.contains(column)) {
            match from.get(&column.name) {
                Some(scale) => _ = scales.insert(column.name.clone(), scale.clone()),
                None => _ = scales.remove(&column.name),
            }
        }
    }
}

/// The old row of each new row; `None` for a row without a counterpart.
type Rows = Vec<Option<usize>>;

/// Matches rows by key.
fn same(old: &[String], new: &[String]) -> Rows {
    let places: BTreeMap<&String, usize> = old.iter().zip(0..).collect();
    new.iter().map(|key| places.get(key).copied()).collect()
}

/// Copies tensors between two lists of numbers, matched by name. If `rows` has a map for the name, it copies row by
/// row; otherwise it copies the whole tensor if the shapes are equal.
fn copy<'a>(
    (old_layout, old): (&[Parameter], &[f32]),
    (layout, numbers): (&[Parameter], &mut [f32]),
    rows: impl Fn(&str) -> Option<&'a Rows>,
) {
    let mut at = BTreeMap::new();
    let mut start = 0;
    for tensor in old_layout {
        at.insert(tensor.name.as_str(), (start, &tensor.shape));
        start += tensor.len();
    }
    let mut rest = numbers;
    for tensor in layout {
        let own = rest.split_off_mut(..tensor.len()).unwrap_or_default();
        let Some((start, shape)) = at.get(tensor.name.as_str()).filter(|(_, shape)| shape[1..] == tensor.shape[1..]) else {
            continue;
        };
        let width: usize = tensor.shape[1..].iter().product();
        match rows(&tensor.name) {
            Some(rows) if rows.len() == tensor.shape[0] => {
                for (row, out) in rows.iter().zip(own.chunks_exact_mut(width)) {
                    let there = row.map(|row| start + row * width).and_then(|from| old.get(from..from + width));
                    there.into_iter().for_each(|row| out.copy_from_slice(row));
                }
            }
            _ if **shape == tensor.shape => own.copy_from_slice(&old[*start..][..tensor.len()]),
            _ => {}
        }
    }
}

/// Keys of the items' rows: row 0 stands for unknown items.
fn with_unknown(ids: &[String]) -> Vec<String> {
    std::iter::once("").chain(ids.iter().map(String::as_str)).map(str::to_owned).collect()
}

/// Keys of the event types' rows: row 0 stands for unknown types.
fn types(encoding: &Encoding) -> Vec<String> {
    let trained = encoding.history.types.iter().filter(|t| t.trained).map(|t| t.name.clone());
    std::iter::once(String::new()).chain(trained).collect()
}

/// Keys of the value buckets' rows. A bucket has the same meaning only if all edges are equal.
fn values(encoding: &Encoding) -> Vec<String> {
    let edges = &encoding.history.value_edges;
    (0..encoding.history.value_rows()).map(|row| format!("{row} of {edges:?}")).collect()
}

/// Keys of the slots of some columns: what each slot stands for.
fn slots(columns: &[ColumnEncoding]) -> Vec<String> {
    let mut keys = Vec::new();
    for column in columns {
        let (words, scheme) = match &column.kind {
            ColumnKind::Category { vocabulary } | ColumnKind::Set { vocabulary } => (vocabulary.as_slice(), String::new()),
            ColumnKind::Text { vocabulary, hash_buckets } => (vocabulary.as_slice(), format!("{hash_buckets} buckets")),
            other => (&[][..], format!("{other:?}")),
        };
        let rest = column.width() - words.len();
        keys.extend(words.iter().map(|word| format!("{}={word}", column.name)));
        keys.extend((0..rest).map(|i| format!("{}#{i} of {scheme}", column.name)));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_matched_by_meaning() {
        let column = |name: &str, kind: ColumnKind| ColumnEncoding { name: name.into(), kind };
        let words = |list: &[&str]| list.iter().map(|w| w.to_string()).collect::<Vec<_>>();
        let columns = |vocabulary: &[&str], edges: &[f64]| {
            let tags = ColumnKind::Set { vocabulary: words(vocabulary) };
            let price = ColumnKind::Number { edges: edges.to_vec(), mean: 1.0, sd: 1.0 };
            vec![column("tags", tags), column("price", price)]
        };
        let old = slots(&columns(&["a", "c"], &[1.0]));
        assert_eq!(old.len(), 6);
        // A new word in the middle moves the later words and the slot of unknown words. Other edges make other buckets.
        assert_eq!(
            same(&old, &slots(&columns(&["a", "b", "c"], &[1.0]))),
            [Some(0), None, Some(1), Some(2), Some(3), Some(4), Some(5)]
        );
        assert_eq!(same(&old, &slots(&columns(&["c"], &[2.0]))), [Some(1), Some(2), None, None, None]);
    }

    #[test]
    fn tensors_are_copied_by_name_row_and_shape() {
        let tensor = |name: &str, shape: &[usize]| Parameter { name: name.into(), shape: shape.to_vec() };
        let old =
            ([tensor("ids", &[3, 2]), tensor("w", &[2]), tensor("v", &[2])], [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 7.0, 8.0, 9.0, 9.5]);
        let layout = [tensor("w", &[2]), tensor("ids", &[4, 2]), tensor("v", &[3])];
        let mut numbers = [0.0f32; 13];
        let rows = vec![Some(0), Some(2), None, Some(1)];
        copy((&old.0, &old.1), (&layout, &mut numbers), |name| (name == "ids").then_some(&rows));
        assert_eq!(numbers, [7.0, 8.0, 1.0, 1.5, 3.0, 3.5, 0.0, 0.0, 2.0, 2.5, 0.0, 0.0, 0.0]);
    }
}
