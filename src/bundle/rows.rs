//! The rows of the item files, in the very bytes that arrived: nothing is copied out of a file once it is in memory.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Deserialize;

use crate::error::{ErrorKind, Result, range};
use crate::json::from_json;
use crate::kernels::{BIAS_STEPS, BLOCK, CENTROIDS, blocks, pairs, subspaces};

/// One item file: its bytes, and where its tensors lie.
pub struct ItemFile {
    bytes: Vec<u8>,
    rows: usize,
    dim: usize,
    vectors: Range<usize>,
    scales: Range<usize>,
    biases: Range<usize>,
    /// int8 vectors and their scales, as the history reads the items; absent: as they are scored.
    inputs: Option<[Range<usize>; 2]>,
    /// Training events of each item, where the file says.
    counts: Option<Range<usize>>,
    residuals: Option<Range<usize>>,
    codes: Option<Range<usize>>,
    codebook: Vec<f32>,
    /// Scale and bias of each row side by side: rows that lie far apart cost one wait for memory instead of two.
    weights: Vec<[f32; 2]>,
}

impl ItemFile {
    /// Finds and checks the tensors of `rows` rows of `dim` dimensions, with vectors of their own for the history where `inputs` says so.
    ///
    /// # Errors
    /// `malformed` for what is no safetensors, `missing` for a tensor, `range` for a shape, a type or a number.
    pub(super) fn new(bytes: Vec<u8>, rows: usize, dim: usize, inputs: bool) -> Result<ItemFile> {
        let header = Header::read(&bytes)?;
        let place = |name: &str, dtype: &str, shape: &[usize]| header.place(name, dtype, shape);
        let optional = |name: &str, dtype: &str, shape: &[usize]| header.has(name).then(|| place(name, dtype, shape)).transpose();
        let vectors = place("vectors", "I8", &[rows, dim])?;
        let (scales, biases) = (place("scales", "F32", &[rows])?, place("biases", "F32", &[rows])?);
        let inputs =
            inputs.then(|| Ok([place("inputs", "I8", &[rows, dim])?, place("input_scales", "F32", &[rows])?])).transpose()?;
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
        if let Some([_, scales]) = &inputs {
            finite("input_scales", scales.clone(), 0.0)?;
        }
        finite("biases", biases.clone(), f32::NEG_INFINITY)?;
        finite("counts", counts.clone().unwrap_or_default(), -f32::MIN_POSITIVE)?;
        finite("codebook", codebook.clone().unwrap_or_default(), f32::NEG_INFINITY)?;
        if let Some(at) = least(&bytes[vectors.clone()]) {
            return Err(range("-127 to 127", -128).at(format!("vectors/{}", at / dim)));
        }
        let codebook = floats(&bytes[codebook.unwrap_or_default()]).collect();
        let weights = side_by_side(&bytes[scales.clone()], &bytes[biases.clone()]);
        Ok(ItemFile { weights, rows, dim, vectors, scales, biases, inputs, counts, residuals, codes, codebook, bytes })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row: never, in a bundle that was opened.
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

    /// int8 vector and scale of a row as the history reads it.
    fn input(&self, row: usize) -> (&[i8], f32) {
        let (vectors, scale) = match &self.inputs {
            None => (&self.vectors, self.scale(row)),
            Some([vectors, scales]) => (vectors, floats(&self.bytes[scales.start + 4 * row..]).next().unwrap_or(1.0)),
        };
        (bytemuck::cast_slice(&self.bytes[vectors.start + row * self.dim..][..self.dim]), scale)
    }

    /// 1 / √(1 + n) of the rows of this file, n the training events of each; nothing where the file does not say.
    fn rarities(&self) -> Option<impl Iterator<Item = f32> + '_> {
        let counts = self.counts.as_ref()?;
        Some(floats(&self.bytes[counts.clone()]).map(|count| 1.0 / libm::sqrtf(1.0 + count)))
    }

    /// The bytes of scales and of biases, f32 each, of rows from `start` on.
    pub fn weights(&self, start: usize) -> [&[u8]; 2] {
        [&self.scales, &self.biases].map(|place| &self.bytes[place.start + 4 * start..place.end])
    }

    /// Residuals of a row of this file, `[⌈d/2⌉]`; nothing where the file has none. See [`crate::kernels::residual_row`].
    pub fn residuals(&self, row: usize) -> Option<&[u8]> {
        let width = self.dim.div_ceil(2);
        self.residuals.as_ref().map(|place| &self.bytes[place.start + row * width..][..width])
    }

    /// Codes `[blocks, pairs, 16]` and the codebook `[subspaces, 16, 2]`, where there are any. See [`crate::kernels::Scan`].
    pub fn codes(&self) -> Option<(&[u8], &[f32])> {
        self.codes.as_ref().map(|place| (&self.bytes[place.clone()], self.codebook.as_slice()))
    }
}

/// The head of a safetensors file, <https://github.com/huggingface/safetensors>: read here in a few lines, because the crate takes a
/// tenth of the bytes that a page may load.
struct Header {
    tensors: BTreeMap<String, Tensor>,
    /// Where the data begins, and how many bytes there are.
    start: usize,
    bytes: usize,
}

/// Numbers of one tensor. All may be absent, because `__metadata__` stands between the tensors.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Tensor {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

impl Header {
    fn read(file: &[u8]) -> Result<Header> {
        let malformed = |text: &str| ErrorKind::Malformed(text.into()).at("header");
        let (length, rest) = file.split_first_chunk::<8>().ok_or_else(|| malformed("the file ends in its header"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let json = rest.get(..length).ok_or_else(|| malformed("the file ends in its header"))?;
        let tensors = from_json(json).map_err(|kind| kind.at("header"))?;
        Ok(Header { tensors, start: 8 + length, bytes: rest.len() - length })
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Where a tensor's bytes lie in the file.
    fn place(&self, name: &str, dtype: &str, shape: &[usize]) -> Result<Range<usize>> {
        let tensor = self.tensors.get(name).ok_or_else(|| ErrorKind::Missing.at(name))?;
        if tensor.dtype != dtype || tensor.shape != shape {
            let form = |dtype: &str, shape: &[usize]| {
                shape.iter().fold(dtype.to_string(), |text, n| format!("{text}{}{n}", if text == dtype { ' ' } else { '×' }))
            };
            return Err(range(&form(dtype, shape), form(&tensor.dtype, &tensor.shape)).at(name));
        }
        let (from, to) = tensor.data_offsets;
        let expected = shape.iter().product::<usize>() * if dtype == "F32" { 4 } else { 1 };
        if to > self.bytes || to.checked_sub(from) != Some(expected) {
            return Err(ErrorKind::Length { expected, got: to.saturating_sub(from), unit: "bytes in the file" }.at(name));
        }
        Ok(self.start + from..self.start + to)
    }
}

/// Biases in whole steps, as the scan of codes adds them.
pub struct BiasCodes {
    /// Largest bias less the smallest, in logits.
    pub range: f32,
    /// Of each file `[blocks · 16]`.
    pub codes: Vec<Vec<i16>>,
}

impl BiasCodes {
    /// Of all biases; a file has those from its start to the next.
    fn new(starts: &[u32], biases: &[f32]) -> BiasCodes {
        let least = biases.iter().copied().fold(f32::INFINITY, f32::min);
        let range = (biases.iter().copied().fold(f32::NEG_INFINITY, f32::max) - least).min(f32::MAX);
        let step = if range > 0.0 { BIAS_STEPS / range } else { 0.0 };
        let file = |at: &[u32]| {
            let biases = &biases[at[0] as usize..at[1] as usize];
            let mut codes: Vec<i16> = biases.iter().map(|b| libm::roundf((b - least) * step) as i16).collect();
            codes.resize(blocks(biases.len()) * BLOCK, 0);
            codes
        };
        BiasCodes { range, codes: starts.windows(2).map(file).collect() }
    }
}

/// What is added to the scores of a search: this for each unit of an item's length, and of its rarity ([`Rows::rarities`]), in logits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lift {
    /// For each unit of length.
    pub length: f32,
    /// For each unit of rarity.
    pub rarity: f32,
}

impl Lift {
    /// Whether nothing is added.
    pub fn is_none(self) -> bool {
        self == Lift::default()
    }
}

/// Biases plus a lift.
pub struct Lifted {
    lift: Lift,
    /// `[n]`, in logits.
    pub biases: Vec<f32>,
    /// Where the rows have codes.
    pub codes: Option<BiasCodes>,
}

/// The rows of all item files, in row order.
pub struct Rows {
    dim: usize,
    files: Vec<ItemFile>,
    /// First row of each file, and the number of all rows.
    starts: Vec<u32>,
    bias_codes: Option<BiasCodes>,
    lifted: Mutex<Option<Arc<Lifted>>>,
    inverse_lengths: OnceLock<Vec<f32>>,
    lengths: OnceLock<Vec<f32>>,
    rarities: OnceLock<Vec<f32>>,
    middling_length: OnceLock<f64>,
}

impl Rows {
    pub(super) fn new(dim: usize, files: Vec<ItemFile>) -> Rows {
        let mut starts = vec![0];
        starts.extend(files.iter().scan(0, |sum, f| {
            *sum += f.rows as u32;
            Some(*sum)
        }));
        let planes = files.iter().all(|f| f.codes.is_some() && f.residuals.is_some());
        let bias_codes = planes.then(|| {
            let biases: Vec<f32> = files.iter().flat_map(|f| f.weights.iter().map(|w| w[1])).collect();
            BiasCodes::new(&starts, &biases)
        });
        let (lifted, inverse_lengths, lengths, rarities, middling_length) = Default::default();
        Rows { dim, files, starts, bias_codes, lifted, inverse_lengths, lengths, rarities, middling_length }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.start(usize::MAX)
    }

    /// Number of rows before a file; of all rows, where there are fewer files.
    pub fn start(&self, file: usize) -> usize {
        self.starts[file.min(self.files.len())] as usize
    }

    /// Whether there is no row: never, in a bundle that was opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every file has residuals.
    pub fn refined(&self) -> bool {
        self.files.iter().all(|f| f.residuals.is_some())
    }

    /// Dimensions d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The files with their first row.
    pub fn files(&self) -> impl Iterator<Item = (usize, &ItemFile)> {
        self.starts.iter().map(|s| *s as usize).zip(&self.files)
    }

    /// Codes of the biases, where every file has codes and residuals.
    pub fn bias_codes(&self) -> Option<&BiasCodes> {
        self.bias_codes.as_ref()
    }

    /// Biases plus a lift. The last one is kept: a page asks for the same again.
    pub fn lifted(&self, lift: Lift) -> Arc<Lifted> {
        // A thread that died here has left the old value or the new.
        let mut kept = self.lifted.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref().filter(|kept| kept.lift == lift) {
            Some(kept) => kept.clone(),
            None => kept.insert(Arc::new(self.lift(lift))).clone(),
        }
    }

    fn lift(&self, lift: Lift) -> Lifted {
        let lifts = self.lengths().iter().zip(self.rarities());
        let biases = self.files.iter().flat_map(|f| &f.weights).zip(lifts);
        let biases: Vec<f32> =
            biases.map(|(weights, (length, rarity))| weights[1] + lift.length * length + lift.rarity * rarity).collect();
        let codes = self.bias_codes().map(|_| BiasCodes::new(&self.starts, &biases));
        Lifted { lift, biases, codes }
    }

    /// The file of a row, and its place there.
    ///
    /// # Panics
    /// If the row is past the end.
    pub fn locate(&self, row: u32) -> (&ItemFile, usize) {
        let file = self.starts.partition_point(|start| *start <= row) - 1;
        (&self.files[file], (row - self.starts[file]) as usize)
    }

    /// int8 row of an item, `[d]`.
    pub fn vector(&self, row: u32) -> &[i8] {
        let (file, at) = self.locate(row);
        &file.vectors()[at * self.dim..][..self.dim]
    }

    /// int8 rows of some items, `[m, d]`.
    pub fn gather(&self, rows: &[u32]) -> Vec<i8> {
        let mut gathered = Vec::with_capacity(rows.len() * self.dim);
        rows.iter().for_each(|row| gathered.extend_from_slice(self.vector(*row)));
        gathered
    }

    /// Scale of each of some items.
    pub fn scales(&self, rows: &[u32]) -> Vec<f32> {
        rows.iter().map(|row| self.locate(*row)).map(|(file, at)| file.scale(at)).collect()
    }

    /// Bias of an item, in logits.
    pub fn bias(&self, row: u32) -> f32 {
        let (file, at) = self.locate(row);
        file.bias(at)
    }

    /// 1 / length of each int8 row `[n]`, 0 for a row of zeros. Made at the first call.
    pub fn inverse_lengths(&self) -> &[f32] {
        let square = |row: &[i8]| row.iter().map(|q| i32::from(*q) * i32::from(*q)).sum::<i32>();
        let inverse = |row| match square(row) {
            0 => 0.0,
            square => (1.0 / libm::sqrt(f64::from(square))) as f32,
        };
        let all = || self.files.iter().flat_map(|f| f.vectors().chunks_exact(self.dim)).map(inverse).collect();
        self.inverse_lengths.get_or_init(all)
    }

    /// Length of each vector `[n]`. Made at the first call.
    pub fn lengths(&self) -> &[f32] {
        let length = |(weights, inverse): (&[f32; 2], &f32)| if *inverse > 0.0 { weights[0] / inverse } else { 0.0 };
        let all = || self.files.iter().flat_map(|f| &f.weights).zip(self.inverse_lengths()).map(length).collect();
        self.lengths.get_or_init(all)
    }

    /// Root of the mean square of the lengths. Made at the first call.
    pub fn middling_length(&self) -> f64 {
        *self.middling_length.get_or_init(|| {
            let squares = self.lengths().iter().map(|length| f64::from(*length) * f64::from(*length));
            libm::sqrt(squares.sum::<f64>() / self.len() as f64)
        })
    }

    /// 1 / √(1 + n) of each item `[n]`, n its training events: 1 for one that no training has seen, 0 where the bundle does not say.
    /// Made at the first call.
    pub fn rarities(&self) -> &[f32] {
        self.rarities.get_or_init(|| {
            let mut all = Vec::with_capacity(self.len());
            for file in &self.files {
                match file.rarities() {
                    Some(rarities) => all.extend(rarities),
                    None => all.resize(all.len() + file.rows, 0.0),
                }
            }
            all
        })
    }

    /// Writes the dequantised vector of an item to `out`, `[d]`.
    pub fn vector_into(&self, row: u32, out: &mut [f32]) {
        let (file, at) = self.locate(row);
        dequantize((self.vector(row), file.scale(at)), out);
    }

    /// Writes the vector of an item as the history reads it to `out`, `[d]`.
    pub fn input_into(&self, row: u32, out: &mut [f32]) {
        let (file, at) = self.locate(row);
        dequantize(file.input(at), out);
    }
}

fn dequantize((vector, scale): (&[i8], f32), out: &mut [f32]) {
    out.iter_mut().zip(vector).for_each(|(x, q)| *x = f32::from(*q) * scale);
}

/// The first byte that is −128 as an int8.
fn least(bytes: &[u8]) -> Option<usize> {
    // Eight at a time: of a byte of zeros alone does the subtraction borrow and leave its highest bit clear before.
    const LEAST: u64 = u64::from_ne_bytes([0x80; 8]);
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x & LEAST;
    let (eights, rest) = bytes.as_chunks::<8>();
    let there = eights.iter().position(|eight| zeros(u64::from_ne_bytes(*eight) ^ LEAST) != 0);
    let from = 8 * there.unwrap_or(eights.len());
    let within = if there.is_some() { &bytes[from..] } else { rest };
    within.iter().position(|q| *q == 0x80).map(|at| from + at)
}

/// Scales and biases, row by row.
fn side_by_side(scales: &[u8], biases: &[u8]) -> Vec<[f32; 2]> {
    floats(scales).zip(floats(biases)).map(|(scale, bias)| [scale, bias]).collect()
}

/// Little-endian floats of any alignment.
fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
}

#[cfg(test)]
pub(crate) mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::kernels::{quantize_row, residual_row};

    /// One file of rows with the training events of each.
    pub(crate) fn rows_with_counts(dim: usize, vectors: &[f32], biases: &[f32], counts: &[f32]) -> Rows {
        let mut rows = rows(dim, vectors, biases, &[biases.len()], false);
        let file = &mut rows.files[0];
        let start = file.bytes.len();
        file.bytes.extend(counts.iter().flat_map(|x| x.to_le_bytes()));
        file.counts = Some(start..file.bytes.len());
        rows
    }

    /// Files of rows `[n, d]`, as the trainer writes them, but with the codebook of the normal distribution: four levels a dimension.
    /// Max, Quantizing for minimum distortion, 1960.
    pub(crate) fn rows(dim: usize, vectors: &[f32], biases: &[f32], sizes: &[usize], planes: bool) -> Rows {
        let level = |x: f32| [-0.98, 0.0, 0.98].iter().filter(|edge| x >= **edge).count();
        let center = |level: usize| [-1.51, -0.453, 0.453, 1.51][level];
        let mut start = 0;
        let file = |n: &usize| {
            let (vectors, biases) = (&vectors[start * dim..][..n * dim], &biases[start..][..*n]);
            start += n;
            let (mut ints, mut residuals) = (vec![0i8; n * dim], vec![0; n * dim.div_ceil(2)]);
            let mut codes = vec![0u8; blocks(*n) * pairs(dim) * BLOCK];
            let mut scales = Vec::new();
            for (i, row) in vectors.chunks(dim).enumerate() {
                let out = &mut ints[i * dim..][..dim];
                scales.push(quantize_row(row, out));
                residual_row(row, out, scales[i], &mut residuals[i * dim.div_ceil(2)..][..dim.div_ceil(2)]);
                for (k, x) in row.iter().enumerate() {
                    let place = (i / BLOCK * pairs(dim) + k / 4) * BLOCK + i % BLOCK;
                    codes[place] |= (level(*x) << (2 * (k % 4))) as u8;
                }
            }
            let codebook = (0..subspaces(dim) * CENTROIDS).flat_map(|c| [center(c % 4), center(c / 4 % 4)]).collect();
            let le = |xs: &[f32]| xs.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
            let parts = [bytemuck::cast_slice(&ints).to_vec(), le(&scales), le(biases), residuals, codes];
            let mut bytes = Vec::new();
            let [vectors, scales, biases, residuals, codes] = parts.map(|part| {
                bytes.extend(&part);
                bytes.len() - part.len()..bytes.len()
            });
            let (residuals, codes) = (Some(residuals).filter(|_| planes), Some(codes).filter(|_| planes));
            let weights = side_by_side(&bytes[scales.clone()], &bytes[biases.clone()]);
            let (inputs, counts) = (None, None);
            ItemFile { bytes, rows: *n, dim, vectors, scales, biases, inputs, counts, residuals, codes, codebook, weights }
        };
        Rows::new(dim, sizes.iter().map(file).collect())
    }

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
    fn a_history_reads_vectors_of_its_own_where_there_are_any() {
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
        let file = |tensors: &[String], inputs: bool| {
            let header = format!("{{{}}}", tensors.join(","));
            let data = [vec![1, 2, 3, 4], floats([2.0, 0.5]), floats([0.0, 0.0]), vec![5, 6, 7, 8], floats([1.0, 10.0])].concat();
            let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
            ItemFile::new(bytes, 2, 2, inputs)
        };
        let all = [&scored[..], &read[..]].concat();
        let second = |file: ItemFile| {
            let (rows, mut input, mut vector) = (Rows::new(2, vec![file]), [0.0; 2], [0.0; 2]);
            rows.input_into(1, &mut input);
            rows.vector_into(1, &mut vector);
            (input, vector)
        };
        assert_eq!(second(file(&all, true).unwrap()), ([70.0, 80.0], [1.5, 2.0]));
        assert_eq!(second(file(&all, false).unwrap()), ([1.5, 2.0], [1.5, 2.0]));
        assert_eq!(file(&scored, true).err().unwrap().code(), "missing");
    }

    #[test]
    fn the_number_that_has_no_opposite_is_found() {
        for (len, at) in [(1, 0), (7, 6), (8, 0), (8, 7), (9, 8), (30, 13), (30, 29)] {
            let mut bytes: Vec<u8> = (0..len as u8).map(|x| [0, 1, 0x7f, 0x81, 0xff][x as usize % 5]).collect();
            assert_eq!(least(&bytes), None);
            bytes[at] = 0x80;
            assert_eq!(least(&bytes), Some(at), "{len}");
            bytes[len - 1] = 0x80;
            assert_eq!(least(&bytes), Some(at), "{len}");
        }
        assert_eq!(least(&[]), None);
    }

    #[test]
    fn rows_are_found_over_files() {
        let vectors: Vec<f32> = (0..6 * 2).map(|x| x as f32 / 10.0).collect();
        let rows = rows(2, &vectors, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[1, 3, 2], true);
        assert_eq!((rows.len(), rows.bias_codes().unwrap().range), (6, 5.0));
        for row in 0..6 {
            let (file, at) = rows.locate(row);
            assert_eq!((file.bias(at), rows.bias(row)), (row as f32, row as f32));
            assert_eq!(file.len(), [1, 3, 3, 3, 2, 2][row as usize]);
            let mut out = [0.0; 2];
            rows.vector_into(row, &mut out);
            assert!((out[1] - vectors[row as usize * 2 + 1]).abs() < 1e-6 && rows.vector(row)[1] == 127);
        }
        assert_eq!(
            rows.files().zip(&rows.bias_codes().unwrap().codes).map(|((first, _), codes)| (first, codes[0])).collect::<Vec<_>>(),
            [(0, 0), (1, 6553), (4, 26214)]
        );
        assert_eq!(rows.inverse_lengths().len(), 6);
    }
}
