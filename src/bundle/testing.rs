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
