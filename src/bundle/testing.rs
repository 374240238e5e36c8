//! Item files for tests, made from vectors.

use super::item_file::{ItemFile, Parts};
use super::rows::Rows;
use crate::kernels::{BLOCK, CENTROIDS, blocks, pairs, quantize_row, residual_row, subspaces};

/// One item file; `counts` are the training events of each row.
pub(crate) fn rows_with_counts(dim: usize, vectors: &[f32], biases: &[f32], counts: &[f32]) -> Rows {
    let parts = Parts { counts: Some(counts.to_vec()), ..parts(dim, vectors, biases, false) };
    Rows::new(dim, vec![ItemFile::of_parts(biases.len(), dim, parts)])
}

/// Item files of `sizes` rows each from vectors `[n, d]`; with codes and residuals if `planes` says so.
pub(crate) fn rows(dim: usize, vectors: &[f32], biases: &[f32], sizes: &[usize], planes: bool) -> Rows {
    let mut start = 0;
    let file = |n: &usize| {
        let (vectors, biases) = (&vectors[start * dim..][..n * dim], &biases[start..][..*n]);
        start += n;
        ItemFile::of_parts(*n, dim, parts(dim, vectors, biases, planes))
    };
    Rows::new(dim, sizes.iter().map(file).collect())
}

/// Tensors as the trainer writes them, but with the codebook of the normal distribution: four levels a dimension. Max,
/// Quantizing for minimum distortion, 1960.
fn parts(dim: usize, vectors: &[f32], biases: &[f32], planes: bool) -> Parts {
    let level = |x: f32| [-0.98, 0.0, 0.98].iter().filter(|edge| x >= **edge).count();
    let center = |level: usize| [-1.51, -0.453, 0.453, 1.51][level];
    let (n, half) = (biases.len(), dim.div_ceil(2));
    let (mut ints, mut residuals) = (vec![0i8; n * dim], vec![0; n * half]);
    let mut codes = vec![0u8; blocks(n) * pairs(dim) * BLOCK];
    let mut scales = Vec::new();
    for (i, row) in vectors.chunks(dim).enumerate() {
        let out = &mut ints[i * dim..][..dim];
        scales.push(quantize_row(row, out));
        residual_row(row, out, scales[i], &mut residuals[i * half..][..half]);
        for (k, x) in row.iter().enumerate() {
            let place = (i / BLOCK * pairs(dim) + k / 4) * BLOCK + i % BLOCK;
            codes[place] |= (level(*x) << (2 * (k % 4))) as u8;
        }
    }
    let codebook = (0..subspaces(dim) * CENTROIDS).flat_map(|c| [center(c % 4), center(c / 4 % 4)]).collect();
    Parts {
        vectors: ints,
        scales,
        biases: biases.to_vec(),
        counts: None,
        residuals: planes.then_some(residuals),
        codes: planes.then_some(codes),
        codebook,
    }
}

/// The tensors of a neighbours file.
#[derive(Clone, Default)]
pub(crate) struct NeighbourParts {
    pub ends: Vec<u32>,
    pub rows: Vec<u32>,
    pub weights: Vec<i8>,
    pub scales: Vec<f32>,
}

impl NeighbourParts {
    /// For each row its neighbours with their weights, and the scale of these.
    pub fn of(lists: &[(Vec<(u32, i8)>, f32)]) -> NeighbourParts {
        let mut parts = NeighbourParts::default();
        for (list, scale) in lists {
            parts.rows.extend(list.iter().map(|(row, _)| *row));
            parts.weights.extend(list.iter().map(|(_, weight)| *weight));
            parts.ends.push(parts.rows.len() as u32);
            parts.scales.push(*scale);
        }
        parts
    }

    /// The file; rows take four bytes each if it is `wide`. Scales stand last, at any address.
    pub fn bytes(&self, wide: bool) -> Vec<u8> {
        let mut data: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        let mut header = Vec::new();
        let mut from = 0;
        let mut tensor = |name: &str, dtype: &str, len: usize, to: usize| {
            header.push(format!(r#""{name}":{{"dtype":"{dtype}","shape":[{len}],"data_offsets":[{from},{to}]}}"#));
            from = to;
        };
        tensor("ends", "U32", self.ends.len(), data.len());
        let width = if wide { 4 } else { 2 };
        data.extend(self.rows.iter().flat_map(|row| row.to_le_bytes().into_iter().take(width)));
        tensor("rows", if wide { "U32" } else { "U16" }, self.rows.len(), data.len());
        data.extend(self.weights.iter().map(|weight| *weight as u8));
        tensor("weights", "I8", self.weights.len(), data.len());
        data.extend(self.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        tensor("scales", "F32", self.scales.len(), data.len());
        let header = format!("{{{}}}", header.join(","));
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }
}
