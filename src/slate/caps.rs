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
            for shared in value(*last).shared() {
                if before.iter().filter(|row| value(**row).shared().any(|other| other == shared)).count() >= *most {
                    let full: Vec<u32> =
                        candidates.allowed().iter().filter(|row| value(*row).shared().any(|other| other == shared)).collect();
                    full.into_iter().for_each(|row| candidates.remove(row));
                }
            }
        }
    }
}
