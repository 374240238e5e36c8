//! Neighbours files: the neighbours of the same rows as the item files have.

use anyhow::Result;
use foretaste::bundle::{MAX_ROWS_PER_FILE, NEIGHBOURS};

use super::File;
use crate::neighbours::Matrix;
use crate::training::Run;

/// The neighbours files of a run beside its item `files`, with at most `most` entries a row; without a number as many
/// as the settings say, and not more bytes than the item files. None if there are no neighbours.
pub(super) fn files(run: &Run, files: &[File], most: Option<usize>) -> Result<Vec<File>> {
    let (Some(matrix), Some(settings)) = (&run.neighbours, &run.card.neighbours) else { return Ok(Vec::new()) };
    let items = matrix.rows.len();
    let room: u64 = files.iter().filter(|file| file.entry.role == "items").map(|file| file.entry.bytes).sum();
    let most = most.unwrap_or(settings.entries.min(Matrix::fitting(items, room as usize)));
    let matrix = matrix.cut(most);
    if matrix.is_empty() {
        return Ok(Vec::new());
    }
    let file = |(i, first): (usize, usize)| {
        let n = MAX_ROWS_PER_FILE.min(items - first);
        let bytes = matrix.file(first..first + n)?;
        let mut file = File::hashed(&format!("neighbours-{i:03}"), NEIGHBOURS, "safetensors", Some(n), bytes);
        file.entry.feature = Some(NEIGHBOURS.into());
        Ok(file)
    };
    (0..items).step_by(MAX_ROWS_PER_FILE).enumerate().map(file).collect()
}
