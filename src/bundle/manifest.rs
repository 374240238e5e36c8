//! `manifest.json`: what the bundle is, and which files it has. The trainer writes this type and the core reads it, so
//! the format is declared once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hash::short_hash;
use super::neighbours::NeighbourWeights;
use super::ranker::RankerSpec;
use crate::error::{ErrorKind, Result, range};
use crate::features::Encoding;
use crate::json::from_json;
use crate::model::Shapes;

/// The format version that the trainer writes, and the newest that this build reads.
pub const FORMAT_VERSION: u64 = 1;
/// The most bytes of a manifest.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;
/// The most files of a bundle.
const MAX_FILES: usize = 4096;
/// The most names of features, required ones and optional ones each.
const MAX_FEATURES: usize = 64;
/// The most bytes of one file.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// The most rows of one item file.
pub const MAX_ROWS_PER_FILE: usize = 65_536;
/// The most dimensions of a vector: the dot product of an int8 row and an i16 query must fit 32 bits.
pub const MAX_DIM: usize = 512;
/// The feature of item files that have separate vectors for the history.
pub const HISTORY_VECTORS: &str = "inputs";
/// The feature of neighbours files and of the role of these files.
pub const NEIGHBOURS: &str = "neighbours";
/// The feature of a ranker and of the role of its graph.
pub const RANKER: &str = "ranker";
/// The role of files with values of items that the ranker reads.
pub const FEATURES: &str = "features";
/// Features of this build that a bundle may require.
pub const KNOWN_FEATURES: &[&str] = &[HISTORY_VECTORS, NEIGHBOURS, RANKER];

/// The manifest. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// 1.
    pub format_version: u64,
    /// First 16 hexadecimal digits of the SHA-256 over the hashes of the files.
    pub model_id: String,
    /// Name of the data set.
    pub name: String,
    /// Dimensions d of a vector, 1 to 512.
    pub dim: usize,
    /// Rows of the catalog, all item files together.
    pub items: usize,
    /// All files but the manifest; item files and catalogs in row order.
    pub files: Vec<FileEntry>,
    /// Additions to the format that the bundle uses.
    #[serde(default)]
    pub features: Features,
    /// Every constant of the feature encoding.
    pub encoding: Encoding,
    /// The data and the split that the model was trained on.
    pub trained_on: TrainedOn,
    /// The range of the ratings, if the user tower predicts ratings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratings: Option<RatingRange>,
    /// How events count in sums over neighbours, if the bundle has neighbours files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<NeighbourWeights>,
    /// What the ranker reads and what its outputs mean, if the bundle has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranker: Option<RankerSpec>,
    /// Figures of the model card, by metric name.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// Licence of the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// What the model was trained on and what its figures do not say, in a few sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<String>,
}

/// One file of the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// A plain file name, beside the manifest.
    pub path: String,
    /// One of `user_tower`, `item_tower`, `ranker`, `items`, `catalog`, `neighbours`, `features` or `golden`.
    pub role: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// Rows, for item files, catalogs, neighbours files and those of role `features`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// The feature that the file belongs to, if any. A reader that does not know the feature skips the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
}

/// The range of the ratings that a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatingRange {
    /// Least.
    pub least: f64,
    /// Greatest, above the least.
    pub most: f64,
}

/// Names of additions to the format.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    /// A reader that does not know one of these refuses the bundle.
    #[serde(default)]
    pub required: Vec<String>,
    /// A reader that does not know one of these skips its files.
    #[serde(default)]
    pub optional: Vec<String>,
}

/// What the model was trained on. `evaluate` refuses any other split, because its test events may have been trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainedOn {
    /// `p1` to `p5`, `cold`, or `all`.
    pub protocol: String,
    /// The fold of P4 and `cold`, or the salt of P1 and P2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<u32>,
    /// SHA-256 of the data, lower-case hexadecimal.
    pub data_sha256: String,
    /// Seed of the training.
    pub seed: u64,
}

/// The bytes of some files.
fn total<'a>(files: impl Iterator<Item = &'a FileEntry>) -> u64 {
    files.fold(0, |sum, file| sum.saturating_add(file.bytes))
}

/// Roles of files in format version 1.
pub const ROLES: &[&str] = &["user_tower", "item_tower", "items", "catalog", "golden"];

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// `limit`, `malformed`, `too-new`, `unknown-key`, `unknown-feature`, `path`, `range`: see [`ErrorKind`].
    pub fn parse(bytes: &[u8]) -> Result<Manifest> {
        let part = "manifest.json";
        if bytes.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(ErrorKind::Limit { limit: MAX_MANIFEST_BYTES, got: bytes.len() as u64 }.at(part));
        }
        // The version is read on its own first, because a later format may have other keys.
        #[derive(Deserialize)]
        struct Version {
            format_version: u64,
        }
        let version: Version = from_json(bytes).map_err(|kind| kind.at(part))?;
        if version.format_version > FORMAT_VERSION {
            return Err(ErrorKind::TooNew { found: version.format_version, newest: FORMAT_VERSION }.at(part));
        }
        if version.format_version == 0 {
            return Err(range("format_version of 1", 0).at(part));
        }
        let manifest: Manifest = from_json(bytes).map_err(|kind| kind.at(part))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The files that this build uses: all but those of unknown optional features.
    pub fn used_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.iter().filter(|f| f.feature.as_deref().is_none_or(|name| KNOWN_FEATURES.contains(&name)))
    }

    /// The files of one role, in order.
    pub fn files_of<'a>(&'a self, role: &'a str) -> impl Iterator<Item = &'a FileEntry> {
        self.used_files().filter(move |f| f.role == role)
    }

    /// The lengths of the inputs and outputs of all graphs.
    pub fn shapes(&self) -> Shapes {
        let (context, item) = (self.encoding.context_slots(), self.encoding.item_slots());
        let (ranker, heads) = self.ranker.as_ref().map_or((0, 0), |ranker| (ranker.slots(), ranker.heads.len()));
        Shapes { dim: self.dim, len: self.encoding.history.len, context, item, ranker, heads, ..Shapes::default() }
    }

    /// Whether the item files have separate vectors for the history.
    pub fn has_history_vectors(&self) -> bool {
        self.requires(HISTORY_VECTORS)
    }

    /// Whether there are files with values of items for the ranker.
    pub fn has_features(&self) -> bool {
        self.ranker.as_ref().is_some_and(RankerSpec::has_tables)
    }

    fn requires(&self, feature: &str) -> bool {
        self.features.required.iter().any(|name| name == feature)
    }

    /// Estimate of the memory that the rows and catalogs of the open bundle take, in bytes.
    pub fn memory(&self) -> u64 {
        // Item files stay as they are, plus about ten bytes a row. A catalog takes a few times its length as JSON; the
        // reader refuses one that takes more than a bundle may.
        let sum = |role| total(self.files_of(role));
        (sum("items").saturating_add(sum(NEIGHBOURS)).saturating_add(sum(FEATURES)))
            .saturating_add(10 * self.items as u64)
            .saturating_add(sum("catalog").saturating_mul(3))
    }

    /// Bytes of the files that this build uses.
    pub fn bytes(&self) -> u64 {
        total(self.used_files())
    }

    /// The [`Manifest::model_id`] that these files have: a hash over the hashes of all but the files of optional
    /// features.
    pub fn id_of_files(&self) -> String {
        let optional = |file: &FileEntry| file.feature.as_ref().is_some_and(|name| !self.features.required.contains(name));
        let hashes: String = self.files.iter().filter(|file| !optional(file)).map(|file| file.sha256.as_str()).collect();
        short_hash(&hashes)
    }

    fn check(&self) -> Result<()> {
        let part = |key: &str| format!("manifest.json/{key}");
        for (key, names) in [("features.required", &self.features.required), ("features.optional", &self.features.optional)] {
            if names.len() > MAX_FEATURES {
                return Err(ErrorKind::Limit { limit: MAX_FEATURES as u64, got: names.len() as u64 }.at(part(key)));
            }
        }
        if let Some(name) = self.features.required.iter().find(|n| !KNOWN_FEATURES.contains(&n.as_str())) {
            return Err(ErrorKind::UnknownFeature(name.clone()).at(part("features.required")));
        }
        if self.dim == 0 || self.dim > MAX_DIM {
            return Err(range("1 to 512 dimensions", self.dim).at(part("dim")));
        }
        if self.items == 0 || self.items > u32::MAX as usize {
            return Err(range("1 to 4294967295 items", self.items).at(part("items")));
        }
        if self.files.len() > MAX_FILES {
            return Err(ErrorKind::Limit { limit: MAX_FILES as u64, got: self.files.len() as u64 }.at(part("files")));
        }
        for (i, file) in self.files.iter().enumerate() {
            let plain = !file.path.is_empty()
                && file.path.len() <= 200
                && !file.path.starts_with('.')
                && file.path.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !plain || file.path == "manifest.json" || self.files[..i].iter().any(|f| f.path == file.path) {
                return Err(ErrorKind::Path(file.path.clone()).at(part("files")));
            }
            if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
                return Err(ErrorKind::Malformed("sha256 is not 64 lower-case hexadecimal digits".into()).at(part(&file.path)));
            }
            match &file.feature {
                None if !ROLES.contains(&file.role.as_str()) => {
                    return Err(ErrorKind::Malformed(format!("unknown role `{}`", file.role)).at(part(&file.path)));
                }
                Some(name) if !self.features.optional.contains(name) && !self.features.required.contains(name) => {
                    return Err(ErrorKind::Malformed(format!("belongs to the undeclared feature `{name}`")).at(part(&file.path)));
                }
                _ => {}
            }
        }
        if let Some(file) = self.used_files().find(|file| file.bytes > MAX_FILE_BYTES) {
            return Err(ErrorKind::Limit { limit: MAX_FILE_BYTES, got: file.bytes }.at(part(&file.path)));
        }
        for (name, is_there) in [(NEIGHBOURS, self.neighbours.is_some()), (RANKER, self.ranker.is_some())] {
            if is_there != self.requires(name) {
                return Err(ErrorKind::Malformed(format!("the feature `{name}` needs the key of that name")).at(part(name)));
            }
        }
        let rankers = usize::from(self.ranker.is_some());
        for (role, wanted) in [("user_tower", 1), ("item_tower", 1), ("golden", 1), (RANKER, rankers)] {
            let got = self.files_of(role).count();
            if got != wanted {
                return Err(range(&format!("{wanted} files of role {role}"), got).at(part("files")));
            }
        }
        let rows_if = |is_there: bool| if is_there { self.items } else { 0 };
        for (role, wanted) in [
            ("items", self.items),
            ("catalog", self.items),
            (NEIGHBOURS, rows_if(self.neighbours.is_some())),
            (FEATURES, rows_if(self.has_features())),
        ] {
            let mut rows = 0usize;
            for file in self.files_of(role) {
                match file.rows {
                    Some(n) if n > 0 && n <= MAX_ROWS_PER_FILE => rows += n,
                    other => return Err(range("1 to 65536 rows", other.unwrap_or(0)).at(part(&file.path))),
                }
            }
            if rows != wanted {
                return Err(ErrorKind::Length { expected: wanted, got: rows, unit: "rows" }.at(part(role)));
            }
        }
        if let Some(RatingRange { least, most }) = self.ratings
            && !(least < most && least.is_finite() && most.is_finite())
        {
            // The message does not say the numbers: the code that prints floats would make the module a tenth larger.
            return Err(range("finite numbers, least below most", "others").at(part("ratings")));
        }
        self.encoding.check().map_err(|e| e.within("manifest.json"))?;
        if let Some(neighbours) = &self.neighbours {
            neighbours.check(&self.encoding.history).map_err(|e| e.within(&part(NEIGHBOURS)))?;
        }
        self.ranker.as_ref().map_or(Ok(()), |ranker| ranker.check(&self.encoding).map_err(|e| e.within(&part(RANKER))))
    }
}
