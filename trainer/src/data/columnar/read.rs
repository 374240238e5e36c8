//! Reads the rows of Parquet files, a batch at a time.

use std::cell::Cell as Shared;
use std::collections::HashSet;
use std::fs::File;
use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Once};

use anyhow::{Context, Result, anyhow, bail, ensure};
use parquet::basic::Compression;
use parquet::column::reader::get_column_reader;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::leaf::{Budget, CELL, Leaf, TOO_MUCH, holds_numbers};
use super::pages::Pages;
use super::thrift::{CHILDREN, ELEMENT_STARTS, FOOTER, NAME, walk};
use crate::data::cell::{Cell, MOST_COLUMNS, Row, Rows};
use crate::files;

/// Most rows that are read at a time, and about how many cells they have, members of lists included.
const BATCH: usize = 1024;
const BATCH_CELLS: usize = 1 << 20;
/// Most bytes of these rows. A small file can repeat a long text often.
const BATCH_BYTES: usize = 1 << 26;
/// A file may decode to as much as if it had so many bytes more.
const MORE_BYTES: u64 = 1 << 18;
/// How deep columns may lie in each other, and most bytes of their paths. The library walks them by recursion, and
/// gives each column its path.
const DEEPEST: usize = 64;
const PATHS: usize = 1 << 24;

/// The rows of a table that lies in these files, one after the other; the line number of a row is its position in the
/// whole table, from 1. Columns of structures and of lists of lists are left out. For each of its bytes, and for
/// [`MORE_BYTES`] more, a file may decode to `expansion` bytes.
///
/// # Errors
/// A file that is no Parquet, has other columns than the first one, more than [`MOST_COLUMNS`], or a compression that
/// is not read.
pub(in crate::data) fn rows(paths: &[PathBuf], expansion: u64) -> Result<Rows> {
    let Some((first, others)) = paths.split_first() else { bail!("no parts in it") };
    let opened = Opened::open(first)?;
    let schema = opened.about.file_metadata().schema_descr_ptr();
    for path in others {
        let about = Opened::open(path)?.about;
        let fields = about.file_metadata().schema().get_fields();
        ensure!(fields == schema.root_schema().get_fields(), "{}: other columns than in {}", name(path), name(first));
    }
    let leaves = flat_leaves(&schema);
    let columns: Vec<String> = leaves.iter().map(|leaf| schema.get_column_root(*leaf).name().to_owned()).collect();
    let read: HashSet<&str> = columns.iter().map(String::as_str).collect();
    let all = schema.root_schema().get_fields().iter().map(|field| field.name());
    let structures = all.filter(|name| !read.contains(name)).map(str::to_owned).collect();
    let numbers = leaves.iter().map(|leaf| holds_numbers(&schema.column(*leaf))).collect();
    let rows = files(opened, others.to_vec(), leaves, expansion);
    Ok(Rows { columns, numbers, structures, told: None, rows: Box::new(rows) })
}

/// A file, and what its footer says.
struct Opened {
    file: Arc<File>,
    bytes: u64,
    about: ParquetMetaData,
}

impl Opened {
    /// Opens a file and checks what its footer says.
    fn open(path: &Path) -> Result<Opened> {
        let (file, bytes) = files::open(path)?;
        let about = guarded(|| {
            check_footer(&file, bytes)?;
            Ok(ParquetMetaDataReader::new().parse_and_finish(&file)?)
        });
        let about = about.with_context(|| name(path))?;
        let mut left = bytes;
        for column in about.row_groups().iter().flat_map(|group| group.columns()) {
            let codec = column.compression();
            let read =
                matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_));
            let codec = format!("{codec:?}").split('(').next().unwrap_or_default().to_lowercase();
            ensure!(
                read,
                "{}: compressed with {codec}; snappy, gzip, zstd and no compression are read: write it with one of them",
                name(path)
            );
            let columns = u64::try_from(column.compressed_size()).ok().and_then(|bytes| left.checked_sub(bytes));
            left = columns.with_context(|| format!("{}: damaged: its columns have more bytes than the file", name(path)))?;
        }
        Ok(Opened { file: Arc::new(file), bytes, about })
    }

    /// The cells of a file by column, some rows at a time.
    fn batches(self, leaves: Vec<usize>, expansion: u64) -> impl Iterator<Item = Result<Batch>> {
        let most = self.bytes.saturating_add(MORE_BYTES).saturating_mul(expansion);
        // What the file claims is refused before anything is decoded.
        let rows = |group: usize| u64::try_from(self.about.row_group(group).num_rows()).unwrap_or(u64::MAX);
        let claimed = (0..self.about.num_row_groups()).map(rows).fold(0, u64::saturating_add);
        let fits = claimed.saturating_mul((leaves.len().max(1) * CELL) as u64) <= most;
        let refused = (!fits).then(|| Err(anyhow!("{claimed} rows: the file {TOO_MUCH}")));
        let (left, groups) = (Rc::new(Shared::new(most)), if fits { self.about.num_row_groups() } else { 0 });
        let groups =
            (0..groups).flat_map(move |group| Group::batches(guarded(|| Group::open(&self, group, &leaves, left.clone()))));
        refused.into_iter().chain(groups)
    }
}

/// Walks the footer before the library reads it. A file without one is left to the library's messages.
fn check_footer(file: &File, bytes: u64) -> Result<()> {
    let Some(end) = bytes.checked_sub(8) else { return Ok(()) };
    let last = file.get_bytes(end, 8)?;
    let length = u32::from_le_bytes([last[0], last[1], last[2], last[3]]);
    let Some(start) = end.checked_sub(length.into()) else { return Ok(()) };
    if last[4..] != *b"PAR1" {
        return Ok(());
    }
    let footer = file.get_bytes(start, length as usize)?;
    // The columns as a tree: for each node the bytes of its name and the number of its children.
    let mut nodes: Vec<(i64, i64)> = Vec::new();
    let tell = &mut |at, number| match (at, nodes.last_mut()) {
        (ELEMENT_STARTS, _) => nodes.push((0, 0)),
        (NAME, Some(node)) => node.0 = number,
        (CHILDREN, Some(node)) => node.1 = number,
        _ => {}
    };
    walk(&FOOTER, &footer, tell).map_err(|_| anyhow!("damaged: its footer cannot be read"))?;
    let (mut columns, mut paths) = (0, 0_usize);
    // The nodes above: how many children are still to come, and the bytes of the path.
    let mut above: Vec<(i64, usize)> = Vec::new();
    for (name, children) in nodes {
        let path = above.last().map_or(0, |node| node.1) + usize::try_from(name)?;
        if let Some(node) = above.last_mut() {
            node.0 -= 1;
        }
        ensure!(children <= footer.len() as i64, "damaged: a column of {children} columns");
        if children > 0 {
            above.push((children, path));
            ensure!(above.len() <= DEEPEST, "columns lie more than {DEEPEST} deep in each other");
            continue;
        }
        (columns, paths) = (columns + 1, paths + path);
        ensure!(columns <= MOST_COLUMNS, "more than {MOST_COLUMNS} columns");
        ensure!(paths <= PATHS, "more than {PATHS} bytes of names of columns");
        while above.last().is_some_and(|node| node.0 == 0) {
            above.pop();
        }
    }
    ensure!(above.is_empty(), "damaged: a column of {} columns", above[0].0);
    Ok(())
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The rows of an opened file and of others that are opened in their turn.
fn files(first: Opened, others: Vec<PathBuf>, leaves: Vec<usize>, expansion: u64) -> impl Iterator<Item = Result<Row>> + 'static {
    let opened = iter::once(Ok(first)).chain(others.into_iter().map(|path| Opened::open(&path)));
    let batches = opened.flat_map(move |opened| match opened {
        Ok(opened) => Box::new(opened.batches(leaves.clone(), expansion)),
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

/// Cells by column.
type Batch = Vec<Vec<Cell>>;

thread_local! {
    /// Whether this thread is in [`guarded`].
    static GUARDED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Turns a panic of the Parquet decoders, which a damaged file can cause, into an error and prints nothing.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
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
    let other = |leaf: usize, than: Option<&usize>| than != roots.get(leaf);
    let alone = |leaf: &usize| other(*leaf, roots.get(leaf + 1)) && (*leaf == 0 || other(*leaf, roots.get(leaf - 1)));
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
    /// How many of them are read at a time.
    batch: usize,
    /// How many bytes the rest of the file may decode to.
    bytes: Rc<Shared<u64>>,
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

    fn open(opened: &Opened, group: usize, leaves: &[usize], bytes: Rc<Shared<u64>>) -> Result<Group> {
        let group = opened.about.row_group(group);
        let rows = usize::try_from(group.num_rows())?;
        let leaf = |leaf: &usize| {
            let (about, column) = (group.schema_descr().column(*leaf), group.column(*leaf));
            let pages = Pages::open(&opened.file, column, rows).map_err(|e| of_column(&about, e.into()))?;
            Ok(Leaf { reader: get_column_reader(about.clone(), Box::new(pages)), about })
        };
        // A group may claim fewer values than it has; then a batch is refused in place of a smaller one.
        let values = |leaf: &usize| usize::try_from(group.column(*leaf).num_values()).unwrap_or(0).div_ceil(rows.max(1)).max(1);
        let cells = leaves.iter().map(values).fold(1, usize::saturating_add);
        let leaves: Result<Vec<Leaf>> = leaves.iter().map(leaf).collect();
        Ok(Group { leaves: leaves?, left: rows, batch: (BATCH_CELLS / cells).clamp(1, BATCH), bytes })
    }

    fn batch(&mut self) -> Result<Batch> {
        let rows = self.left.min(self.batch);
        self.left -= rows;
        let mut out = Vec::new();
        let mut budget = Budget { batch: BATCH_BYTES, file: self.bytes.get() };
        for leaf in &mut self.leaves {
            // At the end of the group one more record is asked for, to find columns that are too long.
            let asked = rows + usize::from(self.left == 0);
            let cells = leaf.read(asked, &mut budget).map_err(|e| of_column(&leaf.about, e))?;
            ensure!(cells.len() == rows, "column `{}`: more or fewer rows than the group has", leaf.about.path().string());
            out.push(cells);
        }
        self.bytes.set(budget.file);
        Ok(out)
    }
}

fn of_column(about: &ColumnDescriptor, error: anyhow::Error) -> anyhow::Error {
    // Which of its errors the library wraps them in is no help.
    let error = error.to_string().replace("External: ", "").replace("Parquet error: ", "");
    anyhow!("column `{}`: {error}", about.path().string())
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::data::ReadOptions;
    use crate::data::columnar::{Written, write};

    #[test]
    fn ten_million_rows_of_one_value_are_read() {
        const ROWS: usize = 10_000_000;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.parquet");
        let columns = |range: Range<usize>| {
            let n = range.len();
            vec![
                ("user", Written::Texts(vec![Some("u1"); n])),
                ("item", Written::Texts(vec![Some("i1"); n])),
                ("timestamp", Written::Whole(vec![Some(1_700_000_000); n])),
            ]
        };
        write(&path, ROWS, columns).unwrap();
        let bytes = path.metadata().unwrap().len();
        assert!(bytes < ROWS as u64 / 50, "{bytes} bytes");
        let row = ["u1", "i1", "1700000000"].map(|text| Cell::Text(text.to_owned()));
        let mut count = 0;
        for read in rows(std::slice::from_ref(&path), ReadOptions::default().expansion).unwrap().rows {
            let read = read.unwrap();
            count += 1;
            assert!(read.line == count && read.cells.as_deref() == Ok(&row), "row {count}");
        }
        assert_eq!(count, ROWS as u64);

        // With a smaller allowance the claim of so many rows is refused before any is read.
        let error = rows(&[path], 1).unwrap().rows.next().unwrap().err().unwrap().to_string();
        assert!(error.starts_with("10000000 rows: the file decodes to far more bytes"), "{error}");
    }
}
