//! Item files and catalog files. Both hold the same rows in the same order, at most 65,536 in each file.

use std::collections::BTreeMap;

use anyhow::Result;
use foretaste::bundle::{CatalogFile, MAX_ROWS_PER_FILE};
use foretaste::kernels::{BLOCK, CENTROIDS, blocks, pairs, quantize_row, residual_row, subspaces};
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::{File, codes};
use crate::towers::CatalogRows;

/// From this many rows on the coarser plane is worth its bytes. Below, a plain scan takes less than .1 ms.
const CODES_FROM: usize = 16_384;

/// Which planes the item files have beside the int8 rows. The finer plane ranks the best rows as unquantised rows
/// would, at half a byte for each number. The coarser plane makes a search faster than a scan of all rows, at a quarter
/// of a byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Planes {
    /// The finer plane, and the coarser one from 16,384 items on.
    #[default]
    Auto,
    /// Both planes, whatever the size.
    Always,
    /// Int8 rows alone: the smallest files.
    Never,
}

impl Planes {
    /// Whether a catalog of this size has the finer and the coarser plane.
    fn of(self, items: usize) -> [bool; 2] {
        match self {
            Planes::Auto => [true, items >= CODES_FROM],
            Planes::Always => [true; 2],
            Planes::Never => [false; 2],
        }
    }
}

/// All item files, then all catalog files, each in row order. `counts` `[n]` are the training events of each item.
pub(super) fn files(catalog: &CatalogFile, dim: usize, rows: &CatalogRows, counts: &[f32], planes: Planes) -> Result<Vec<File>> {
    let CatalogRows { vectors, biases, inputs } = rows;
    let planes = planes.of(biases.len());
    let (mut items, mut catalogs) = (Vec::new(), Vec::new());
    for (i, biases) in biases.chunks(MAX_ROWS_PER_FILE).enumerate() {
        let (start, n) = (i * MAX_ROWS_PER_FILE, biases.len());
        let part = start * dim..(start + n) * dim;
        let inputs = inputs.as_ref().map(|inputs| &inputs[part.clone()]);
        let bytes = item_file(dim, &vectors[part], biases, inputs, Some(&counts[start..start + n]), planes)?;
        items.push(File::hashed(&format!("items-{i:03}"), "items", "safetensors", Some(n), bytes));
        let part = CatalogFile {
            ids: catalog.ids[start..start + n].to_vec(),
            titles: catalog.titles[start..start + n].to_vec(),
            columns: catalog.columns.iter().map(|(name, values)| (name.clone(), values[start..start + n].to_vec())).collect(),
        };
        catalogs.push(File::hashed(&format!("catalog-{i:03}"), "catalog", "json", Some(n), serde_json::to_vec(&part)?));
    }
    items.extend(catalogs);
    Ok(items)
}

/// The bytes of an item file: `vectors` i8 `[n, d]`, `scales` f32 `[n]` and `biases` f32 `[n]`.
///
/// `inputs` `[n, d]` are the vectors that the user tower reads, if they differ from `vectors`. `counts` `[n]` are the
/// training events of each item, if known. The last argument says whether to add the finer and the coarser plane.
///
/// # Errors
/// None if all numbers are finite.
pub fn item_file(
    dim: usize,
    vectors: &[f32],
    biases: &[f32],
    inputs: Option<&[f32]>,
    counts: Option<&[f32]>,
    [finer, coarser]: [bool; 2],
) -> Result<Vec<u8>> {
    let n = biases.len();
    let (quantized, scales) = quantize(dim, vectors);
    let (inputs, input_scales) = quantize(dim, inputs.unwrap_or_default());
    let floats = |xs: &[f32]| -> Vec<u8> { xs.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let mut residuals = vec![0; n * dim.div_ceil(2)];
    for (((row, q), scale), out) in
        vectors.chunks_exact(dim).zip(quantized.chunks_exact(dim)).zip(&scales).zip(residuals.chunks_exact_mut(dim.div_ceil(2)))
    {
        residual_row(row, q, *scale, out);
    }
    let bytes = |ints: Vec<i8>| -> Vec<u8> { ints.into_iter().map(|q| q as u8).collect() };
    let (quantized, scales, biases) = (bytes(quantized), floats(&scales), floats(biases));
    let (inputs, input_scales) = (bytes(inputs), floats(&input_scales));
    let (codebook, codes) = if coarser { codes::encode(dim, vectors) } else { Default::default() };
    let codebook = floats(&codebook);
    let mut tensors = BTreeMap::from([
        ("vectors", TensorView::new(Dtype::I8, vec![n, dim], &quantized)?),
        ("scales", TensorView::new(Dtype::F32, vec![n], &scales)?),
        ("biases", TensorView::new(Dtype::F32, vec![n], &biases)?),
    ]);
    let counts = counts.map(floats);
    if let Some(counts) = &counts {
        tensors.insert("counts", TensorView::new(Dtype::F32, vec![n], counts)?);
    }
    if !inputs.is_empty() {
        tensors.insert("inputs", TensorView::new(Dtype::I8, vec![n, dim], &inputs)?);
        tensors.insert("input_scales", TensorView::new(Dtype::F32, vec![n], &input_scales)?);
    }
    if finer {
        tensors.insert("residuals", TensorView::new(Dtype::U8, vec![n, dim.div_ceil(2)], &residuals)?);
    }
    if coarser {
        tensors.insert("codes", TensorView::new(Dtype::U8, vec![blocks(n), pairs(dim), BLOCK], &codes)?);
        tensors.insert("codebook", TensorView::new(Dtype::F32, vec![subspaces(dim), CENTROIDS, 2], &codebook)?);
    }
    Ok(serialize(tensors, None)?)
}

/// Returns int8 rows `[n, d]` and their scales `[n]`.
fn quantize(dim: usize, vectors: &[f32]) -> (Vec<i8>, Vec<f32>) {
    let mut quantized = vec![0; vectors.len()];
    let rows = vectors.chunks_exact(dim).zip(quantized.chunks_exact_mut(dim));
    let scales = rows.map(|(row, out)| quantize_row(row, out)).collect();
    (quantized, scales)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_catalogs_have_the_finer_plane_and_large_ones_both() {
        assert_eq!([1, CODES_FROM - 1, CODES_FROM].map(|n| Planes::Auto.of(n)), [[true, false], [true, false], [true, true]]);
        let names = |planes| {
            let bytes = item_file(4, &[1.0, 0.5, -0.2, 0.0, 2.0, -1.0, 0.3, 0.7], &[0.0, 1.0], None, None, planes).unwrap();
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            ["residuals", "codes", "codebook"].map(|name| tensors.tensor(name).is_ok())
        };
        assert_eq!(names([true, false]), [true, false, false]);
        assert_eq!(names([true, true]), [true; 3]);
        assert_eq!(names([false, false]), [false; 3]);
    }
}
