//! The neighbours of each item: the items that those who had it turn to, or away from, each with a weight.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::safetensors::Header;
use crate::error::{ErrorKind, Result, range};
use crate::features::History;

/// Up to this many items a row number takes two bytes in a neighbours file, else four.
pub const NARROW_ROWS: usize = 1 << 16;
/// The largest factor, either sign, and the largest scale. So no sum can overflow.
const MOST: f32 = 1e6;

/// How much each event of a history counts in the sum over its item's neighbours: `neighbours` of the manifest.
///
/// With M the weights of the files, an event of item i adds share · decay^age · types · values · M[i, j] to the score
/// of item j. The age counts the events of the tower's history, 0 for the newest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourWeights {
    /// How many events count, the newest ones: 1 to the tower's L.
    pub events: usize,
    /// Logits for a weight of 1 in the files.
    pub share: f32,
    /// Factor from one event to the one before it, above 0, at most 1.
    pub decay: f32,
    /// Factor of each type of event, by the tower's index: 0 is any type that was not trained.
    pub types: Vec<f32>,
    /// Factor of each bucket of values: 0 is a missing value.
    pub values: Vec<f32>,
}

impl NeighbourWeights {
    /// Checks all numbers, for an encoding of histories.
    ///
    /// # Errors
    /// `range`, `length`.
    pub(super) fn check(&self, history: &History) -> Result<()> {
        if self.events == 0 || self.events > history.len {
            return Err(range("1 to history.len events", self.events).at("events"));
        }
        if !(self.decay > 0.0 && self.decay <= 1.0) {
            return Err(range("above 0, at most 1", "another").at("decay"));
        }
        let trained = history.types.iter().filter(|kind| kind.trained).count();
        for (name, factors, expected) in
            [("types", &self.types, trained + 1), ("values", &self.values, history.value_edges.len() + 2)]
        {
            if factors.len() != expected {
                return Err(ErrorKind::Length { expected, got: factors.len(), unit: "factors" }.at(name));
            }
        }
        for (name, factors) in [("share", &[self.share][..]), ("types", &self.types), ("values", &self.values)] {
            if !factors.iter().all(|factor| factor.abs() <= MOST) {
                return Err(range("a number of at most a million", "another").at(name));
            }
        }
        Ok(())
    }
}

/// One neighbours file, kept as the bytes that arrived.
pub struct NeighbourFile {
    bytes: Vec<u8>,
    /// Where the neighbours of each row end, `[rows]`.
    ends: Range<usize>,
    /// Catalog rows of the neighbours, ascending for each row.
    rows: Range<usize>,
    /// Whether such a row takes four bytes.
    wide: bool,
    weights: Range<usize>,
    scales: Range<usize>,
    len: usize,
}

impl NeighbourFile {
    /// Finds and checks the tensors of `len` rows; neighbours are rows of a catalog of `items`.
    ///
    /// # Errors
    /// `malformed` if the bytes are not a safetensors file, `missing` for a tensor, `range` for a shape, a type or a
    /// number, `length` for a list that does not fit.
    pub fn new(bytes: Vec<u8>, len: usize, items: usize) -> Result<NeighbourFile> {
        let header = Header::read(&bytes)?;
        let (ends, scales) = (header.place("ends", "U32", &[len])?, header.place("scales", "F32", &[len])?);
        let count = integers(&bytes[ends.clone()], true).last().unwrap_or(0) as usize;
        let wide = items > NARROW_ROWS;
        let rows = header.place("rows", if wide { "U32" } else { "U16" }, &[count])?;
        let weights = header.place("weights", "I8", &[count])?;
        let file = NeighbourFile { bytes, ends, rows, wide, weights, scales, len };
        let mut from = 0;
        for row in 0..len {
            let (end, scale) = (file.end(row), file.scale(row));
            if end < from || end > count {
                return Err(range("ends that ascend", end).at(format!("ends/{row}")));
            }
            if !(scale > 0.0 && scale <= MOST) {
                return Err(range("a scale above 0, at most a million", "another").at(format!("scales/{row}")));
            }
            let mut least = 0;
            for (neighbour, weight) in file.entries(from..end) {
                if (neighbour as usize) < least || neighbour as usize >= items {
                    return Err(range("ascending rows of the catalog", neighbour).at(format!("rows/{row}")));
                }
                if weight == i8::MIN {
                    return Err(range("-127 to 127", weight).at(format!("weights/{row}")));
                }
                least = neighbour as usize + 1;
            }
            from = end;
        }
        Ok(file)
    }

    fn end(&self, row: usize) -> usize {
        let at = self.ends.start + 4 * row;
        integers(&self.bytes[at..at + 4], true).next().unwrap_or(0) as usize
    }

    fn scale(&self, row: usize) -> f32 {
        let at = self.scales.start + 4 * row;
        f32::from_bits(integers(&self.bytes[at..at + 4], true).next().unwrap_or(0))
    }

    fn entries(&self, range: Range<usize>) -> impl Iterator<Item = (u32, i8)> + '_ {
        let width = if self.wide { 4 } else { 2 };
        let rows = &self.bytes[self.rows.start + width * range.start..self.rows.start + width * range.end];
        let weights = &self.bytes[self.weights.start + range.start..self.weights.start + range.end];
        integers(rows, self.wide).zip(weights.iter().map(|weight| *weight as i8))
    }
}

/// Little-endian integers of two or four bytes, at any address.
fn integers(bytes: &[u8], wide: bool) -> impl Iterator<Item = u32> + '_ {
    let (four, two) = if wide { (bytes, &[][..]) } else { (&[][..], bytes) };
    let four = four.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b));
    four.chain(two.as_chunks::<2>().0.iter().map(|b| u32::from(u16::from_le_bytes(*b))))
}

/// The neighbours of all items.
pub struct Neighbours {
    files: Vec<NeighbourFile>,
    /// First row of each file, and the number of all rows.
    starts: Vec<u32>,
}

impl Neighbours {
    /// Files in row order.
    pub fn new(files: Vec<NeighbourFile>) -> Neighbours {
        let mut starts = vec![0];
        starts.extend(files.iter().scan(0, |sum, file| {
            *sum += file.len as u32;
            Some(*sum)
        }));
        Neighbours { files, starts }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.starts.last().map_or(0, |n| *n as usize)
    }

    /// Whether there is no item. Those of a bundle have some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The neighbours of an item, in row order, with their int8 weights; and the scale of these weights.
    ///
    /// # Panics
    /// If the row is past the end.
    pub fn of(&self, row: u32) -> (impl Iterator<Item = (u32, i8)> + '_, f32) {
        let file = self.starts.partition_point(|start| *start <= row) - 1;
        let (file, at) = (&self.files[file], (row - self.starts[file]) as usize);
        let from = if at == 0 { 0 } else { file.end(at - 1) };
        (file.entries(from..file.end(at)), file.scale(at))
    }
}
