//! Reads tables that [`super::write()`] wrote, cell by cell: unlike [`super::rows`], with times in milliseconds.

use std::path::Path;

use anyhow::{Context, Result, bail};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::read::guarded;
use crate::files;

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ReadCell {
    /// Null.
    Missing,
    /// A text.
    Text(String),
    /// A number.
    Number(f64),
    /// Milliseconds UTC.
    Moment(i64),
}

/// Calls `each` with the cells of these columns, in their order, for each row.
///
/// # Errors
/// A file that is no Parquet, is damaged, or lacks a column; those of `each`.
pub(crate) fn each_row(path: &Path, columns: &[&str], mut each: impl FnMut(&[ReadCell]) -> Result<()>) -> Result<()> {
    let (file, _) = files::open(path)?;
    guarded(|| {
        let reader = SerializedFileReader::new(file)?;
        let schema = reader.metadata().file_metadata().schema();
        let names: Vec<&str> = schema.get_fields().iter().map(|field| field.name()).collect();
        let place = |name: &&str| names.iter().position(|own| own == name).with_context(|| format!("no column `{name}`"));
        let places: Vec<usize> = columns.iter().map(place).collect::<Result<_>>()?;
        for row in reader.get_row_iter(None)? {
            let row = row?;
            let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
            let cell = |at: &usize| {
                Ok(match fields[*at] {
                    Field::Null => ReadCell::Missing,
                    Field::Str(text) => ReadCell::Text(text.clone()),
                    Field::Double(x) => ReadCell::Number(*x),
                    Field::TimestampMillis(moment) => ReadCell::Moment(*moment),
                    _ => bail!("a column of another type"),
                })
            };
            each(&places.iter().map(cell).collect::<Result<Vec<_>>>()?)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Written, write};
    use super::*;

    #[test]
    fn cells_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let columns = |range: std::ops::Range<usize>| {
            let of = |i: usize| (i != 1).then_some(i as f64 / 3.0);
            vec![
                ("id", Written::Texts(range.clone().map(|i| Some(["a", "", "c"][i])).collect())),
                ("moment", Written::Moments(range.clone().map(|i| i as i64 * 1001 - 1000).collect())),
                ("x", Written::Numbers(range.map(of).collect())),
            ]
        };
        write(&path, 3, columns).unwrap();
        let mut rows = Vec::new();
        each_row(&path, &["x", "id", "moment"], |cells| {
            rows.push(cells.to_vec());
            Ok(())
        })
        .unwrap();
        let text = |text: &str| ReadCell::Text(text.into());
        assert_eq!(rows[0], [ReadCell::Number(0.0), text("a"), ReadCell::Moment(-1000)]);
        assert_eq!(rows[1], [ReadCell::Missing, text(""), ReadCell::Moment(1)]);
        assert_eq!(rows[2], [ReadCell::Number(2.0 / 3.0), text("c"), ReadCell::Moment(1002)]);
        let lacks = each_row(&path, &["y"], |_| Ok(())).unwrap_err().to_string();
        assert!(lacks.contains("no column `y`"), "{lacks}");
        std::fs::write(&path, "no table").unwrap();
        assert!(each_row(&path, &["x"], |_| Ok(())).is_err());
    }
}
