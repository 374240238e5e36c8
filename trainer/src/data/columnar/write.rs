//! Writes Parquet tables.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

/// How many rows a written row group has.
const GROUP: usize = 1 << 17;

/// A column to write; columns of `Option`s may have missing values.
pub(crate) enum Written<'a> {
    Texts(Vec<Option<&'a str>>),
    Numbers(Vec<Option<f64>>),
    Whole(Vec<Option<i64>>),
    /// Without missing values.
    Ranks(Vec<i64>),
    /// Without missing values.
    Scores(Vec<f32>),
    /// Times in milliseconds UTC, without missing values.
    Moments(Vec<i64>),
}

impl Written<'_> {
    /// The type of the column in the schema.
    fn of(&self, name: &str) -> Result<Arc<Type>> {
        let (repetition, kind, logical) = match self {
            Written::Texts(_) => (Repetition::OPTIONAL, PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            Written::Numbers(_) => (Repetition::OPTIONAL, PhysicalType::DOUBLE, None),
            Written::Whole(_) => (Repetition::OPTIONAL, PhysicalType::INT64, None),
            Written::Ranks(_) => (Repetition::REQUIRED, PhysicalType::INT64, None),
            Written::Scores(_) => (Repetition::REQUIRED, PhysicalType::FLOAT, None),
            Written::Moments(_) => {
                (Repetition::REQUIRED, PhysicalType::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS)))
            }
        };
        let column = Type::primitive_type_builder(name, kind).with_repetition(repetition);
        Ok(Arc::new(column.with_logical_type(logical).build()?))
    }
}

/// Writes a table of `rows` rows; `columns` gives the columns for a range of rows. Equal columns give equal bytes.
pub(crate) fn write<'a>(path: &Path, rows: usize, columns: impl Fn(Range<usize>) -> Vec<(&'a str, Written<'a>)>) -> Result<()> {
    let fields: Result<Vec<_>> = columns(0..0).iter().map(|(name, column)| column.of(name)).collect();
    let schema = Type::group_type_builder("table").with_fields(fields?).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default())).build();
    let mut writer = SerializedFileWriter::new(File::create(path)?, Arc::new(schema), Arc::new(properties))?;
    for start in (0..rows).step_by(GROUP) {
        let mut group = writer.next_row_group()?;
        for (_, column) in columns(start..rows.min(start + GROUP)) {
            match column {
                Written::Texts(v) => optional::<ByteArrayType>(
                    &mut group,
                    v.into_iter().map(|t| t.map(|t| ByteArray::from(t.as_bytes().to_vec()))),
                )?,
                Written::Numbers(v) => optional::<DoubleType>(&mut group, v.into_iter())?,
                Written::Whole(v) => optional::<Int64Type>(&mut group, v.into_iter())?,
                Written::Ranks(v) | Written::Moments(v) => column_of::<Int64Type>(&mut group, &v, None)?,
                Written::Scores(v) => column_of::<FloatType>(&mut group, &v, None)?,
            }
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut present, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        present.extend(value);
    }
    column_of::<T>(group, &present, Some(&levels))
}

fn column_of<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T], levels: Option<&[i16]>) -> Result<()> {
    let mut column = group.next_column()?.ok_or_else(|| anyhow!("one column more than the schema has"))?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()?;
    Ok(())
}
