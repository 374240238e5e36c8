//! The header of a safetensors file, <https://github.com/huggingface/safetensors>.
//!
//! The crate of that name would take a tenth of the bytes that a page may load, so the header is read here.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;

use crate::error::{ErrorKind, Result, range};
use crate::json::from_json;

/// The most bytes of a header: it has an entry of about a hundred bytes for each tensor.
const MAX_HEADER_BYTES: usize = 1 << 20;

/// Which tensors a file has, and where their bytes lie.
pub(super) struct Header {
    tensors: BTreeMap<String, TensorEntry>,
    /// Where the data begins in the file.
    start: usize,
    /// Bytes of data.
    bytes: usize,
}

/// The header's entry of one tensor. Every key may be absent, because `__metadata__` is an entry too.
#[derive(Deserialize, Default)]
#[serde(default)]
struct TensorEntry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Header {
    /// Reads the header of a whole file.
    ///
    /// # Errors
    /// `malformed`, `limit`.
    pub(super) fn read(file: &[u8]) -> Result<Header> {
        let malformed = |text: &str| ErrorKind::Malformed(text.into()).at("header");
        let (length, rest) = file.split_first_chunk::<8>().ok_or_else(|| malformed("the file ends in its header"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let json = rest.get(..length).ok_or_else(|| malformed("the file ends in its header"))?;
        if length > MAX_HEADER_BYTES {
            return Err(ErrorKind::Limit { limit: MAX_HEADER_BYTES as u64, got: length as u64 }.at("header"));
        }
        let tensors = from_json(json).map_err(|kind| kind.at("header"))?;
        Ok(Header { tensors, start: 8 + length, bytes: rest.len() - length })
    }

    /// Whether there is a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Where the bytes of a tensor of this type (`I8`, `U8`, `U16`, `U32` or `F32`) and shape lie in the file.
    ///
    /// # Errors
    /// `missing`, `range` for another type or shape, `length` where the offsets do not fit the shape or the file.
    pub(super) fn place(&self, name: &str, dtype: &str, shape: &[usize]) -> Result<Range<usize>> {
        let tensor = self.tensors.get(name).ok_or_else(|| ErrorKind::Missing.at(name))?;
        if tensor.dtype != dtype || tensor.shape != shape {
            let form = |dtype: &str, shape: &[usize]| {
                shape.iter().fold(dtype.to_string(), |text, n| format!("{text}{}{n}", if text == dtype { ' ' } else { '×' }))
            };
            return Err(range(&form(dtype, shape), form(&tensor.dtype, &tensor.shape)).at(name));
        }
        let (from, to) = tensor.data_offsets;
        let width = if dtype.ends_with("32") { 4 } else { 1 + usize::from(dtype.ends_with("16")) };
        let expected = shape.iter().fold(width, |bytes, n| bytes.saturating_mul(*n));
        if to > self.bytes || to.checked_sub(from) != Some(expected) {
            return Err(ErrorKind::Length { expected, got: to.saturating_sub(from), unit: "bytes in the file" }.at(name));
        }
        Ok(self.start + from..self.start + to)
    }
}
