//! The files of a ranker: its graph, and the values of items that its views read.

use anyhow::Result;
use foretaste::bundle::{FEATURES, MAX_ROWS_PER_FILE, RANKER};
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
            let of = |values: &Vec<f32>| values[first..first + n].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
            let bytes: Vec<Vec<u8>> = ranker.values.iter().map(of).collect();
            let views =
                ranker.views().zip(&bytes).map(|(view, bytes)| Ok((&view.name, TensorView::new(Dtype::F32, vec![n], bytes)?)));
            let bytes = serialize(views.collect::<Result<Vec<_>>>()?, None)?;
            files.push(File::hashed(&format!("features-{i:03}"), FEATURES, "safetensors", Some(n), bytes));
        }
    }
    files.iter_mut().for_each(|file| file.entry.feature = Some(RANKER.into()));
    Ok(files)
}
