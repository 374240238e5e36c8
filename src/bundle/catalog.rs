//! Ids, titles and columns of the items.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result};
use crate::features::{Fields, Value};

/// A catalog file, by column: each list has one entry a row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogFile {
    /// Item ids.
    pub ids: Vec<String>,
    /// Titles, where there are any.
    pub titles: Vec<Option<String>>,
    /// Raw values of the declared columns; the title is not among them.
    pub columns: BTreeMap<String, Vec<Value>>,
}

/// The whole catalog, in row order.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    rows: CatalogFile,
    row_of: HashMap<String, u32>,
}

impl Catalog {
    /// Appends the rows of a file.
    ///
    /// # Errors
    /// `length` where a list has another length than `ids`, `malformed` for an id that is empty or there already.
    pub(super) fn append(&mut self, file: CatalogFile) -> Result<()> {
        let n = file.ids.len();
        let lengths = std::iter::once(("titles", file.titles.len()));
        for (name, got) in lengths.chain(file.columns.iter().map(|(name, v)| (name.as_str(), v.len()))) {
            if got != n {
                return Err(ErrorKind::Length { expected: n, got, unit: "values" }.at(name));
            }
        }
        let before = self.len();
        for (i, id) in file.ids.iter().enumerate() {
            if id.is_empty() || self.row_of.insert(id.clone(), (before + i) as u32).is_some() {
                return Err(ErrorKind::Malformed(format!("id `{id}` is empty or there twice")).at("ids"));
            }
        }
        self.rows.ids.extend(file.ids);
        self.rows.titles.extend(file.titles);
        for (name, values) in file.columns {
            let column = self.rows.columns.entry(name).or_default();
            column.resize(before, Value::Missing);
            column.extend(values);
        }
        self.rows.columns.values_mut().for_each(|column| column.resize(before + n, Value::Missing));
        Ok(())
    }

    /// All rows, as in a file.
    pub fn file(&self) -> &CatalogFile {
        &self.rows
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.ids.is_empty()
    }

    /// Id of a row.
    pub fn id(&self, row: u32) -> &str {
        &self.rows.ids[row as usize]
    }

    /// Row of an id.
    pub fn row(&self, id: &str) -> Option<u32> {
        self.row_of.get(id).copied()
    }

    /// Title of a row, where it has one.
    pub fn title(&self, row: u32) -> Option<&str> {
        self.rows.titles[row as usize].as_deref()
    }

    /// Title of a row, else its id.
    pub fn label(&self, row: u32) -> &str {
        self.title(row).unwrap_or_else(|| self.id(row))
    }

    /// Raw values of a row, missing ones left out.
    pub fn fields(&self, row: u32) -> Fields {
        let value = |(name, values): (&String, &Vec<Value>)| match &values[row as usize] {
            Value::Missing => None,
            value => Some((name.clone(), value.clone())),
        };
        self.rows.columns.iter().filter_map(value).collect()
    }

    #[cfg(test)]
    pub(crate) fn of_titles(titles: &[&str]) -> Catalog {
        let mut catalog = Catalog::default();
        let ids = (0..titles.len()).map(|i| i.to_string()).collect();
        let titles = titles.iter().map(|t| Some(t.to_string())).collect();
        catalog.append(CatalogFile { ids, titles, columns: BTreeMap::new() }).unwrap();
        catalog
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(ids: &[&str], column: Option<&[Value]>) -> CatalogFile {
        CatalogFile {
            ids: ids.iter().map(|i| i.to_string()).collect(),
            titles: vec![None; ids.len()],
            columns: column.map(|v| ("price".to_string(), v.to_vec())).into_iter().collect(),
        }
    }

    #[test]
    fn files_are_joined_by_row() {
        let mut catalog = Catalog::default();
        catalog.append(file(&["a", "__proto__"], None)).unwrap();
        catalog.append(file(&["c"], Some(&[Value::Number(2.0)]))).unwrap();
        catalog.append(file(&["d"], None)).unwrap();
        assert_eq!((catalog.row("__proto__"), catalog.row("c"), catalog.row("x")), (Some(1), Some(2), None));
        assert_eq!(catalog.fields(2), Fields::from([("price".into(), Value::Number(2.0))]));
        assert_eq!((catalog.fields(0), catalog.fields(3)), (Fields::new(), Fields::new()));
        assert_eq!(catalog.label(3), "d");
    }

    #[test]
    fn refuses_lists_of_other_lengths_and_repeated_ids() {
        assert_eq!(Catalog::default().append(file(&["a"], Some(&[]))).unwrap_err().code(), "length");
        assert_eq!(Catalog::default().append(file(&["a", "a"], None)).unwrap_err().code(), "malformed");
        assert_eq!(Catalog::default().append(file(&[""], None)).unwrap_err().code(), "malformed");
    }
}
