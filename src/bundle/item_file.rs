//! One item file, kept as the bytes that arrived: its tensors are read where they lie.

use std::ops::Range;

use super::safetensors::Header;
use crate::error::{Result, range};
use crate::kernels::{BLOCK, CENTROIDS, blocks, pairs, subspaces};

/// One item file: its bytes, and where its tensors lie in them.
pub struct ItemFile {
    bytes: Vec<u8>,
    rows: usize,
    dim: usize,
    vectors: Range<usize>,
    scales: Range<usize>,
    biases: Range<usize>,
    /// int8 vectors and their scales that stand for the items in a history; absent: those that are scored do.
    history_vectors: Option<[Range<usize>; 2]>,
    /// Training events of each item, where the file has them.
    counts: Option<Range<usize>>,
    residuals: Option<Range<usize>>,
    codes: Option<Range<usize>>,
    codebook: Vec<f32>,
    /// Scale and bias of each row, side by side: a search that jumps between rows then waits for memory once a row
    /// instead of twice.
    weights: Vec<[f32; 2]>,
}

impl ItemFile {
    /// Finds and checks the tensors of `rows` rows of `dim` dimensions. `history_vectors` says whether the file must
    /// have separate vectors for the history.
    ///
    /// # Errors
    /// `malformed` if the bytes are not a safetensors file, `missing` for a tensor, `range` for a shape, a type or a
    /// number.
    pub(super) fn new(bytes: Vec<u8>, rows: usize, dim: usize, history_vectors: bool) -> Result<ItemFile> {
        let header = Header::read(&bytes)?;
        let place = |name: &str, dtype: &str, shape: &[usize]| header.place(name, dtype, shape);
        let optional = |name: &str, dtype: &str, shape: &[usize]| header.has(name).then(|| place(name, dtype, shape)).transpose();
        let vectors = place("vectors", "I8", &[rows, dim])?;
        let (scales, biases) = (place("scales", "F32", &[rows])?, place("biases", "F32", &[rows])?);
        let history_vectors = history_vectors
            .then(|| Ok([place("inputs", "I8", &[rows, dim])?, place("input_scales", "F32", &[rows])?]))
            .transpose()?;
        let counts = optional("counts", "F32", &[rows])?;
        let residuals = optional("residuals", "U8", &[rows, dim.div_ceil(2)])?;
        let codes = optional("codes", "U8", &[blocks(rows), pairs(dim), BLOCK])?;
        let codebook = codes.is_some().then(|| place("codebook", "F32", &[subspaces(dim), CENTROIDS, 2])).transpose()?;
        let finite = |name: &str, place: Range<usize>, least: f32| -> Result<()> {
            match floats(&bytes[place]).enumerate().find(|(_, x)| !x.is_finite() || *x <= least) {
                Some((at, _)) => Err(range("a finite number in range", "another").at(format!("{name}/{at}"))),
                None => Ok(()),
            }
        };
        finite("scales", scales.clone(), 0.0)?;
        if let Some([_, scales]) = &history_vectors {
            finite("input_scales", scales.clone(), 0.0)?;
        }
        finite("biases", biases.clone(), f32::NEG_INFINITY)?;
        finite("counts", counts.clone().unwrap_or_default(), -f32::MIN_POSITIVE)?;
        finite("codebook", codebook.clone().unwrap_or_default(), f32::NEG_INFINITY)?;
        if let Some(at) = first_minus_128(&bytes[vectors.clone()]) {
            return Err(range("-127 to 127", -128).at(format!("vectors/{}", at / dim)));
        }
        let codebook = floats(&bytes[codebook.unwrap_or_default()]).collect();
        let weights = side_by_side(&bytes[scales.clone()], &bytes[biases.clone()]);
        Ok(ItemFile { weights, rows, dim, vectors, scales, biases, history_vectors, counts, residuals, codes, codebook, bytes })
    }

    /// A file for tests: its tensors, without a header.
    #[cfg(test)]
    pub(super) fn of_parts(rows: usize, dim: usize, parts: Parts) -> ItemFile {
        let le = |xs: &[f32]| xs.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let mut bytes = Vec::new();
        let mut add = |part: &[u8]| {
            bytes.extend(part);
            bytes.len() - part.len()..bytes.len()
        };
        let vectors = add(bytemuck::cast_slice(&parts.vectors));
        let (scales, biases) = (add(&le(&parts.scales)), add(&le(&parts.biases)));
        let counts = parts.counts.map(|counts| add(&le(&counts)));
        let (residuals, codes) = (parts.residuals.map(|part| add(&part)), parts.codes.map(|part| add(&part)));
        let weights = side_by_side(&bytes[scales.clone()], &bytes[biases.clone()]);
        let (history_vectors, codebook) = (None, parts.codebook);
        ItemFile { weights, rows, dim, vectors, scales, biases, history_vectors, counts, residuals, codes, codebook, bytes }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row. An opened bundle has no such file.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// int8 rows `[rows, d]`, −127 to 127.
    pub fn vectors(&self) -> &[i8] {
        bytemuck::cast_slice(&self.bytes[self.vectors.clone()])
    }

    /// Scale of a row of this file, above 0.
    pub fn scale(&self, row: usize) -> f32 {
        self.weights[row][0]
    }

    /// Bias of a row of this file, in logits.
    pub fn bias(&self, row: usize) -> f32 {
        self.weights[row][1]
    }

    /// int8 vector `[d]` and scale that stand for a row in a history.
    pub(super) fn history_vector(&self, row: usize) -> (&[i8], f32) {
        let (vectors, scale) = match &self.history_vectors {
            None => (&self.vectors, self.scale(row)),
            Some([vectors, scales]) => (vectors, floats(&self.bytes[scales.start + 4 * row..]).next().unwrap_or(1.0)),
        };
        (bytemuck::cast_slice(&self.bytes[vectors.start + row * self.dim..][..self.dim]), scale)
    }

    /// 1 / √(1 + n) for each row of this file, n its training events; `None` if the file has no counts.
    pub(super) fn rarities(&self) -> Option<impl Iterator<Item = f32> + '_> {
        let counts = self.counts.as_ref()?;
        Some(floats(&self.bytes[counts.clone()]).map(|count| 1.0 / libm::sqrtf(1.0 + count)))
    }

    /// The bytes of the scales and of the biases from row `start` on, little-endian f32 each.
    pub fn weights(&self, start: usize) -> [&[u8]; 2] {
        [&self.scales, &self.biases].map(|place| &self.bytes[place.start + 4 * start..place.end])
    }

    /// Residuals of a row of this file, `[⌈d/2⌉]`; `None` if the file has none. See [`crate::kernels::residual_row`].
    pub fn residuals(&self, row: usize) -> Option<&[u8]> {
        let width = self.dim.div_ceil(2);
        self.residuals.as_ref().map(|place| &self.bytes[place.start + row * width..][..width])
    }

    /// Codes `[blocks, pairs, 16]` and the codebook `[subspaces, 16, 2]`; `None` if the file has none. See
    /// [`crate::kernels::Scan`].
    pub fn codes(&self) -> Option<(&[u8], &[f32])> {
        self.codes.as_ref().map(|place| (&self.bytes[place.clone()], self.codebook.as_slice()))
    }

    /// Scale and bias of each row.
    pub(super) fn scales_and_biases(&self) -> &[[f32; 2]] {
        &self.weights
    }

    /// Whether the file has residuals.
    pub(super) fn has_residuals(&self) -> bool {
        self.residuals.is_some()
    }

    /// Whether the file has all that the search by codes reads: codes, then residuals.
    pub(super) fn has_planes(&self) -> bool {
        self.codes.is_some() && self.has_residuals()
    }
}

/// The tensors of an [`ItemFile::of_parts`].
#[cfg(test)]
#[derive(Default)]
pub(super) struct Parts {
    pub vectors: Vec<i8>,
    pub scales: Vec<f32>,
    pub biases: Vec<f32>,
    pub counts: Option<Vec<f32>>,
    pub residuals: Option<Vec<u8>>,
    pub codes: Option<Vec<u8>>,
    pub codebook: Vec<f32>,
}

/// The first byte that is −128 as an int8.
fn first_minus_128(bytes: &[u8]) -> Option<usize> {
    // Eight bytes at a time. After the xor such a byte is 0. Subtracting 1 from each byte sets the highest bit of a
    // byte that was 0; the mask `!x` drops the bytes that had it before.
    const LEAST: u64 = u64::from_ne_bytes([0x80; 8]);
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x & LEAST;
    let (eights, rest) = bytes.as_chunks::<8>();
    let there = eights.iter().position(|eight| zeros(u64::from_ne_bytes(*eight) ^ LEAST) != 0);
    let from = 8 * there.unwrap_or(eights.len());
    let within = if there.is_some() { &bytes[from..] } else { rest };
    within.iter().position(|q| *q == 0x80).map(|at| from + at)
}

/// Scale and bias of each row.
fn side_by_side(scales: &[u8], biases: &[u8]) -> Vec<[f32; 2]> {
    floats(scales).zip(floats(biases)).map(|(scale, bias)| [scale, bias]).collect()
}

/// Little-endian floats at any address.
fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::bundle::Rows;

    #[test]
    fn a_header_is_read_and_wrong_ones_are_refused() {
        let file = |header: &str, data: usize| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header.bytes());
            bytes.resize(8 + header.len() + data, 1);
            ItemFile::new(bytes, 2, 3, false)
        };
        let with = |vectors: &str| {
            format!(
                r#"{{"__metadata__":{{"a":"b"}},"vectors":{vectors},"scales":{{"dtype":"F32","shape":[2],"data_offsets":[6,14]}},
                "biases":{{"dtype":"F32","shape":[2],"data_offsets":[14,22]}}}}"#
            )
        };
        let right = with(r#"{"dtype":"I8","shape":[2,3],"data_offsets":[0,6]}"#);
        assert_eq!(file(&right, 22).unwrap().vectors(), [1; 6]);
        let code = |header: &str, data| file(header, data).err().unwrap().code();
        assert_eq!(code(&right, 21), "length");
        assert_eq!(code(&with(r#"{"dtype":"I8","shape":[2,3],"data_offsets":[6,0]}"#), 22), "length");
        assert_eq!(code(&with(r#"{"dtype":"I8","shape":[2,3],"data_offsets":[4294967295,6]}"#), 22), "length");
        assert_eq!(code(&with(r#"{"dtype":"I8","shape":[3,2],"data_offsets":[0,6]}"#), 22), "range");
        assert_eq!(code(&with(r#"{"dtype":"U8","shape":[2,3],"data_offsets":[0,6]}"#), 22), "range");
        assert_eq!((code("{}", 22), code("[", 22)), ("missing", "malformed"));
        for bytes in [&[][..], &[1; 7], &[255; 40]] {
            assert_eq!(ItemFile::new(bytes.to_vec(), 2, 3, false).err().unwrap().code(), "malformed");
        }
    }

    #[test]
    fn a_history_takes_its_own_vectors_if_the_file_has_them() {
        let tensor = |name: &str, dtype: &str, shape: &str, from: usize, to: usize| {
            format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
        };
        let scored = [
            tensor("vectors", "I8", "[2,2]", 0, 4),
            tensor("scales", "F32", "[2]", 4, 12),
            tensor("biases", "F32", "[2]", 12, 20),
        ];
        let read = [tensor("inputs", "I8", "[2,2]", 20, 24), tensor("input_scales", "F32", "[2]", 24, 32)];
        let floats = |xs: [f32; 2]| xs.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let file = |tensors: &[String], history_vectors: bool| {
            let header = format!("{{{}}}", tensors.join(","));
            let data = [vec![1, 2, 3, 4], floats([2.0, 0.5]), floats([0.0, 0.0]), vec![5, 6, 7, 8], floats([1.0, 10.0])].concat();
            let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
            ItemFile::new(bytes, 2, 2, history_vectors)
        };
        let all = [&scored[..], &read[..]].concat();
        let second = |file: ItemFile| {
            let (rows, mut in_history, mut vector) = (Rows::new(2, vec![file]), [0.0; 2], [0.0; 2]);
            rows.history_vector_into(1, &mut in_history);
            rows.vector_into(1, &mut vector);
            (in_history, vector)
        };
        assert_eq!(second(file(&all, true).unwrap()), ([70.0, 80.0], [1.5, 2.0]));
        assert_eq!(second(file(&all, false).unwrap()), ([1.5, 2.0], [1.5, 2.0]));
        assert_eq!(file(&scored, true).err().unwrap().code(), "missing");
    }

    #[test]
    fn minus_128_is_found() {
        for (len, at) in [(1, 0), (7, 6), (8, 0), (8, 7), (9, 8), (30, 13), (30, 29)] {
            let mut bytes: Vec<u8> = (0..len as u8).map(|x| [0, 1, 0x7f, 0x81, 0xff][x as usize % 5]).collect();
            assert_eq!(first_minus_128(&bytes), None);
            bytes[at] = 0x80;
            assert_eq!(first_minus_128(&bytes), Some(at), "{len}");
            bytes[len - 1] = 0x80;
            assert_eq!(first_minus_128(&bytes), Some(at), "{len}");
        }
        assert_eq!(first_minus_128(&[]), None);
    }
}
