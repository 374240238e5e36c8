//! The error type of the core: a stable kind with what was expected and what was found, and the part at fault.

use std::fmt;

/// The result of a call to the core.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong and where: in a file of the bundle, a key, or an argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    /// The kind, with what was expected and what was found.
    pub kind: ErrorKind,
    /// The part at fault, such as `items-000.1a2b.safetensors/vectors` or `recommend.k`.
    pub part: String,
}

/// The kinds of error. [`ErrorKind::code`] is stable and is the `code` that JavaScript sees.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file that the manifest names, or a part of a file, is missing.
    #[error("missing")]
    Missing,
    /// A length in bytes or a count is wrong.
    #[error("expected {expected} {unit}, got {got}")]
    Length {
        /// The length that the manifest or the shape requires.
        expected: usize,
        /// The length found.
        got: usize,
        /// What is counted: `bytes`, `rows`, `values`.
        unit: &'static str,
    },
    /// A SHA-256 is wrong.
    #[error("expected SHA-256 {expected}, got {got}")]
    Hash {
        /// The digest in the manifest, in lower-case hexadecimal.
        expected: String,
        /// The digest of the bytes.
        got: String,
    },
    /// The format is newer than this build reads.
    #[error("format version {found} is newer than {newest}, the newest that this build reads")]
    TooNew {
        /// The version found.
        found: u64,
        /// The newest version that this build reads.
        newest: u64,
    },
    /// A key that the format does not have.
    #[error("{0}")]
    UnknownKey(String),
    /// The bundle requires a feature that this build does not have.
    #[error("needs the feature `{0}`, which this build does not have")]
    UnknownFeature(String),
    /// The content does not have the form that the format requires.
    #[error("{0}")]
    Malformed(String),
    /// A number, a shape or a type is outside its range.
    #[error("expected {expected}, got {got}")]
    Range {
        /// The range in words.
        expected: String,
        /// The value found.
        got: String,
    },
    /// Something is larger than this build accepts. Nothing was allocated for it.
    #[error("{got} is over the limit of {limit}")]
    Limit {
        /// The limit.
        limit: u64,
        /// The size found.
        got: u64,
    },
    /// The device has not enough memory for this many bytes.
    #[error("there is no memory for {0} bytes")]
    Memory(u64),
    /// A path is not a plain file name.
    #[error("`{0}` is not a plain file name")]
    Path(String),
    /// An item id is not in the catalog.
    #[error("no item `{0}` in the catalog")]
    UnknownItem(String),
    /// An argument of a call is wrong.
    #[error("{0}")]
    Argument(String),
    /// The model has not been loaded yet.
    #[error("the model is not loaded")]
    NoModel,
    /// The model runtime refused a graph, or running it failed.
    #[error("{0}")]
    Model(String),
}

impl ErrorKind {
    /// The stable name of the kind. It is part of the interface.
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

    /// An error of this kind in the given part.
    pub fn at(self, part: impl Into<String>) -> Error {
        Error { kind: self, part: part.into() }
    }
}

/// An [`ErrorKind::Range`]: `expected` is the range in words, `got` the value outside it.
pub(crate) fn range(expected: &str, got: impl ToString) -> ErrorKind {
    ErrorKind::Range { expected: expected.into(), got: got.to_string() }
}

impl Error {
    /// The stable name of the kind.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// The same error, with `outer/` before its part.
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
