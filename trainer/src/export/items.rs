//! Item files and catalogs: the same rows, at most 65,536 a file.

use std::collections::BTreeMap;

use anyhow::Result;
use foretaste::bundle::{CatalogFile, MAX_ROWS_PER_FILE};
use foretaste::kernels::{BLOCK, CENTROIDS, blocks, pairs, quantize_row, residual_row, subspaces};
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::{File, codes};
use crate::towers::CatalogRows;

/// Rows of a catalog from which on the finer and the coarser plane are worth their bytes: below, a plain scan takes under .1 ms and
/// int8 tells neighbours apart.
const PLANES_FROM: usize = 16_384;

/// Whether item files have the planes that a search needs to be both exact and faster than a scan of all rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Planes {
    /// From 16,384 items on.
    #[default]
    Auto,
    /// Always: 3/4 byte more a number.
    Always,
    /// Never: int8 rows alone.
    Never,
}

/// Item files, then catalogs, each in row order.
pub(super) fn files(catalog: &CatalogFile, dim: usize, rows: &CatalogRows, counts: &[f32], planes: Planes) -> Result<Vec<File>> {
    let CatalogRows { vectors, biases, inputs } = rows;
    let planes = planes == Planes::Always || planes == Planes::Auto && biases.len() >= PLANES_FROM;
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

/// The bytes of an item file: `vectors` i8 `[n, d]`, `scales` f32 `[n]`, `biases` f32 `[n]`, the vectors that a history reads where they are
/// others, the training events of each item where known, and the planes where asked for.
///
/// # Errors
/// None for finite numbers.
pub fn item_file(
    dim: usize,
    vectors: &[f32],
    biases: &[f32],
    inputs: Option<&[f32]>,
    counts: Option<&[f32]>,
    planes: bool,
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
    let (codebook, codes) = if planes { codes::encode(dim, vectors) } else { Default::default() };
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
    if planes {
        tensors.insert("residuals", TensorView::new(Dtype::U8, vec![n, dim.div_ceil(2)], &residuals)?);
        tensors.insert("codes", TensorView::new(Dtype::U8, vec![blocks(n), pairs(dim), BLOCK], &codes)?);
        tensors.insert("codebook", TensorView::new(Dtype::F32, vec![subspaces(dim), CENTROIDS, 2], &codebook)?);
    }
    Ok(serialize(tensors, None)?)
}

/// int8 rows and their scales.
fn quantize(dim: usize, vectors: &[f32]) -> (Vec<i8>, Vec<f32>) {
    let mut quantized = vec![0; vectors.len()];
    let rows = vectors.chunks_exact(dim).zip(quantized.chunks_exact_mut(dim));
    let scales = rows.map(|(row, out)| quantize_row(row, out)).collect();
    (quantized, scales)
}
