//! Item files and catalogs: the same rows, at most 65,536 a file.

use std::collections::BTreeMap;

use anyhow::Result;
use foretaste::bundle::{CatalogFile, MAX_ROWS_PER_FILE};
use foretaste::kernels::quantize_row;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::File;

/// Item files, then catalogs, each in row order.
pub(super) fn files(catalog: &CatalogFile, dim: usize, vectors: &[f32], biases: &[f32]) -> Result<Vec<File>> {
    let (mut items, mut catalogs) = (Vec::new(), Vec::new());
    for (i, biases) in biases.chunks(MAX_ROWS_PER_FILE).enumerate() {
        let (start, n) = (i * MAX_ROWS_PER_FILE, biases.len());
        let bytes = item_file(dim, &vectors[start * dim..(start + n) * dim], biases)?;
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

/// `vectors` i8 [n, d], `scales` f32 [n], `biases` f32 [n].
fn item_file(dim: usize, vectors: &[f32], biases: &[f32]) -> Result<Vec<u8>> {
    let n = biases.len();
    let mut quantized = vec![0i8; vectors.len()];
    let scales: Vec<f32> =
        vectors.chunks_exact(dim).zip(quantized.chunks_exact_mut(dim)).map(|(row, out)| quantize_row(row, out)).collect();
    let floats = |xs: &[f32]| -> Vec<u8> { xs.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let (quantized, scales, biases) = (quantized.iter().map(|q| *q as u8).collect::<Vec<u8>>(), floats(&scales), floats(biases));
    let tensors = BTreeMap::from([
        ("vectors", TensorView::new(Dtype::I8, vec![n, dim], &quantized)?),
        ("scales", TensorView::new(Dtype::F32, vec![n], &scales)?),
        ("biases", TensorView::new(Dtype::F32, vec![n], &biases)?),
    ]);
    Ok(serialize(tensors, None)?)
}
