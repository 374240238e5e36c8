//! A sparse item-to-item matrix, and the file that a bundle has of it.

use std::ops::Range;

use anyhow::Result;
use foretaste::bundle::{NARROW_ROWS, NeighbourFile, Neighbours};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, TensorView, serialize};

use super::MOST_ENTRIES;

/// A sparse matrix `[items, items]` of weights from one item to another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matrix {
    /// For each item its neighbours, ascending, each with a weight of either sign.
    pub rows: Vec<Vec<(u32, f32)>>,
}

impl Matrix {
    /// The entries of largest absolute value of each row of a dense matrix `[items, items]`.
    pub fn of_dense(weights: &[f32], items: usize) -> Matrix {
        let row = |row: &[f32]| {
            let all = row.iter().enumerate().filter(|(_, weight)| **weight != 0.0);
            strongest(all.map(|(column, weight)| (column as u32, *weight)).collect(), MOST_ENTRIES)
        };
        Matrix { rows: weights.par_chunks_exact(items.max(1)).map(row).collect() }
    }

    /// Same, with at most `most` entries a row, those of largest absolute value.
    pub fn cut(&self, most: usize) -> Matrix {
        Matrix { rows: self.rows.par_iter().map(|row| strongest(row.clone(), most)).collect() }
    }

    /// Multiplied by one factor, so that the largest absolute value of a row is 1 on average.
    pub fn scaled(mut self) -> Matrix {
        let largest = |row: &Vec<(u32, f32)>| row.iter().map(|(_, weight)| weight.abs()).reduce(f32::max);
        let tops: Vec<f32> = self.rows.iter().filter_map(largest).collect();
        let mean = tops.iter().map(|top| f64::from(*top)).sum::<f64>() / tops.len().max(1) as f64;
        if mean > 0.0 {
            let by = (1.0 / mean) as f32;
            self.rows.iter_mut().flatten().for_each(|(_, weight)| *weight *= by);
        }
        self
    }

    /// Whether no item has a neighbour.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(Vec::is_empty)
    }

    /// Most entries a row with which the files of a catalog take no more than `room` bytes.
    pub fn fitting(items: usize, room: usize) -> usize {
        // An entry has a row and a weight; a row has an end and a scale beside its entries; a file has a header.
        let (entry, row, header) = (if items > NARROW_ROWS { 5 } else { 3 }, 8, 512);
        (room.saturating_sub(header) / items.max(1)).saturating_sub(row) / entry
    }

    /// The file of some rows: int8 weights, with the scale of each row.
    ///
    /// # Errors
    /// More than 2³² entries.
    pub fn file(&self, rows: Range<usize>) -> Result<Vec<u8>> {
        let (mut ends, mut columns, mut weights, mut scales) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut count = 0u32;
        for row in &self.rows[rows.clone()] {
            let largest = row.iter().map(|(_, weight)| weight.abs()).fold(0.0, f32::max);
            let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            for (column, weight) in row {
                let quantized = (weight / scale).round() as i8;
                if quantized != 0 {
                    count = count.checked_add(1).ok_or_else(|| anyhow::anyhow!("too many neighbours for one file"))?;
                    match self.rows.len() > NARROW_ROWS {
                        true => columns.extend(column.to_le_bytes()),
                        false => columns.extend((*column as u16).to_le_bytes()),
                    }
                    weights.push(quantized as u8);
                }
            }
            ends.extend(count.to_le_bytes());
            scales.extend(scale.to_le_bytes());
        }
        let (n, m) = (rows.len(), count as usize);
        let wide = if self.rows.len() > NARROW_ROWS { Dtype::U32 } else { Dtype::U16 };
        let tensors = [
            ("ends", TensorView::new(Dtype::U32, vec![n], &ends)?),
            ("rows", TensorView::new(wide, vec![m], &columns)?),
            ("scales", TensorView::new(Dtype::F32, vec![n], &scales)?),
            ("weights", TensorView::new(Dtype::I8, vec![m], &weights)?),
        ];
        Ok(serialize(tensors, None)?)
    }

    /// The neighbours as a bundle has them.
    ///
    /// # Errors
    /// Those of [`Matrix::file`], and of its reader.
    pub fn shipped(&self) -> Result<Neighbours> {
        let items = self.rows.len();
        let file = NeighbourFile::new(self.file(0..items)?, items, items)?;
        Ok(Neighbours::new(vec![file]))
    }
}

/// At most `most` entries of a row, those of largest absolute value, ties by column; ascending.
pub(super) fn strongest(mut row: Vec<(u32, f32)>, most: usize) -> Vec<(u32, f32)> {
    if row.len() > most {
        row.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        row.truncate(most);
        row.sort_by_key(|entry| entry.0);
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_weights_within_half_a_step() {
        let matrix = Matrix { rows: vec![vec![(1, 2.0), (2, -1.0), (3, 0.001)], vec![], vec![(0, -0.5)], vec![(1, 3.0)]] };
        let shipped = matrix.shipped().unwrap();
        assert_eq!(shipped.len(), 4);
        let row = |row: u32| {
            let (entries, scale) = shipped.of(row);
            entries.map(|(column, weight)| (column, f32::from(weight) * scale)).collect::<Vec<_>>()
        };
        let step = 2.0 / 127.0;
        let first = row(0);
        assert!(first.len() == 2 && (first[0].1 - 2.0).abs() < 1e-6 && (first[1].1 + 1.0).abs() <= step / 2.0, "{first:?}");
        assert_eq!((row(1), row(2)[0].0), (vec![], 0));
        assert!((row(2)[0].1 + 0.5).abs() < 1e-6 && (row(3)[0].1 - 3.0).abs() < 1e-6);
    }

    #[test]
    fn files_fit_their_room() {
        for items in [3u32, 300] {
            let rows = (0..items).map(|i| (0..items).filter(|j| *j != i).map(|j| (j, 1.0)).collect()).collect();
            let matrix = Matrix { rows };
            for room in [0, 600, 5_000, 40_000] {
                let most = Matrix::fitting(items as usize, room);
                assert!(most == 0 || matrix.cut(most).file(0..items as usize).unwrap().len() <= room, "{items} {room}: {most}");
            }
        }
    }

    #[test]
    fn the_strongest_entries_stay_in_order() {
        let row = vec![(1, 0.5), (4, -2.0), (5, 2.0), (9, 0.1)];
        assert_eq!(strongest(row.clone(), 2), [(4, -2.0), (5, 2.0)]);
        assert_eq!(strongest(row.clone(), 1), [(4, -2.0)], "ties go by column");
        let matrix = Matrix { rows: vec![row, vec![(0, -0.5)], vec![]] }.scaled();
        // The largest of the rows are 2 and .5.
        assert!((matrix.rows[0][1].1 + 1.6).abs() < 1e-6 && (matrix.rows[1][0].1 + 0.4).abs() < 1e-6);
    }
}
