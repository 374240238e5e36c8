//! At most so many items that share a value.

use std::collections::BTreeMap;

use super::Constraint;
use crate::bundle::Catalog;
use crate::explore::Candidates;
use crate::features::Value;

/// At most `caps[column]` items of a slate share a value in a column. Two sets share a value if they share a member.
pub struct Caps<'a> {
    catalog: &'a Catalog,
    caps: &'a BTreeMap<String, usize>,
}

impl<'a> Caps<'a> {
    /// Caps of 1 or more, by column.
    pub fn new(catalog: &'a Catalog, caps: &'a BTreeMap<String, usize>) -> Self {
        Caps { catalog, caps }
    }
}

impl Constraint for Caps<'_> {
    fn apply(&self, before: &[u32], candidates: &mut Candidates) {
        let Some(last) = before.last() else { return };
        for (column, most) in self.caps {
            let value = |row: u32| self.catalog.value(column, row).unwrap_or(&Value::Missing);
            for shared in members(value(*last)) {
                if before.iter().filter(|row| members(value(**row)).any(|other| other == shared)).count() >= *most {
                    let full: Vec<u32> =
                        candidates.allowed().iter().filter(|row| members(value(*row)).any(|other| other == shared)).collect();
                    full.into_iter().for_each(|row| candidates.remove(row));
                }
            }
        }
    }
}

/// A value that items can share.
#[derive(Clone, Copy, PartialEq)]
enum Shared<'a> {
    Text(&'a str),
    Number(f64),
}

/// The values in a cell. A dense vector has none that items could share.
fn members(value: &Value) -> impl Iterator<Item = Shared<'_>> {
    let one = match value {
        Value::Text(text) => Some(Shared::Text(text)),
        Value::Number(number) => Some(Shared::Number(*number)),
        _ => None,
    };
    let many = match value {
        Value::Set(members) => members.as_slice(),
        _ => &[],
    };
    one.into_iter().chain(many.iter().map(|member| Shared::Text(member)))
}
