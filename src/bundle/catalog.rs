//! The catalog: ids, titles and columns of the items.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Result};
use crate::features::{Fields, Value};

/// The most columns of a catalog.
const MAX_COLUMNS: usize = 1024;

/// A catalog file, stored by column: each list has one entry per row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogFile {
    /// Item ids.
    pub ids: Vec<String>,
    /// Titles; `None` for an item without one.
    pub titles: Vec<Option<String>>,
    /// Raw values of the declared columns, without the title.
    pub columns: BTreeMap<String, Vec<Value>>,
}

/// The whole catalog, in row order.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    ids: Texts,
    /// An empty text for an item without a title.
    titles: Texts,
    columns: BTreeMap<String, Vec<Value>>,
    /// Whether any id is not a whole number: then ids are ordered by bytes, else as numbers.
    by_bytes: bool,
}

/// Many texts in one `String`. A `String` for each text would take several times the memory.
#[derive(Debug, Clone, Default)]
struct Texts {
    all: String,
    ends: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) -> Option<()> {
        self.all.push_str(text);
        self.ends.push(u32::try_from(self.all.len()).ok()?);
        Some(())
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.all.get(start as usize..self.ends[row] as usize).unwrap_or_default()
    }
}

impl Catalog {
    /// Appends the rows of a file.
    ///
    /// # Errors
    /// `length` if a list is not as long as `ids`, `limit` for more than 4 GiB of ids or titles, for more than 1,024
    /// columns, and if the missing values of columns that not every file has take more than `memory` bytes. What they
    /// take is taken off.
    pub(super) fn append(&mut self, file: CatalogFile, memory: &mut usize) -> Result<()> {
        let (before, n) = (self.len(), file.ids.len());
        let lengths = std::iter::once(("titles", file.titles.len()));
        for (name, got) in lengths.chain(file.columns.iter().map(|(name, v)| (name.as_str(), v.len()))) {
            if got != n {
                return Err(ErrorKind::Length { expected: n, got, unit: "values" }.at(name));
            }
        }
        let new = file.columns.keys().filter(|name| !self.columns.contains_key(*name)).count();
        let columns = self.columns.len() + new;
        if columns > MAX_COLUMNS {
            return Err(ErrorKind::Limit { limit: MAX_COLUMNS as u64, got: columns as u64 }.at("columns"));
        }
        let missing = new.saturating_mul(before).saturating_add((columns - file.columns.len()).saturating_mul(n));
        let got = missing.saturating_mul(size_of::<Value>());
        if got > *memory {
            return Err(ErrorKind::Limit { limit: *memory as u64, got: got as u64 }.at("columns"));
        }
        *memory -= got;
        let too_long = || ErrorKind::Limit { limit: u64::from(u32::MAX), got: 1 << 32 }.at("texts");
        for (id, title) in file.ids.iter().zip(&file.titles) {
            self.ids.push(id).ok_or_else(too_long)?;
            self.titles.push(title.as_deref().unwrap_or_default()).ok_or_else(too_long)?;
        }
        self.by_bytes |= !file.ids.iter().all(|id| is_whole(id));
        for (name, values) in file.columns {
            let column = self.columns.entry(name).or_default();
            column.resize(before, Value::Missing);
            column.extend(values);
        }
        self.columns.values_mut().for_each(|column| column.resize(before + n, Value::Missing));
        Ok(())
    }

    /// Checks that ids ascend and that none is there twice: [`Catalog::row`] searches by halving.
    ///
    /// # Errors
    /// `malformed` for an empty id, an id that is there twice, and ids that do not ascend.
    pub(super) fn check(&self) -> Result<()> {
        let id = |row: usize| self.ids.get(row);
        match (0..self.len()).find(|row| id(*row).is_empty() || *row > 0 && self.order(id(row - 1), id(*row)).is_ge()) {
            Some(row) => Err(ErrorKind::Malformed(format!("id `{}` is empty, there twice or out of order", id(row))).at("ids")),
            None => Ok(()),
        }
    }

    fn order(&self, a: &str, b: &str) -> Ordering {
        if self.by_bytes { a.cmp(b) } else { by_number(a, b) }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Id of a row.
    pub fn id(&self, row: u32) -> &str {
        self.ids.get(row as usize)
    }

    /// Row of an id.
    pub fn row(&self, id: &str) -> Option<u32> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = (from + to) / 2;
            match self.order(self.ids.get(middle), id) {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                // `by_number` calls ids equal only if their texts are.
                Ordering::Equal => return Some(middle as u32),
            }
        }
        None
    }

    /// Title of a row, if it has one.
    pub fn title(&self, row: u32) -> Option<&str> {
        Some(self.titles.get(row as usize)).filter(|title| !title.is_empty())
    }

    /// Title of a row; its id if it has none.
    pub fn label(&self, row: u32) -> &str {
        self.title(row).unwrap_or_else(|| self.id(row))
    }

    /// Value of a row in a column; `None` for a column that no file has.
    pub fn value(&self, column: &str, row: u32) -> Option<&Value> {
        self.columns.get(column).map(|values| &values[row as usize])
    }

    /// Whether there is a column of this name.
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains_key(column)
    }

    /// Raw values of a row by column name, without missing ones.
    pub fn fields(&self, row: u32) -> Fields {
        let mut fields = Fields::new();
        for (name, values) in &self.columns {
            match &values[row as usize] {
                Value::Missing => {}
                value => _ = fields.insert(name.clone(), value.clone()),
            }
        }
        fields
    }

    #[cfg(test)]
    pub(crate) fn of_titles(titles: &[&str]) -> Catalog {
        Catalog::of_columns(titles, BTreeMap::new())
    }

    #[cfg(test)]
    pub(crate) fn of_columns(titles: &[&str], columns: BTreeMap<String, Vec<Value>>) -> Catalog {
        let mut catalog = Catalog::default();
        let ids = (0..titles.len()).map(|i| i.to_string()).collect();
        let titles = titles.iter().map(|t| Some(t.to_string())).collect();
        catalog.append(CatalogFile { ids, titles, columns }, &mut usize::MAX.clone()).unwrap();
        catalog
    }
}

/// Whether an id consists of decimal digits only, any number of them.
pub fn is_whole(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())
}

/// Order of ids as whole numbers of any length; equal numbers (`007` and `7`) are ordered by bytes.
pub fn by_number(a: &str, b: &str) -> Ordering {
    let (x, y) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn file(ids: &[&str], column: Option<&[Value]>) -> CatalogFile {
        CatalogFile {
            ids: ids.iter().map(|i| i.to_string()).collect(),
            titles: vec![None; ids.len()],
            columns: column.map(|v| ("price".to_string(), v.to_vec())).into_iter().collect(),
        }
    }

    fn append(catalog: &mut Catalog, file: CatalogFile) -> Result<()> {
        catalog.append(file, &mut (1 << 20))
    }

    #[test]
    fn files_are_joined_by_row() {
        let mut catalog = Catalog::default();
        append(&mut catalog, file(&["a", "__proto__"], None)).unwrap();
        append(&mut catalog, file(&["c"], Some(&[Value::Number(2.0)]))).unwrap();
        append(&mut catalog, file(&["d"], None)).unwrap();
        assert_eq!((catalog.id(1), catalog.row("c"), catalog.row("x")), ("__proto__", Some(2), None));
        assert_eq!(catalog.fields(2), Fields::from([("price".into(), Value::Number(2.0))]));
        assert_eq!((catalog.fields(0), catalog.fields(3)), (Fields::new(), Fields::new()));
        assert_eq!((catalog.label(3), catalog.title(3)), ("d", None));
        // `__proto__` sorts before `a`.
        assert_eq!(catalog.check().unwrap_err().code(), "malformed");
    }

    #[test]
    fn rows_are_found_by_halving() {
        for ids in
            [&["1", "007", "7", "10", "99999999999999999999", "100000000000000000000"][..], &["-1", "10", "9", "a", "b", "é"]]
        {
            let mut catalog = Catalog::default();
            append(&mut catalog, file(&ids[..2], None)).unwrap();
            append(&mut catalog, file(&ids[2..], None)).unwrap();
            catalog.check().unwrap();
            for (row, id) in ids.iter().enumerate() {
                assert_eq!(catalog.row(id), Some(row as u32), "{id}");
            }
            for other in ["", "0", "01", "8", "zz", "99999999999999999998"] {
                assert_eq!(catalog.row(other), None, "{other}");
            }
        }
    }

    #[test]
    fn columns_are_counted_over_files() {
        let file = |from: usize, to: usize| {
            let columns = (from..to).map(|i| (format!("c{i}"), vec![Value::Missing])).collect();
            CatalogFile { ids: vec![from.to_string()], titles: vec![None], columns }
        };
        let mut catalog = Catalog::default();
        append(&mut catalog, file(0, 1000)).unwrap();
        append(&mut catalog, file(500, 1024)).unwrap();
        assert_eq!(append(&mut catalog, file(1000, 1025)).unwrap_err().code(), "limit");
        assert_eq!(catalog.len(), 2);
        // 500 values of the first row and 24 of the second are missing, and 1,024 of a third would be.
        let bare = CatalogFile { ids: vec!["z".into()], titles: vec![None], columns: BTreeMap::new() };
        let mut memory = 2047 * size_of::<Value>();
        catalog.append(bare.clone(), &mut memory).unwrap();
        assert_eq!(memory, 1023 * size_of::<Value>());
        assert_eq!(catalog.append(bare, &mut memory).unwrap_err().code(), "limit");
    }

    #[test]
    fn refuses_lists_of_other_lengths_and_ids_that_do_not_ascend() {
        assert_eq!(append(&mut Catalog::default(), file(&["a"], Some(&[]))).unwrap_err().code(), "length");
        for ids in [&["a", "a"][..], &[""], &["b", "a"], &["10", "9"], &["9", "10", "a"]] {
            let mut catalog = Catalog::default();
            append(&mut catalog, file(ids, None)).unwrap();
            assert_eq!(catalog.check().unwrap_err().code(), "malformed", "{ids:?}");
        }
    }
}
