//! One error type for the whole core: a stable kind, expected and got, and the part at fault.

use std::fmt;

/// Result of the core.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, and in which part: a file of the bundle, a key, an argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// The kind, with what was expected and what was got.
    pub kind: ErrorKind,
    /// The part at fault, such as `items-000.1a2b.safetensors/vectors` or `recommend.k`.
    pub part: String,
}

/// The kinds of error. [`ErrorKind::code`] is stable and is the `code` that JavaScript sees.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file that the manifest names, or a part of one, is not there.
    #[error("missing")]
    Missing,
    /// A byte length or a count differs.
    #[error("expected {expected} {unit}, got {got}")]
    Length {
        /// Length that the manifest or the shape asks for.
        expected: usize,
        /// Length found.
        got: usize,
        /// What is counted: `bytes`, `rows`, `values`.
        unit: &'static str,
    },
    /// SHA-256 differs.
    #[error("expected SHA-256 {expected}, got {got}")]
    Hash {
        /// Lower-case hexadecimal digest of the manifest.
        expected: String,
        /// Digest of the bytes found.
        got: String,
    },
    /// A later format than this code reads.
    #[error("format version {found} is newer than {newest}, the newest that this build reads")]
    TooNew {
        /// Version found.
        found: u64,
        /// Newest version known here.
        newest: u64,
    },
    /// A key that the format does not have.
    #[error("{0}")]
    UnknownKey(String),
    /// A required feature that this build does not have.
    #[error("needs the feature `{0}`, which this build does not have")]
    UnknownFeature(String),
    /// Not of the form that the format asks for.
    #[error("{0}")]
    Malformed(String),
    /// A number or shape outside its range.
    #[error("expected {expected}, got {got}")]
    Range {
        /// The range in words.
        expected: String,
        /// The value.
        got: String,
    },
    /// Larger than this build accepts; nothing was allocated.
    #[error("{got} is over the limit of {limit}")]
    Limit {
        /// The limit.
        limit: u64,
        /// The size asked for.
        got: u64,
    },
    /// The device has no memory for as many bytes.
    #[error("there is no memory for {0} bytes")]
    Memory(u64),
    /// A path that is no plain relative file name.
    #[error("`{0}` is not a plain file name")]
    Path(String),
    /// An item id that the catalog does not have.
    #[error("no item `{0}` in the catalog")]
    UnknownItem(String),
    /// A call argument that does not make sense.
    #[error("{0}")]
    Argument(String),
    /// The tower is not loaded yet.
    #[error("the model is not loaded")]
    NoModel,
    /// The model runtime refused the graph, or its run failed.
    #[error("{0}")]
    Model(String),
}

impl ErrorKind {
    /// Stable name of the kind: part of the interface.
    pub fn code(&self) -> &'static str {
        match self {
            ErrorKind::Missing => "missing",
            ErrorKind::Length { .. } => "length",
            ErrorKind::Hash { .. } => "hash",
            ErrorKind::TooNew { .. } => "too-new",
            ErrorKind::UnknownKey(_) => "unknown-key",
            ErrorKind::UnknownFeature(_) => "unknown-feature",
            ErrorKind::Malformed(_) => "malformed",
            ErrorKind::Range { .. } => "range",
            ErrorKind::Limit { .. } => "limit",
            ErrorKind::Memory(_) => "memory",
            ErrorKind::Path(_) => "path",
            ErrorKind::UnknownItem(_) => "unknown-item",
            ErrorKind::Argument(_) => "argument",
            ErrorKind::NoModel => "no-model",
            ErrorKind::Model(_) => "model",
        }
    }

    /// The error of this kind at `part`.
    pub fn at(self, part: impl Into<String>) -> Error {
        Error { kind: self, part: part.into() }
    }
}

/// A [`ErrorKind::Range`]: the range in words, and the value outside it.
pub(crate) fn range(expected: &str, got: impl ToString) -> ErrorKind {
    ErrorKind::Range { expected: expected.into(), got: got.to_string() }
}

impl Error {
    /// Stable name of the kind.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The same error, its part prefixed by `outer/`.
    pub fn within(mut self, outer: &str) -> Error {
        self.part = format!("{outer}/{}", self.part);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.kind)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_part_expected_and_got() {
        let e = ErrorKind::Length { expected: 107648, got: 107520, unit: "bytes" }.at("vectors").within("items.safetensors");
        assert_eq!(e.to_string(), "items.safetensors/vectors: expected 107648 bytes, got 107520");
        assert_eq!(e.code(), "length");
    }
}
