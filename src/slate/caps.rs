//! At most so many of a kind.

use std::collections::BTreeMap;

use super::Constraint;
use crate::bundle::Catalog;
use crate::explore::Candidates;
use crate::features::Value;

/// At most `caps[column]` items of a slate share a value of a column; of sets, any member.
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
            for kind in members(value(*last)) {
                if before.iter().filter(|row| members(value(**row)).any(|other| other == kind)).count() >= *most {
                    let full: Vec<u32> =
                        candidates.allowed().iter().filter(|row| members(value(*row)).any(|other| other == kind)).collect();
                    full.into_iter().for_each(|row| candidates.remove(row));
                }
            }
        }
    }
}

/// One value that items can share.
#[derive(Clone, Copy, PartialEq)]
enum Kind<'a> {
    Text(&'a str),
    Number(f64),
}

/// The values of a cell; dense vectors have none to share.
fn members(value: &Value) -> impl Iterator<Item = Kind<'_>> {
    let one = match value {
        Value::Text(text) => Some(Kind::Text(text)),
        Value::Number(number) => Some(Kind::Number(*number)),
        _ => None,
    };
    let many = match value {
        Value::Set(members) => members.as_slice(),
        _ => &[],
    };
    one.into_iter().chain(many.iter().map(|member| Kind::Text(member)))
}
