//! The neighbours of each item: the items that those who had it turn to, or away from, each with a weight.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::rows::starts;
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
    pub fn check(&self, history: &History) -> Result<()> {
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
            let wrong = |name: &str, expected: &str| Err(range(expected, "another").at(format!("{name}/{row}")));
            if end < from || end > count {
                return wrong("ends", "an end that does not fall");
            }
            if !(scale > 0.0 && scale <= MOST) {
                return wrong("scales", "a scale above 0, at most a million");
            }
            let mut least = 0;
            for (neighbour, weight) in file.entries(from..end) {
                if (neighbour as usize) < least || neighbour as usize >= items {
                    return wrong("rows", "an ascending row of the catalog");
                }
                if weight == i8::MIN {
                    return wrong("weights", "-127 to 127");
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
        let starts = starts(files.iter().map(|file| file.len));
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

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::bundle::testing::NeighbourParts;

    /// Four rows; the second has no neighbours.
    fn parts() -> NeighbourParts {
        let lists = [vec![(1, 3), (2, -127), (9, 127)], vec![], vec![(0, 0)], vec![(3, 1), (8, -1)]];
        NeighbourParts::of(&lists.into_iter().zip([0.5, 1.0, 1e6, 1e-40]).collect::<Vec<_>>())
    }

    fn of(neighbours: &Neighbours, row: u32) -> (Vec<(u32, i8)>, f32) {
        let (entries, scale) = neighbours.of(row);
        (entries.collect(), scale)
    }

    /// Rows of two bytes and of four, in one file and in several, at any address.
    #[test]
    fn neighbours_are_read_as_they_were_written() {
        for (items, wide) in [(10, false), (NARROW_ROWS, false), (NARROW_ROWS + 1, true)] {
            let last = items as u32 - 1;
            let second = NeighbourParts::of(&[(vec![(last - 1, 5), (last, -5)], 2.0)]);
            let file = |parts: &NeighbourParts, len| NeighbourFile::new(parts.bytes(wide), len, items).unwrap();
            let neighbours = Neighbours::new(vec![file(&parts(), 4), file(&second, 1)]);
            assert_eq!(neighbours.len(), 5);
            assert_eq!(of(&neighbours, 0), (vec![(1, 3), (2, -127), (9, 127)], 0.5));
            assert_eq!(of(&neighbours, 1), (vec![], 1.0));
            assert_eq!(of(&neighbours, 2), (vec![(0, 0)], 1e6));
            assert_eq!(of(&neighbours, 3), (vec![(3, 1), (8, -1)], 1e-40));
            assert_eq!(of(&neighbours, 4), (vec![(last - 1, 5), (last, -5)], 2.0));
        }
        let none = NeighbourParts { ends: vec![0; 4], rows: vec![], weights: vec![], ..parts() };
        assert_eq!(of(&Neighbours::new(vec![NeighbourFile::new(none.bytes(false), 4, 10).unwrap()]), 3), (vec![], 1e-40));
        assert!(Neighbours::new(vec![]).is_empty());
    }

    #[test]
    fn hostile_files_are_refused() {
        let code = |change: fn(&mut NeighbourParts)| {
            let mut parts = parts();
            change(&mut parts);
            let error = NeighbourFile::new(parts.bytes(false), 4, 10).err().map(|error| (error.code(), error.part));
            error.map_or("accepted".into(), |(code, part)| format!("{code} {part}"))
        };
        assert_eq!(code(|_| {}), "accepted");
        // The last end says how many neighbours there are; those before it ascend.
        assert_eq!(code(|p| p.ends[3] = 5), "range rows");
        assert_eq!(code(|p| p.ends[3] = 7), "range rows");
        assert_eq!(code(|p| p.ends[3] = u32::MAX), "range rows");
        assert_eq!(code(|p| p.ends[0] = 7), "range ends/0");
        assert_eq!(code(|p| p.ends[1] = 2), "range ends/1");
        assert_eq!(code(|p| p.ends[2] = u32::MAX), "range ends/2");
        assert_eq!(code(|p| _ = p.ends.pop()), "range ends");
        assert_eq!(code(|p| p.ends.push(6)), "range ends");
        // Rows are in the catalog and ascend, each once.
        assert_eq!(code(|p| p.rows[2] = 10), "range rows/0");
        assert_eq!(code(|p| p.rows[1] = 1), "range rows/0");
        assert_eq!(code(|p| p.rows[5] = 2), "range rows/3");
        assert_eq!(code(|p| _ = p.rows.pop()), "range rows");
        assert_eq!(code(|p| p.weights[3] = i8::MIN), "range weights/2");
        assert_eq!(code(|p| p.weights.push(1)), "range weights");
        for scale in [0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, -f32::INFINITY, 1_000_000.1] {
            let mut parts = parts();
            parts.scales[1] = scale;
            let error = NeighbourFile::new(parts.bytes(false), 4, 10).err().unwrap();
            assert_eq!((error.code(), error.part.as_str()), ("range", "scales/1"), "{scale}");
        }
        assert_eq!(code(|p| _ = p.scales.pop()), "range scales");
    }

    #[test]
    fn hostile_headers_are_refused() {
        let bytes = parts().bytes(false);
        let header = String::from_utf8(bytes[8..bytes.iter().rposition(|byte| *byte == b'}').unwrap() + 1].to_vec()).unwrap();
        let data = &bytes[8 + header.len()..];
        let code = |header: &str, data: &[u8], items: usize| {
            let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
            let error = NeighbourFile::new(bytes, 4, items).err().map(|error| (error.code(), error.part));
            error.map_or("accepted".into(), |(code, part)| format!("{code} {part}"))
        };
        assert_eq!(code(&header, data, 10), "accepted");
        for name in ["ends", "rows", "weights", "scales"] {
            let other = header.replace(&format!("\"{name}\""), "\"other\"");
            assert_eq!(code(&other, data, 10), format!("missing {name}"));
        }
        // A catalog of another size has rows of another width.
        assert_eq!(code(&header, data, NARROW_ROWS + 1), "range rows");
        assert_eq!(code(&header.replace("U16", "U32"), data, 10), "range rows");
        assert_eq!(code(&header.replace("I8", "U8"), data, 10), "range weights");
        assert_eq!(code(&header.replace("\"shape\":[6]", "\"shape\":[6,1]"), data, 10), "range rows");
        assert_eq!(code(&header, &data[..data.len() - 1], 10), "length scales");
        assert_eq!(code(&header.replace("[16,28]", "[16,30]"), data, 10), "length rows");
        assert_eq!(code(&header.replace("[16,28]", "[28,16]"), data, 10), "length rows");
        assert_eq!(code(&header.replace("[16,28]", "[4294967283,4294967295]"), data, 10), "length rows");
        assert_eq!([code("{", data, 10), code("{}", data, 10)], ["malformed header", "missing ends"]);
        // So many neighbours that their bytes cannot be counted in 32 bits.
        let mut many = data.to_vec();
        many[12..16].copy_from_slice(&(1u32 << 31).to_le_bytes());
        let wrapped = header.replace("\"shape\":[6],\"data_offsets\":[16,28]", "\"shape\":[2147483648],\"data_offsets\":[16,16]");
        assert_eq!(code(&wrapped, &many, 10), "length rows");
        for bytes in [&[][..], &[1; 7], &[255; 40]] {
            assert_eq!(NeighbourFile::new(bytes.to_vec(), 1, 10).err().unwrap().code(), "malformed");
        }
    }
}
