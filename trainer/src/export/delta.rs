//! The difference between two versions of a file. A page that has the old file fetches the delta and makes the new
//! file.
//!
//! A delta is gzip over little-endian data:
//! 1. u32: the number of pieces;
//! 2. for each piece three u32: its offset in the old file (2³² − 1 if it has none), its length in bytes, and its
//!    width, 1 or 4;
//! 3. the bytes of the pieces in order: new − old for a piece with an offset, the new bytes for a piece without one.
//!
//! Numbers that change a little have small differences, which pack well (Percival, Naive differences of executable
//! code, 2003). Width 1 subtracts byte by byte. Width 4 subtracts the whole piece as one long number, so it does not
//! matter where the floats begin; bytes 0, 4, 8, … of the result are stored first, then bytes 1, 5, 9, …, and so on.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use foretaste::bundle::CatalogFile;
use safetensors::{Dtype, SafeTensors};

/// The offset of a piece that has no counterpart in the old file.
const NOWHERE: u32 = u32::MAX;
/// [`pieces`] looks for runs of at least this many equal bytes: a shorter run does not pay for its entry.
const LEAST: usize = 32;

/// A run of bytes of the new file. Pieces cover the new file in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// Offset of its counterpart in the old file.
    from: Option<usize>,
    len: usize,
    /// 1 or 4 bytes, see the module.
    width: usize,
}

impl Piece {
    /// Returns the bytes that the delta stores for this piece. `own` is the piece in the new file, `old` the whole old
    /// file.
    fn difference(&self, own: &[u8], old: &[u8]) -> Result<Vec<u8>> {
        let mut out = own.to_vec();
        if let Some(from) = self.from {
            let there = old.get(from..from + self.len).context("a piece lies outside the old file")?;
            let mut borrow = false;
            for (new, old) in out.iter_mut().zip(there) {
                let (less, first) = new.overflowing_sub(*old);
                let (less, second) = less.overflowing_sub(u8::from(borrow));
                (*new, borrow) = (less, self.width > 1 && (first || second));
            }
        }
        Ok(self.order().map(|at| out[at]).collect())
    }

    /// Returns the piece of the new file from its bytes in the delta and the whole old file.
    fn apply(&self, difference: &[u8], old: &[u8]) -> Result<Vec<u8>> {
        let mut out = vec![0; self.len];
        self.order().zip(difference).for_each(|(at, byte)| out[at] = *byte);
        if let Some(from) = self.from {
            let there = old.get(from..from + self.len).context("the delta belongs to another file")?;
            let mut carry = 0;
            for (new, old) in out.iter_mut().zip(there) {
                let sum = u16::from(*new) + u16::from(*old) + carry;
                (*new, carry) = (sum as u8, if self.width > 1 { sum >> 8 } else { 0 });
            }
        }
        Ok(out)
    }

    /// Positions of the piece's bytes in the order in which a delta stores them.
    fn order(&self) -> impl Iterator<Item = usize> {
        let Piece { len, width, .. } = *self;
        (0..width).flat_map(move |plane| (plane..len).step_by(width))
    }
}

/// Returns the delta from `old` to `new`. The pieces must cover `new` exactly.
///
/// # Errors
/// Pieces that lie outside a file or do not cover `new`, or files of 4 GiB or more.
pub fn encode(old: &[u8], new: &[u8], pieces: &[Piece]) -> Result<Vec<u8>> {
    let mut raw = u32::try_from(pieces.len())?.to_le_bytes().to_vec();
    for piece in pieces {
        let from = piece.from.map_or(Ok(NOWHERE), u32::try_from)?;
        [from, u32::try_from(piece.len)?, piece.width as u32].iter().for_each(|x| raw.extend(x.to_le_bytes()));
    }
    let mut rest = new;
    for piece in pieces {
        let (own, after) = rest.split_at_checked(piece.len).context("the pieces are longer than the file")?;
        rest = after;
        raw.extend(piece.difference(own, old)?);
    }
    ensure!(rest.is_empty(), "the pieces are shorter than the file");
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&raw)?;
    Ok(packed.finish()?)
}

/// Returns the new file.
///
/// # Errors
/// Damaged bytes, or a delta that belongs to another old file.
pub fn apply(old: &[u8], delta: &[u8]) -> Result<Vec<u8>> {
    let mut raw = Vec::new();
    GzDecoder::new(delta).read_to_end(&mut raw)?;
    let number = |at: usize| -> Result<usize> {
        let bytes = raw.get(4 * at..).and_then(|rest| rest.first_chunk()).context("the delta ends early")?;
        Ok(u32::from_le_bytes(*bytes) as usize)
    };
    let pieces = number(0)?;
    let mut rest = raw.get(4 + 12 * pieces..).context("the delta ends early")?;
    let mut new = Vec::new();
    for piece in 0..pieces {
        let [from, len, width] = [1, 2, 3].map(|at| number(at + 3 * piece));
        let piece = Piece { from: Some(from?).filter(|from| *from != NOWHERE as usize), len: len?, width: width?.max(1) };
        let (own, after) = rest.split_at_checked(piece.len).context("the delta ends early")?;
        rest = after;
        new.extend(piece.apply(own, old)?);
    }
    Ok(new)
}

/// Pieces of an item file: each item's row is compared with the old row of the same id, even if its row number changed.
/// `ids` are the old and the new catalog file.
///
/// # Errors
/// Bytes that are not an item file.
pub fn item_pieces(old: &[u8], new: &[u8], ids: [&CatalogFile; 2]) -> Result<Vec<Piece>> {
    let places: HashMap<&String, usize> = ids[0].ids.iter().zip(0..).collect();
    let rows: Vec<Option<usize>> = ids[1].ids.iter().map(|id| places.get(id).copied()).collect();
    let at = |file: &[u8], part: &[u8]| part.as_ptr() as usize - file.as_ptr() as usize;
    let before = SafeTensors::deserialize(old)?;
    let before: BTreeMap<String, _> = before.tensors().into_iter().map(|(name, t)| (name, (at(old, t.data()), t))).collect();
    let after = SafeTensors::deserialize(new)?;
    let mut tensors: Vec<_> = after.tensors().into_iter().map(|(name, t)| (at(new, t.data()), name, t)).collect();
    tensors.sort_by_key(|(at, ..)| *at);
    let mut pieces = Pieces::default();
    let header = tensors.first().map_or(new.len(), |(at, ..)| *at);
    pieces.add(before.values().map(|(at, _)| *at).min().filter(|at| *at == header).map(|_| 0), header, 1);
    for (_, name, tensor) in tensors {
        let (len, unit) = (tensor.data().len(), if tensor.dtype() == Dtype::F32 { 4 } else { 1 });
        match before.get(&name) {
            Some((from, old)) if tensor.shape()[0] == rows.len() && old.shape()[1..] == tensor.shape()[1..] => {
                let width = len / rows.len();
                rows.iter().for_each(|row| pieces.add(row.map(|row| from + row * width), width, unit));
            }
            Some((from, old)) if old.data().len() == len => pieces.add(Some(*from), len, unit),
            _ => pieces.add(None, len, unit),
        }
    }
    Ok(pieces.0)
}

/// Pieces of any file. Files of equal length, such as a graph with new weights, are compared as a whole with width 4.
/// Other files are split into runs of equal bytes and bytes that the old file does not have.
pub fn pieces(old: &[u8], new: &[u8]) -> Vec<Piece> {
    let mut pieces = Pieces::default();
    if old.len() == new.len() {
        pieces.add(Some(0), new.len(), 4);
        return pieces.0;
    }
    // Of equal blocks the last one wins; any of them would do.
    let blocks: HashMap<&[u8], usize> = old.chunks_exact(LEAST).zip((0..).step_by(LEAST)).collect();
    let mut at = 0;
    while at < new.len() {
        let found = new.get(at..at + LEAST).and_then(|block| blocks.get(block));
        let len = found.map_or(1, |from| old[*from..].iter().zip(&new[at..]).take_while(|(a, b)| a == b).count());
        pieces.add(found.copied(), len, 1);
        at += len;
    }
    pieces.0
}

/// A list that extends its last piece if the next one continues it in both files.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn add(&mut self, from: Option<usize>, len: usize, width: usize) {
        match self.0.last_mut() {
            Some(last) if from == last.from.map(|from| from + last.len) && width == last.width => last.len += len,
            _ if len > 0 => self.0.push(Piece { from, len, width }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::item_file;
    use crate::random::mix;

    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        (0..n).map(|i| (mix(seed, i as u64) >> 40) as f32 / (1 << 24) as f32 - 0.5).collect()
    }

    fn catalog(ids: &[&str]) -> CatalogFile {
        CatalogFile {
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            titles: vec![None; ids.len()],
            columns: Default::default(),
        }
    }

    #[test]
    fn rows_are_matched_by_item_id() {
        let (n, dim) = (400, 64);
        let names: Vec<String> = (0..=n).map(|i| format!("{i:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // Item 0007 is removed, item 0400 is added, and all vectors move by at most a hundredth.
        let old_rows = numbers(n * dim, 1);
        let drift = numbers(n * dim, 2);
        let moved: Vec<f32> = old_rows.iter().zip(&drift).map(|(x, y)| x + y / 50.0).collect();
        let (ids, mut rows) = ([&names[..7], &names[8..]].concat(), [&moved[..7 * dim], &moved[8 * dim..]].concat());
        rows.extend(numbers(dim, 3));
        let file = |rows: &[f32]| item_file(dim, rows, &numbers(n, 4), None, None, [false; 2]).unwrap();
        let (old, new) = (file(&old_rows), file(&rows));
        let pieces = item_pieces(&old, &new, [&catalog(&names[..n]), &catalog(&ids)]).unwrap();
        let delta = encode(&old, &new, &pieces).unwrap();
        assert_eq!(apply(&old, &delta).unwrap(), new);
        assert!(5 * delta.len() < 3 * new.len(), "{} of {}", delta.len(), new.len());
        assert!(apply(&old[..100], &delta).is_err() && apply(&old, &delta[..50]).is_err() && apply(&old, b"x").is_err());
    }

    #[test]
    fn any_file_can_be_made_from_any_other() {
        let old: Vec<u8> = (0..5000u64).map(|i| mix(5, i) as u8).collect();
        let new = [&old[..2000], b"something new", &old[2500..], &old[..100]].concat();
        for (old, new) in [(&old, &new), (&new, &old), (&old, &old), (&Vec::new(), &new), (&old, &Vec::new())] {
            let delta = encode(old, new, &pieces(old, new)).unwrap();
            assert_eq!(&apply(old, &delta).unwrap(), new);
            assert!(old.is_empty() || delta.len() < 700, "{} of {}", delta.len(), new.len());
        }
    }
}
