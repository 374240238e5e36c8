//! The rows of all item files.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{BiasCodes, ItemFile, Lift, Lifted};

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
    typical_length: OnceLock<f64>,
}

/// First row of each file, and the number of all rows.
pub(super) fn starts(lengths: impl Iterator<Item = usize>) -> Vec<u32> {
    let ends = lengths.scan(0, |sum, len| {
        *sum += len as u32;
        Some(*sum)
    });
    std::iter::once(0).chain(ends).collect()
}

impl Rows {
    /// Files of `dim` dimensions, in row order.
    pub(super) fn new(dim: usize, files: Vec<ItemFile>) -> Rows {
        let starts = starts(files.iter().map(ItemFile::len));
        let planes = files.iter().all(ItemFile::has_planes);
        let bias_codes = planes.then(|| {
            let biases: Vec<f32> = files.iter().flat_map(|f| f.scales_and_biases().iter().map(|w| w[1])).collect();
            BiasCodes::new(&starts, &biases)
        });
        let (lifted, inverse_lengths, lengths, rarities, typical_length) = Default::default();
        Rows { dim, files, starts, bias_codes, lifted, inverse_lengths, lengths, rarities, typical_length }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.start(usize::MAX)
    }

    /// Number of rows before a file; the number of all rows for a file past the end.
    pub fn start(&self, file: usize) -> usize {
        self.starts[file.min(self.files.len())] as usize
    }

    /// Whether there is no row. An opened bundle has some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every file has residuals.
    pub fn refined(&self) -> bool {
        self.files.iter().all(ItemFile::has_residuals)
    }

    /// Dimensions d.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The files with their first row.
    pub fn files(&self) -> impl Iterator<Item = (usize, &ItemFile)> {
        self.starts.iter().map(|s| *s as usize).zip(&self.files)
    }

    /// The biases in whole steps; `None` unless every file has codes and residuals.
    pub fn bias_codes(&self) -> Option<&BiasCodes> {
        self.bias_codes.as_ref()
    }

    /// The biases with a lift added. The last result is kept, because a page asks for the same lift again and again.
    pub fn lifted(&self, lift: Lift) -> Arc<Lifted> {
        // A thread that panicked while it held the lock left either the old value or the new one.
        let mut kept = self.lifted.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref().filter(|kept| kept.lift == lift) {
            Some(kept) => kept.clone(),
            None => kept.insert(Arc::new(self.lift(lift))).clone(),
        }
    }

    fn lift(&self, lift: Lift) -> Lifted {
        let lifts = self.lengths().iter().zip(self.rarities());
        let biases = self.files.iter().flat_map(ItemFile::scales_and_biases).zip(lifts);
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

    /// int8 rows of the given items, `[m, d]`.
    pub fn gather(&self, rows: &[u32]) -> Vec<i8> {
        let mut gathered = Vec::with_capacity(rows.len() * self.dim);
        rows.iter().for_each(|row| gathered.extend_from_slice(self.vector(*row)));
        gathered
    }

    /// Scales of the given items, `[m]`.
    pub fn scales(&self, rows: &[u32]) -> Vec<f32> {
        rows.iter().map(|row| self.locate(*row)).map(|(file, at)| file.scale(at)).collect()
    }

    /// Bias of an item, in logits.
    pub fn bias(&self, row: u32) -> f32 {
        let (file, at) = self.locate(row);
        file.bias(at)
    }

    /// 1 / length of each int8 row `[n]`, 0 for a row of zeros. Computed at the first call.
    pub fn inverse_lengths(&self) -> &[f32] {
        let square = |row: &[i8]| row.iter().map(|q| i32::from(*q) * i32::from(*q)).sum::<i32>();
        let inverse = |row| match square(row) {
            0 => 0.0,
            square => (1.0 / libm::sqrt(f64::from(square))) as f32,
        };
        let all = || self.files.iter().flat_map(|f| f.vectors().chunks_exact(self.dim)).map(inverse).collect();
        self.inverse_lengths.get_or_init(all)
    }

    /// Length of each vector `[n]`. Computed at the first call.
    pub fn lengths(&self) -> &[f32] {
        let length = |(weights, inverse): (&[f32; 2], &f32)| if *inverse > 0.0 { weights[0] / inverse } else { 0.0 };
        let all = || self.files.iter().flat_map(ItemFile::scales_and_biases).zip(self.inverse_lengths()).map(length).collect();
        self.lengths.get_or_init(all)
    }

    /// Root of the mean square of the lengths. Computed at the first call.
    pub fn typical_length(&self) -> f64 {
        *self.typical_length.get_or_init(|| {
            let squares = self.lengths().iter().map(|length| f64::from(*length) * f64::from(*length));
            libm::sqrt(squares.sum::<f64>() / self.len() as f64)
        })
    }

    /// 1 / √(1 + n) for each item `[n]`, n its training events: 1 for an item that no training has seen, 0 if the
    /// bundle has no counts. Computed at the first call.
    pub fn rarities(&self) -> &[f32] {
        self.rarities.get_or_init(|| {
            let mut all = Vec::with_capacity(self.len());
            for file in &self.files {
                match file.rarities() {
                    Some(rarities) => all.extend(rarities),
                    None => all.resize(all.len() + file.len(), 0.0),
                }
            }
            all
        })
    }

    /// Writes the dequantised vector of an item to `out`, `[d]`.
    pub fn vector_into(&self, row: u32, out: &mut [f32]) {
        let (file, at) = self.locate(row);
        dequantize(self.vector(row), file.scale(at), out);
    }

    /// Writes the vector that stands for an item in a history to `out`, `[d]`.
    pub fn history_vector_into(&self, row: u32, out: &mut [f32]) {
        let (file, at) = self.locate(row);
        let (vector, scale) = file.history_vector(at);
        dequantize(vector, scale, out);
    }
}

fn dequantize(vector: &[i8], scale: f32, out: &mut [f32]) {
    out.iter_mut().zip(vector).for_each(|(x, q)| *x = f32::from(*q) * scale);
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use crate::bundle::testing::rows;

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
