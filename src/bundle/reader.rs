//! Takes the files of a bundle one by one, checks them, and opens the bundle when all are there.

use std::sync::Arc;

use super::hash::{hexadecimal, sha256};
use super::{
    Catalog, CatalogFile, FEATURES, FeatureFile, FeatureTables, FileEntry, ItemFile, Manifest, NEIGHBOURS, NeighbourFile,
    Neighbours, Rows,
};
use crate::error::{ErrorKind, Result};
use crate::json::from_json_within;

/// The most bytes of a bundle, unless the caller gives another limit: 2 GiB.
pub const DEFAULT_MAX_BYTES: u64 = 2 << 30;
/// The memory that a file gets before its first byte is there. Each time it is full, it grows to this many times its
/// size.
const FIRST_ROOM: usize = 1 << 20;
const GROWTH: usize = 8;

/// Takes the files of a bundle as their bytes arrive. It does no I/O itself. [`Bundle::from_files`] opens a bundle
/// whose bytes are at hand in one call.
pub struct BundleReader {
    manifest: Arc<Manifest>,
    /// By path. Few enough to search one by one.
    parts: Vec<(String, Part)>,
    /// What the content of catalogs may still take in memory, in bytes.
    memory: usize,
}

/// What has arrived of a file.
enum Part {
    Arriving(Arriving),
    Items(ItemFile),
    Catalog(CatalogFile),
    Neighbours(NeighbourFile),
    Features(FeatureFile),
}

/// A file whose bytes are still arriving.
struct Arriving {
    /// Those that are there.
    bytes: Vec<u8>,
    /// How many the manifest says.
    wanted: u64,
}

impl Arriving {
    /// Room for the next `count` bytes.
    fn room(&mut self, count: usize) -> std::result::Result<&mut [u8], ErrorKind> {
        let (filled, wanted) = (self.bytes.len(), usize::try_from(self.wanted).unwrap_or(usize::MAX));
        let after = filled.saturating_add(count);
        if after > wanted {
            return Err(ErrorKind::Length { expected: wanted, got: after, unit: "bytes" });
        }
        if after > self.bytes.capacity() {
            // The memory follows the bytes that arrive, because the manifest may promise bytes that never do.
            let room = self.bytes.capacity().saturating_mul(GROWTH).max(FIRST_ROOM).max(after).min(wanted);
            self.bytes.try_reserve_exact(room - filled).map_err(|_| ErrorKind::Memory(room as u64))?;
        }
        self.bytes.resize(after, 0);
        Ok(&mut self.bytes[filled..])
    }
}

/// An opened bundle: all rows and the catalog in memory.
pub struct Bundle {
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// Vectors and biases of all items.
    pub rows: Rows,
    /// Ids, titles, columns.
    pub catalog: Catalog,
    /// Neighbours of all items; `None` if the bundle has none, or as long as they are not there.
    pub neighbours: Option<Neighbours>,
    /// Values of all items that the ranker reads; `None` if the bundle has none, or as long as they are not there.
    pub features: Option<FeatureTables>,
}

impl BundleReader {
    /// Starts with the bytes of the manifest. `max_bytes` limits the sum of all files, before any of them is read, and
    /// what the content of catalogs takes in memory: 64 bytes a value, and its letters.
    ///
    /// # Errors
    /// Same errors as [`Manifest::parse`]; `limit` for a larger bundle.
    pub fn new(manifest: &[u8], max_bytes: u64) -> Result<Self> {
        let manifest = Manifest::parse(manifest)?;
        let got = manifest.bytes();
        if got > max_bytes {
            return Err(ErrorKind::Limit { limit: max_bytes, got }.at("manifest.json/files"));
        }
        Ok(BundleReader {
            manifest: Arc::new(manifest),
            parts: Vec::new(),
            memory: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Begins a file. A file that was begun before starts again from its first byte.
    ///
    /// # Errors
    /// `missing` for a path that is not in the manifest.
    pub fn begin(&mut self, path: &str) -> Result<()> {
        let wanted = self.manifest.file(path)?.bytes;
        let mut bytes = match self.take(path) {
            Some(Part::Arriving(part)) => part.bytes,
            _ => Vec::new(),
        };
        bytes.clear();
        self.parts.push((path.into(), Part::Arriving(Arriving { bytes, wanted })));
        Ok(())
    }

    /// The memory for the next `count` bytes of a file, which the caller writes there at once: they count as arrived.
    ///
    /// # Errors
    /// `missing` for a file that was not begun, `length` if that is more bytes than the manifest says, `memory` if
    /// there is not enough.
    pub fn append(&mut self, path: &str, count: usize) -> Result<&mut [u8]> {
        self.arriving(path)?.room(count).map_err(|kind| kind.at(path))
    }

    /// The bytes of a file that have arrived.
    ///
    /// # Errors
    /// `missing` for a file that was not begun.
    pub fn so_far(&mut self, path: &str) -> Result<&[u8]> {
        Ok(&self.arriving(path)?.bytes)
    }

    /// Checks the length and the SHA-256 of a file that has arrived, and keeps it if it is an item file or a catalog.
    /// `digest` is the SHA-256 of [`BundleReader::so_far`]; without it the core computes it, several times slower than
    /// a browser can.
    ///
    /// # Errors
    /// `missing` for a file that was not begun, `length`, `hash`, and the errors of item files and catalogs. A refused
    /// file is not kept.
    pub fn finish(&mut self, path: &str, digest: Option<&[u8]>) -> Result<()> {
        self.arriving(path)?;
        let Some(Part::Arriving(Arriving { bytes, .. })) = self.take(path) else { return Ok(()) };
        let file = self.manifest.file(path)?;
        match digest {
            Some(digest) => file.check(bytes.len(), digest)?,
            None => file.check_bytes(&bytes)?,
        }
        let (rows, dim) = (file.rows.unwrap_or(0), self.manifest.dim);
        match file.role.as_str() {
            "items" => {
                let file = ItemFile::new(bytes, rows, dim, self.manifest.has_history_vectors()).map_err(|e| e.within(path))?;
                self.parts.push((path.into(), Part::Items(file)));
            }
            "catalog" => {
                let catalog: CatalogFile = from_json_within(&bytes, &mut self.memory).map_err(|kind| kind.at(path))?;
                if catalog.ids.len() != rows {
                    let got = catalog.ids.len();
                    return Err(ErrorKind::Length { expected: rows, got, unit: "rows" }.at(format!("{path}/ids")));
                }
                self.parts.push((path.into(), Part::Catalog(catalog)));
            }
            NEIGHBOURS => {
                let file = NeighbourFile::new(bytes, rows, self.manifest.items).map_err(|e| e.within(path))?;
                self.parts.push((path.into(), Part::Neighbours(file)));
            }
            FEATURES => {
                if let Some(ranker) = &self.manifest.ranker {
                    let file = FeatureFile::new(bytes, rows, ranker, &self.manifest.encoding).map_err(|e| e.within(path))?;
                    self.parts.push((path.into(), Part::Features(file)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a whole file at once, in place of [`BundleReader::begin`] to [`BundleReader::finish`]. The bytes are not
    /// copied.
    ///
    /// # Errors
    /// `missing` for a path that is not in the manifest; same errors as [`BundleReader::finish`].
    pub fn add_file(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        let wanted = self.manifest.file(path)?.bytes;
        self.take(path);
        self.parts.push((path.into(), Part::Arriving(Arriving { bytes, wanted })));
        self.finish(path, None)
    }

    fn take(&mut self, path: &str) -> Option<Part> {
        self.parts.iter().position(|(name, _)| name == path).map(|at| self.parts.swap_remove(at).1)
    }

    fn arriving(&mut self, path: &str) -> Result<&mut Arriving> {
        match self.parts.iter_mut().find(|(name, _)| name == path) {
            Some((_, Part::Arriving(file))) => Ok(file),
            _ => Err(ErrorKind::Missing.at(path)),
        }
    }

    /// The rows of the item files that have arrived, numbered from 0: one shard of a catalog.
    pub fn open_shard(&mut self) -> Rows {
        let paths: Vec<String> = self.manifest.files_of("items").map(|f| f.path.clone()).collect();
        let part = |path: &String| match self.take(path) {
            Some(Part::Items(file)) => Some(file),
            _ => None,
        };
        let files = paths.iter().filter_map(part).collect();
        Rows::new(self.manifest.dim, files)
    }

    /// Opens the bundle. Only item files and catalogs must have arrived. Neighbours and values for the ranker may
    /// follow, see [`BundleReader::neighbours`] and [`BundleReader::features`].
    ///
    /// # Errors
    /// `missing` for an item file or a catalog that has not arrived; `length`, `limit` and `malformed` for catalogs
    /// that do not fit together.
    pub fn open(&mut self) -> Result<Bundle> {
        let (mut files, mut catalog) = (Vec::new(), Catalog::default());
        let wanted = self.manifest.used_files().filter(|f| f.role == "items" || f.role == "catalog");
        for path in wanted.map(|f| f.path.clone()).collect::<Vec<_>>() {
            match self.take(&path) {
                Some(Part::Items(file)) => files.push(file),
                Some(Part::Catalog(rows)) => catalog.append(rows, &mut self.memory).map_err(|e| e.within(&path))?,
                _ => return Err(ErrorKind::Missing.at(path)),
            }
        }
        catalog.check()?;
        let rows = Rows::new(self.manifest.dim, files);
        let (neighbours, features) = (self.neighbours().ok(), self.features().ok());
        Ok(Bundle { manifest: self.manifest.clone(), rows, catalog, neighbours, features })
    }

    /// The neighbours of all items, once their files have arrived.
    ///
    /// # Errors
    /// `missing` for a file that has not arrived, or if the bundle has no neighbours. What has arrived is kept.
    pub fn neighbours(&mut self) -> Result<Neighbours> {
        let mut files = Vec::new();
        for path in self.arrived(NEIGHBOURS)? {
            if let Some(Part::Neighbours(file)) = self.take(&path) {
                files.push(file);
            }
        }
        Ok(Neighbours::new(files))
    }

    /// The values of all items that the ranker reads, once their files have arrived.
    ///
    /// # Errors
    /// `missing` for a file that has not arrived, or if the bundle has no such values. What has arrived is kept.
    pub fn features(&mut self) -> Result<FeatureTables> {
        let mut files = Vec::new();
        for path in self.arrived(FEATURES)? {
            if let Some(Part::Features(file)) = self.take(&path) {
                files.push(file);
            }
        }
        Ok(FeatureTables::new(files))
    }

    /// The paths of the files of one role, in row order, if all have arrived.
    fn arrived(&self, role: &str) -> Result<Vec<String>> {
        let paths: Vec<String> = self.manifest.files_of(role).map(|file| file.path.clone()).collect();
        let is_there = |path: &String| self.parts.iter().any(|(name, part)| name == path && !matches!(part, Part::Arriving(_)));
        match paths.iter().find(|path| !is_there(path)) {
            Some(path) => Err(ErrorKind::Missing.at(path.clone())),
            None if paths.is_empty() => Err(ErrorKind::Missing.at(role)),
            None => Ok(paths),
        }
    }
}

impl Manifest {
    /// The entry of a file that this build uses.
    ///
    /// # Errors
    /// `missing` for any other name.
    pub fn file(&self, path: &str) -> Result<&FileEntry> {
        let missing = || ErrorKind::Missing.at(format!("manifest.json/files/{path}"));
        self.used_files().find(|f| f.path == path).ok_or_else(missing)
    }

    /// Checks the length and the SHA-256 of a whole file.
    ///
    /// # Errors
    /// `missing`, `length`, `hash`.
    pub fn check_file(&self, path: &str, length: usize, sha256: &[u8]) -> Result<()> {
        self.file(path)?.check(length, sha256)
    }
}

impl FileEntry {
    /// Checks a whole file against its length and SHA-256.
    ///
    /// # Errors
    /// `length`, `hash`.
    pub fn check_bytes(&self, bytes: &[u8]) -> Result<()> {
        self.check(bytes.len(), &sha256(bytes))
    }

    fn check(&self, length: usize, sha256: &[u8]) -> Result<()> {
        if length as u64 != self.bytes {
            let expected = self.bytes as usize;
            return Err(ErrorKind::Length { expected, got: length, unit: "bytes" }.at(self.path.clone()));
        }
        let got = hexadecimal(sha256);
        if got != self.sha256 {
            return Err(ErrorKind::Hash { expected: self.sha256.clone(), got }.at(self.path.clone()));
        }
        Ok(())
    }
}
