//! What the neighbours of a history's items add to the scores.

use crate::bundle::{NeighbourWeights, Neighbours};
use crate::features::EncodedHistory;

/// Sums over neighbours: a few rows of the catalog, and what each one's score gains, in logits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    /// Ascending.
    rows: Vec<u32>,
    sums: Vec<f32>,
}

impl Sums {
    /// The sums over the events of a history, newest first, each in f32: an event adds
    /// (share · decay^age · types · values) · (weight · scale), and the powers of the decay are products of one factor
    /// an event. Every row that an event's item has as a neighbour is there, even if its sum is 0.
    ///
    /// # Panics
    /// If a row of the history is past the end, or an index is.
    pub fn of(neighbours: &Neighbours, weights: &NeighbourWeights, history: &EncodedHistory) -> Sums {
        let n = neighbours.len();
        let (mut dense, mut touched) = (vec![0.0f32; n], vec![0u64; n.div_ceil(64)]);
        let mut fade = weights.share;
        let events = history.rows.iter().zip(&history.types).zip(&history.values).take(weights.events);
        for ((row, kind), value) in events {
            let factor = fade * weights.types[usize::from(*kind)] * weights.values[usize::from(*value)];
            fade *= weights.decay;
            if factor == 0.0 {
                continue;
            }
            let (entries, scale) = neighbours.of(*row);
            for (neighbour, weight) in entries {
                dense[neighbour as usize] += factor * (f32::from(weight) * scale);
                touched[neighbour as usize / 64] |= 1 << (neighbour % 64);
            }
        }
        let mut rows = Vec::new();
        for (i, word) in touched.iter().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                rows.push(64 * i as u32 + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
        let sums = rows.iter().map(|row| dense[*row as usize]).collect();
        Sums { rows, sums }
    }

    /// The given rows, which ascend, with their sums.
    #[cfg(test)]
    pub(crate) fn of_rows(pairs: &[(u32, f32)]) -> Sums {
        let (rows, sums) = pairs.iter().copied().unzip();
        Sums { rows, sums }
    }

    /// The rows that have a sum, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Rows and sums, in row order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.rows.iter().copied().zip(self.sums.iter().copied())
    }

    /// What the score of a row gains, in logits.
    pub fn get(&self, row: u32) -> f32 {
        self.rows.binary_search(&row).map_or(0.0, |at| self.sums[at])
    }
}
