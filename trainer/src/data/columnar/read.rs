//! Reads the rows of Parquet files, a batch at a time.

use std::fs::File;
use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, Result, anyhow, bail, ensure};
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::leaf::{Leaf, holds_numbers};
use crate::data::cell::{Cell, MOST_COLUMNS, Row, Rows};
use crate::files;

/// How many records are read at a time.
const BATCH: usize = 8192;
/// Most bytes of texts in these records. A small file can repeat a long text often.
const BATCH_BYTES: usize = 1 << 28;

/// The rows of a table that lies in these files, one after the other; the line number of a row is its position in the
/// whole table, from 1. Columns of structures and of lists of lists are left out.
///
/// # Errors
/// A file that is no Parquet, has other columns than the first one, more than [`MOST_COLUMNS`], or a compression that
/// is not read.
pub(in crate::data) fn rows(paths: &[PathBuf]) -> Result<Rows> {
    let Some((first, others)) = paths.split_first() else { bail!("no parts in it") };
    let reader = open(first)?;
    let schema = reader.metadata().file_metadata().schema_descr_ptr();
    for path in others {
        let fields = open(path)?.metadata().file_metadata().schema().get_fields().to_vec();
        ensure!(fields == schema.root_schema().get_fields(), "{}: other columns than in {}", name(path), name(first));
    }
    let leaves = flat_leaves(&schema);
    ensure!(schema.num_columns() <= MOST_COLUMNS, "{} columns, at most {MOST_COLUMNS} expected", schema.num_columns());
    let columns: Vec<String> = leaves.iter().map(|leaf| schema.get_column_root(*leaf).name().to_owned()).collect();
    let all = schema.root_schema().get_fields().iter().map(|field| field.name().to_owned());
    let structures = all.filter(|name| !columns.contains(name)).collect();
    let numbers = leaves.iter().map(|leaf| holds_numbers(&schema.column(*leaf))).collect();
    let rows = files(reader, others.to_vec(), leaves);
    Ok(Rows { columns, numbers, structures, told: None, rows: Box::new(rows) })
}

/// Opens a file and checks that its compression is read.
fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let file = files::open(path)?.0;
    let reader = guarded(|| Ok(SerializedFileReader::new(file)?)).with_context(|| name(path))?;
    for column in reader.metadata().row_groups().iter().flat_map(|group| group.columns()) {
        let codec = column.compression();
        let read = matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_));
        let codec = format!("{codec:?}").split('(').next().unwrap_or_default().to_lowercase();
        ensure!(
            read,
            "{}: compressed with {codec}; snappy, gzip, zstd and no compression are read: write it with one of them",
            name(path)
        );
    }
    Ok(reader)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The rows of an opened file and of others that are opened in their turn.
fn files(
    first: SerializedFileReader<File>,
    others: Vec<PathBuf>,
    leaves: Vec<usize>,
) -> impl Iterator<Item = Result<Row>> + 'static {
    let readers = iter::once(Ok(first)).chain(others.into_iter().map(|path| open(&path)));
    let batches = readers.flat_map(move |reader| match reader {
        Ok(reader) => Box::new(batches(reader, leaves.clone())),
        Err(error) => Box::new(iter::once(Err(error))) as Box<dyn Iterator<Item = Result<Batch>>>,
    });
    let mut line = 0;
    batches.flat_map(move |batch| {
        let (cells, error) = batch.map_or_else(|e| (Vec::new(), Some(e)), |cells| (cells, None));
        let count = cells.first().map_or(0, Vec::len);
        let mut columns: Vec<_> = cells.into_iter().map(Vec::into_iter).collect();
        let first = line;
        line += count as u64;
        (0..count)
            .map(move |i| {
                let cells = columns.iter_mut().map(|c| c.next().unwrap_or(Cell::Missing)).collect();
                Ok(Row { line: first + i as u64 + 1, field_lines: 1, cells: Ok(cells) })
            })
            .chain(error.map(Err))
    })
}

/// The row groups of a file, some rows at a time.
fn batches(reader: SerializedFileReader<File>, leaves: Vec<usize>) -> impl Iterator<Item = Result<Batch>> {
    (0..reader.num_row_groups()).flat_map(move |group| Group::batches(guarded(|| Group::open(&reader, group, &leaves))))
}

/// Cells by column.
type Batch = Vec<Vec<Cell>>;

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

impl Group {
    /// The cells of a group by column, some rows at a time, because a group may be larger than the memory. After an
    /// error the iterator ends.
    fn batches(opened: Result<Group>) -> impl Iterator<Item = Result<Batch>> {
        let mut opened = Some(opened);
        iter::from_fn(move || {
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

    fn batch(&mut self) -> Result<Batch> {
        let rows = self.left.min(BATCH);
        self.left -= rows;
        let mut out = Vec::new();
        let mut budget = BATCH_BYTES;
        for leaf in &mut self.leaves {
            // At the end of the group one more record is asked for, to find columns that are too long.
            let asked = rows + usize::from(self.left == 0);
            let cells = leaf.read(asked, &mut budget).map_err(|e| of_column(&leaf.about, e))?;
            ensure!(cells.len() == rows, "column `{}`: more or fewer rows than the group has", leaf.about.path().string());
            out.push(cells);
        }
        Ok(out)
    }
}

fn of_column(about: &ColumnDescriptor, error: anyhow::Error) -> anyhow::Error {
    anyhow!("column `{}`: {error:#}", about.path().string())
}
