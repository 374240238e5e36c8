//! Reads and writes Parquet tables, column by column: texts, numbers, times, and lists of them.

use std::fs::File;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Once};

use anyhow::{Result, anyhow, bail, ensure};
use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, SchemaDescriptor, Type};

use super::cell::{Cell, Row, Rows};

/// How many records are read at a time.
const BATCH: usize = 8192;
/// How many rows a written row group has.
const GROUP: usize = 1 << 17;

/// A cell, or why it has no valid value.
type Read = Result<Cell, String>;

/// The rows of a file; the line number of a row is its position, from 1. Columns of structures and of lists of lists
/// are left out.
pub(super) fn rows(path: &Path) -> Result<Rows> {
    let file = File::open(path)?;
    let reader = guarded(|| Ok(SerializedFileReader::new(file)?))?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    let leaves = flat_leaves(&schema);
    let columns = leaves.iter().map(|leaf| schema.get_column_root(*leaf).name().to_owned()).collect();
    let mut line = 0;
    let batches =
        (0..reader.num_row_groups()).flat_map(move |group| Group::batches(guarded(|| Group::open(&reader, group, &leaves))));
    let rows = batches.flat_map(move |batch| {
        let (cells, error) = batch.map_or_else(|e| (Vec::new(), Some(e)), |cells| (cells, None));
        let count = cells.first().map_or(0, Vec::len);
        let mut columns: Vec<_> = cells.into_iter().map(Vec::into_iter).collect();
        let first = line;
        line += count as u64;
        (0..count)
            .map(move |i| {
                let cells = columns.iter_mut().map(|c| c.next().unwrap_or(Ok(Cell::Missing))).collect();
                Ok(Row { line: first + i as u64 + 1, cells })
            })
            .chain(error.map(Err))
    });
    Ok(Rows { columns, rows: Box::new(rows) })
}

thread_local! {
    /// Whether this thread is in [`guarded`].
    static GUARDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Turns a panic of the Parquet decoders, which a damaged file can cause, into an error and prints nothing.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info)
            }
        }));
    });
    GUARDED.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(false);
    result.unwrap_or_else(|_| bail!("damaged: it cannot be decoded"))
}

/// Indices of the leaves that have one value, or one list, for each row.
fn flat_leaves(schema: &SchemaDescriptor) -> Vec<usize> {
    let roots: Vec<usize> = (0..schema.num_columns()).map(|leaf| schema.get_column_root_idx(leaf)).collect();
    let alone = |leaf: &usize| roots.iter().filter(|root| **root == roots[*leaf]).count() == 1;
    let flat = |leaf: &usize| {
        let root = schema.get_column_root(*leaf);
        let list = root.is_group() && schema.column(*leaf).max_rep_level() == 1;
        root.is_primitive() || list
    };
    (0..roots.len()).filter(|leaf| alone(leaf) && flat(leaf)).collect()
}

/// A row group that is being read.
struct Group {
    leaves: Vec<Leaf>,
    /// How many rows of the group are still unread.
    left: usize,
}

struct Leaf {
    reader: ColumnReader,
    about: ColumnDescPtr,
}

impl Group {
    /// The cells of a group by column, some rows at a time, because a group may be larger than the memory. After an
    /// error the iterator ends.
    fn batches(opened: Result<Group>) -> impl Iterator<Item = Result<Vec<Vec<Read>>>> {
        let mut opened = Some(opened);
        std::iter::from_fn(move || {
            let mut group = match opened.take()? {
                Ok(group) => group,
                Err(error) => return Some(Err(error)),
            };
            if group.left == 0 {
                return None;
            }
            let batch = guarded(|| group.batch());
            opened = batch.is_ok().then_some(Ok(group));
            Some(batch)
        })
    }

    fn open(reader: &SerializedFileReader<File>, group: usize, leaves: &[usize]) -> Result<Group> {
        let group = reader.get_row_group(group)?;
        let leaf = |leaf: &usize| {
            let about = group.metadata().schema_descr().column(*leaf);
            let reader = group.get_column_reader(*leaf).map_err(|e| of_column(&about, e.into()))?;
            Ok(Leaf { reader, about })
        };
        let leaves: Result<Vec<Leaf>> = leaves.iter().map(leaf).collect();
        Ok(Group { leaves: leaves?, left: usize::try_from(group.metadata().num_rows())? })
    }

    fn batch(&mut self) -> Result<Vec<Vec<Read>>> {
        let rows = self.left.min(BATCH);
        self.left -= rows;
        let mut out = Vec::new();
        for leaf in &mut self.leaves {
            // At the end of the group one more record is asked for, to find columns that are too long.
            let asked = rows + usize::from(self.left == 0);
            let cells = leaf.read(asked).map_err(|e| of_column(&leaf.about, e))?;
            ensure!(cells.len() == rows, "column `{}`: more or fewer rows than the group has", leaf.about.path().string());
            out.push(cells);
        }
        Ok(out)
    }
}

fn of_column(about: &ColumnDescriptor, error: anyhow::Error) -> anyhow::Error {
    anyhow!("column `{}`: {error:#}", about.path().string())
}

impl Leaf {
    /// Reads up to `rows` more cells.
    fn read(&mut self, rows: usize) -> Result<Vec<Read>> {
        let text = |text: String| Ok(Cell::of(text));
        let about = &*self.about;
        match &mut self.reader {
            ColumnReader::BoolColumnReader(r) => cells(r, about, rows, |b| text(b.to_string())),
            ColumnReader::Int32ColumnReader(r) => cells(r, about, rows, |x| whole(i64::from(*x), about)),
            ColumnReader::Int64ColumnReader(r) => cells(r, about, rows, |x| whole(*x, about)),
            ColumnReader::Int96ColumnReader(r) => cells(r, about, rows, |x| Ok(Cell::Moment(x.to_seconds()))),
            ColumnReader::FloatColumnReader(r) => cells(r, about, rows, |x| text(x.to_string())),
            ColumnReader::DoubleColumnReader(r) => cells(r, about, rows, |x| text(x.to_string())),
            ColumnReader::ByteArrayColumnReader(r) => cells(r, about, rows, |bytes| match std::str::from_utf8(bytes.data()) {
                Ok(t) => text(t.to_owned()),
                Err(_) => Err("not UTF-8".to_owned()),
            }),
            ColumnReader::FixedLenByteArrayColumnReader(_) => {
                bail!("bytes of a fixed length are not read: give it as text or number")
            }
        }
    }
}

/// A whole number as its column type declares it: a number or a time.
fn whole(x: i64, about: &ColumnDescriptor) -> Read {
    let per_second = match (about.logical_type_ref(), about.converted_type()) {
        (Some(LogicalType::Timestamp(t)), _) => match t.unit {
            TimeUnit::MILLIS => 1000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        },
        (None, ConvertedType::TIMESTAMP_MILLIS) => 1000,
        (None, ConvertedType::TIMESTAMP_MICROS) => 1_000_000,
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => return Ok(Cell::Moment(x * 86_400)),
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => {
            let scale = u32::try_from(about.type_scale()).ok().and_then(|s| 10_i64.checked_pow(s)).unwrap_or(i64::MAX);
            return Ok(Cell::Text((x as f64 / scale as f64).to_string()));
        }
        (Some(LogicalType::Integer(t)), _) if !t.is_signed && t.bit_width == 64 => return Ok(Cell::Text((x as u64).to_string())),
        (Some(LogicalType::Integer(t)), _) if !t.is_signed => return Ok(Cell::Text((x as u32).to_string())),
        _ => return Ok(Cell::Text(x.to_string())),
    };
    Ok(Cell::Moment(x.div_euclid(per_second)))
}

/// Reads up to `rows` cells of a leaf. A record has a value where its definition level is the highest; a leaf with
/// repetition levels gives lists.
fn cells<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    about: &ColumnDescriptor,
    rows: usize,
    one: impl Fn(&T::T) -> Read,
) -> Result<Vec<Read>> {
    let (max_def, repeats) = (about.max_def_level(), about.max_rep_level() > 0);
    let mut out: Vec<Read> = Vec::new();
    let mut lists: Vec<Result<Vec<Cell>, String>> = Vec::new();
    while out.len().max(lists.len()) < rows {
        let left = rows - out.len().max(lists.len());
        let (mut defs, mut reps, mut values) = (Vec::new(), Vec::new(), Vec::new());
        let (records, _, _) = reader.read_records(left, Some(&mut defs), Some(&mut reps), &mut values)?;
        if records == 0 {
            break;
        }
        let levels = if max_def == 0 { values.len() } else { defs.len() };
        ensure!(!repeats || reps.len() == levels, "levels of lists do not fit");
        let mut values = values.iter();
        for i in 0..levels {
            let present = max_def == 0 || defs[i] == max_def;
            let cell =
                if present { one(values.next().ok_or_else(|| anyhow!("fewer values than levels"))?) } else { Ok(Cell::Missing) };
            if !repeats {
                out.push(cell);
                continue;
            }
            if reps[i] == 0 {
                lists.push(Ok(Vec::new()));
            }
            match (lists.last_mut(), cell) {
                (None, _) => bail!("a list without a start"),
                (Some(Ok(list)), Ok(cell)) if cell != Cell::Missing => list.push(cell),
                (Some(list), Err(reason)) => *list = Err(reason),
                _ => {}
            }
        }
    }
    let numbers = !matches!(about.physical_type(), PhysicalType::BYTE_ARRAY | PhysicalType::BOOLEAN);
    out.extend(lists.into_iter().map(|list| list.map(|list| if numbers { vector(&list) } else { texts(&list) })));
    Ok(out)
}

fn texts(list: &[Cell]) -> Cell {
    Cell::list(list.iter().map(super::columns::text).collect())
}

/// A list of numbers as a vector; if one of them is not finite, it stays a list of texts.
fn vector(list: &[Cell]) -> Cell {
    let numbers: Option<Vec<f64>> = list.iter().map(super::columns::number).collect();
    numbers.filter(|xs| !xs.is_empty()).map_or_else(|| texts(list), Cell::Vector)
}

/// A column to write; columns of `Option`s may have missing values.
pub(crate) enum Written<'a> {
    Texts(Vec<Option<&'a str>>),
    Numbers(Vec<Option<f64>>),
    Whole(Vec<Option<i64>>),
    /// Without missing values.
    Ranks(Vec<i64>),
    /// Without missing values.
    Scores(Vec<f32>),
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
                Written::Ranks(v) => column_of::<Int64Type>(&mut group, &v, None)?,
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
