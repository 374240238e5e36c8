//! Files of a bundle, handed in one by one and checked, until the bundle can be opened.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use super::{Catalog, CatalogFile, FileEntry, Manifest, json_error, range};
use crate::error::{Error, ErrorKind, Result};

/// Most bytes of a bundle where the caller gives no limit: 2 GiB.
pub const DEFAULT_MAX_BYTES: u64 = 2 << 30;

/// Takes the files of a bundle as they arrive. Does no I/O: bytes are arguments.
pub struct BundleReader {
    manifest: Manifest,
    items: BTreeMap<String, ItemRows>,
    catalogs: BTreeMap<String, CatalogFile>,
    golden: Option<Vec<u8>>,
    verified: std::collections::BTreeSet<String>,
}

/// The tensors of one item file.
struct ItemRows {
    vectors: Vec<i8>,
    scales: Vec<f32>,
    biases: Vec<f32>,
}

/// An opened bundle: all rows and the catalog in memory.
pub struct Bundle {
    /// The manifest.
    pub manifest: Manifest,
    /// int8 rows `[n, d]`, row-major, −127..=127.
    pub vectors: Vec<i8>,
    /// Scale of each row `[n]`.
    pub scales: Vec<f32>,
    /// Bias of each row `[n]`, in logits.
    pub biases: Vec<f32>,
    /// Ids, titles, columns.
    pub catalog: Catalog,
    /// The bytes of `golden.json`.
    pub golden: Vec<u8>,
}

impl BundleReader {
    /// Starts with the manifest. `max_bytes` bounds the sum of all files, before any of them is read.
    ///
    /// # Errors
    /// Those of [`Manifest::parse`], and `limit`.
    pub fn new(manifest: &[u8], max_bytes: u64) -> Result<Self> {
        let manifest = Manifest::parse(manifest)?;
        let total = manifest.used_files().fold(0u64, |sum, f| sum.saturating_add(f.bytes));
        if total > max_bytes {
            return Err(ErrorKind::Limit { limit: max_bytes, got: total }.at("manifest.json/files"));
        }
        let (items, catalogs, golden, verified) = Default::default();
        Ok(BundleReader { manifest, items, catalogs, golden, verified })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Checks a file's length and SHA-256 and keeps what the core needs of it; graphs are checked, not kept.
    ///
    /// # Errors
    /// `missing` for a name that the manifest does not have, `length`, `hash`, and what the content asks for. Nothing of a
    /// refused file is kept.
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let file = self
            .manifest
            .used_files()
            .find(|f| f.path == path)
            .ok_or_else(|| ErrorKind::Missing.at(format!("manifest.json/files/{path}")))?;
        check_bytes(file, bytes)?;
        let within = |e: Error| e.within(path);
        match file.role.as_str() {
            "items" => {
                let rows = item_rows(bytes, file.rows.unwrap_or(0), self.manifest.dim).map_err(within)?;
                self.items.insert(path.into(), rows);
            }
            "catalog" => {
                let catalog: CatalogFile = serde_json::from_slice(bytes).map_err(|e| json_error(&e, bytes).at(path))?;
                if catalog.ids.len() != file.rows.unwrap_or(0) {
                    return Err(ErrorKind::Length { expected: file.rows.unwrap_or(0), got: catalog.ids.len(), unit: "rows" }
                        .at(format!("{path}/ids")));
                }
                self.catalogs.insert(path.into(), catalog);
            }
            "golden" => self.golden = Some(bytes.to_vec()),
            _ => {}
        }
        self.verified.insert(path.into());
        Ok(())
    }

    /// Opens the bundle. Graphs may still be on their way.
    ///
    /// # Errors
    /// `missing` for a file that was not handed in, `malformed` for a catalog that does not fit together.
    pub fn open(mut self) -> Result<Bundle> {
        let (n, d) = (self.manifest.items, self.manifest.dim);
        let mut bundle = Bundle {
            vectors: Vec::with_capacity(n * d),
            scales: Vec::with_capacity(n),
            biases: Vec::with_capacity(n),
            catalog: Catalog::default(),
            golden: self.golden.take().unwrap_or_default(),
            manifest: self.manifest,
        };
        for file in bundle.manifest.used_files() {
            let missing = || ErrorKind::Missing.at(file.path.clone());
            match file.role.as_str() {
                "items" => {
                    let rows = self.items.remove(&file.path).ok_or_else(missing)?;
                    bundle.vectors.extend(rows.vectors);
                    bundle.scales.extend(rows.scales);
                    bundle.biases.extend(rows.biases);
                }
                "catalog" => {
                    let rows = self.catalogs.remove(&file.path).ok_or_else(missing)?;
                    bundle.catalog.append(rows).map_err(|e| e.within(&file.path))?;
                }
                "golden" if !self.verified.contains(&file.path) => return Err(missing()),
                _ => {}
            }
        }
        Ok(bundle)
    }
}

impl Bundle {
    /// int8 row of an item, `[d]`.
    pub fn row(&self, row: u32) -> &[i8] {
        let d = self.manifest.dim;
        &self.vectors[row as usize * d..][..d]
    }

    /// Writes the dequantised vector of an item to `out`, `[d]`.
    pub fn vector_into(&self, row: u32, out: &mut [f32]) {
        let scale = self.scales[row as usize];
        out.iter_mut().zip(self.row(row)).for_each(|(x, q)| *x = f32::from(*q) * scale);
    }
}

fn check_bytes(file: &FileEntry, bytes: &[u8]) -> Result<()> {
    if bytes.len() as u64 != file.bytes {
        return Err(ErrorKind::Length { expected: file.bytes as usize, got: bytes.len(), unit: "bytes" }.at(file.path.clone()));
    }
    let got = sha256_hex(bytes);
    if got != file.sha256 {
        return Err(ErrorKind::Hash { expected: file.sha256.clone(), got }.at(file.path.clone()));
    }
    Ok(())
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn item_rows(bytes: &[u8], n: usize, d: usize) -> Result<ItemRows> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| ErrorKind::Malformed(e.to_string()).at("header"))?;
    let tensor = |name: &str, dtype: Dtype, shape: &[usize]| {
        let view = tensors.tensor(name).map_err(|_| ErrorKind::Missing.at(name))?;
        if view.dtype() != dtype || view.shape() != shape {
            return Err(range(&format!("{dtype:?} {shape:?}"), format!("{:?} {:?}", view.dtype(), view.shape())).at(name));
        }
        Ok(view.data().to_vec())
    };
    let floats = |name: &str, least: f32| -> Result<Vec<f32>> {
        let values: Vec<f32> =
            tensor(name, Dtype::F32, &[n])?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        match values.iter().position(|x| !x.is_finite() || *x <= least) {
            Some(row) => Err(range("a finite number in range", values[row]).at(format!("{name}/{row}"))),
            None => Ok(values),
        }
    };
    let vectors: Vec<i8> = tensor("vectors", Dtype::I8, &[n, d])?.into_iter().map(|b| b as i8).collect();
    if let Some(at) = vectors.iter().position(|q| *q == i8::MIN) {
        return Err(range("-127 to 127", -128).at(format!("vectors/{}", at / d)));
    }
    Ok(ItemRows { vectors, scales: floats("scales", 0.0)?, biases: floats("biases", f32::NEG_INFINITY)? })
}
