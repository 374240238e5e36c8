//! The files of a ranker: its graph, and the values of items that its views read.

use anyhow::Result;
use foretaste::bundle::{FEATURES, MAX_ROWS_PER_FILE, RANKER};
use foretaste::features::Over;
use foretaste::model::Graph;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::File;
use crate::training::RunRanker;

/// The files of a ranker over `items` items.
pub(super) fn files(ranker: &RunRanker, items: usize) -> Result<Vec<File>> {
    let graph = ranker.ranker.onnx(ranker.card.spec.slots(), &ranker.rotation);
    let mut files = vec![File::hashed("ranker", Graph::Ranker.name(), "onnx", None, graph)];
    if !ranker.values.is_empty() {
        for (i, first) in (0..items).step_by(MAX_ROWS_PER_FILE).enumerate() {
            let n = MAX_ROWS_PER_FILE.min(items - first);
            let of = |values: &Vec<f32>| {
                let width = values.len() / items;
                values[first * width..(first + n) * width].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()
            };
            let bytes: Vec<Vec<u8>> = ranker.values.iter().map(of).collect();
            let mut tensors = Vec::with_capacity(bytes.len());
            for ((view, values), bytes) in ranker.views().zip(&ranker.values).zip(&bytes) {
                let shape = if view.of == Over::Item { vec![n] } else { vec![n, values.len() / items] };
                tensors.push((&view.name, TensorView::new(Dtype::F32, shape, bytes)?));
            }
            let bytes = serialize(tensors, None)?;
            files.push(File::hashed(&format!("features-{i:03}"), FEATURES, "safetensors", Some(n), bytes));
        }
    }
    files.iter_mut().for_each(|file| file.entry.feature = Some(RANKER.into()));
    Ok(files)
}
