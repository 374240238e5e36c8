//! A changed file, told by the file before it.
//!
//! A delta is gzip over: u32 number of pieces; of each piece two u32, where in the old file it begins (2³² − 1: nowhere) and how many bytes it has;
//! then the bytes of the new file, less those of the old file where a piece has one, modulo 256. Numbers that move a little differ by little, which
//! packs well (Percival, Naive differences of executable code, 2003). Little-endian.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use foretaste::bundle::CatalogFile;
use safetensors::SafeTensors;

/// Where a piece begins that the old file does not have.
const NOWHERE: u32 = u32::MAX;
/// Least bytes that a piece of any file is worth its place for.
const LEAST: usize = 32;

/// Bytes of the new file in its order: how many, and where the old file has the like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    from: Option<usize>,
    len: usize,
}

/// The delta from `old` to `new`, whose bytes the pieces cover.
///
/// # Errors
/// None for files below 4 GiB and pieces that lie inside them.
pub fn encode(old: &[u8], new: &[u8], pieces: &[Piece]) -> Result<Vec<u8>> {
    let mut raw = u32::try_from(pieces.len())?.to_le_bytes().to_vec();
    for piece in pieces {
        let from = piece.from.map_or(Ok(NOWHERE), u32::try_from)?;
        [from, u32::try_from(piece.len)?].iter().for_each(|x| raw.extend(x.to_le_bytes()));
    }
    let mut rest = new;
    for piece in pieces {
        let (own, after) = rest.split_at_checked(piece.len).context("the pieces are longer than the file")?;
        rest = after;
        match piece.from {
            Some(from) => {
                let there = old.get(from..from + piece.len).context("a piece lies outside the old file")?;
                raw.extend(own.iter().zip(there).map(|(new, old)| new.wrapping_sub(*old)));
            }
            None => raw.extend(own),
        }
    }
    ensure!(rest.is_empty(), "the pieces are shorter than the file");
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&raw)?;
    Ok(packed.finish()?)
}

/// The new file.
///
/// # Errors
/// A delta that is none, or of another file.
pub fn apply(old: &[u8], delta: &[u8]) -> Result<Vec<u8>> {
    let mut raw = Vec::new();
    GzDecoder::new(delta).read_to_end(&mut raw)?;
    let number = |at: usize| -> Result<usize> {
        let bytes = raw.get(4 * at..).and_then(|rest| rest.first_chunk()).context("the delta ends early")?;
        Ok(u32::from_le_bytes(*bytes) as usize)
    };
    let pieces = number(0)?;
    let mut new = raw.get(4 + 8 * pieces..).context("the delta ends early")?.to_vec();
    let mut rest = new.as_mut_slice();
    for piece in 0..pieces {
        let (from, len) = (number(1 + 2 * piece)?, number(2 + 2 * piece)?);
        let own = rest.split_off_mut(..len).context("the delta ends early")?;
        if from != NOWHERE as usize {
            let there = old.get(from..from + len).context("the delta is of another file")?;
            own.iter_mut().zip(there).for_each(|(new, old)| *new = new.wrapping_add(*old));
        }
    }
    Ok(new)
}

/// Pieces of an item file: rows of the same item lie on each other, whatever their number.
///
/// # Errors
/// Bytes that are no item file.
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
    pieces.add(before.values().map(|(at, _)| *at).min().filter(|at| *at == header).map(|_| 0), header);
    for (_, name, tensor) in tensors {
        let len = tensor.data().len();
        match before.get(&name) {
            Some((from, old)) if tensor.shape()[0] == rows.len() && old.shape()[1..] == tensor.shape()[1..] => {
                let width = len / rows.len();
                rows.iter().for_each(|row| pieces.add(row.map(|row| from + row * width), width));
            }
            Some((from, old)) if old.data().len() == len => pieces.add(Some(*from), len),
            _ => pieces.add(None, len),
        }
    }
    Ok(pieces.0)
}

/// Pieces of any file: as a whole where the lengths are equal, else runs of equal bytes.
pub fn pieces(old: &[u8], new: &[u8]) -> Vec<Piece> {
    let mut pieces = Pieces::default();
    if old.len() == new.len() {
        pieces.add(Some(0), new.len());
        return pieces.0;
    }
    // The later of equal blocks counts: any does.
    let blocks: HashMap<&[u8], usize> = old.chunks_exact(LEAST).zip((0..).step_by(LEAST)).collect();
    let mut at = 0;
    while at < new.len() {
        let found = new.get(at..at + LEAST).and_then(|block| blocks.get(block));
        let len = found.map_or(1, |from| old[*from..].iter().zip(&new[at..]).take_while(|(a, b)| a == b).count());
        pieces.add(found.copied(), len);
        at += len;
    }
    pieces.0
}

/// Pieces that grow as long as they lie side by side.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn add(&mut self, from: Option<usize>, len: usize) {
        match self.0.last_mut() {
            Some(last) if from == last.from.map(|from| from + last.len) => last.len += len,
            _ if len > 0 => self.0.push(Piece { from, len }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::item_file;
    use crate::ops::dropout::mix;

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
    fn rows_follow_their_items() {
        let (n, dim) = (400, 64);
        let names: Vec<String> = (0..=n).map(|i| format!("{i:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        // Item 0007 goes, 0400 comes, and all vectors move by a fiftieth.
        let old_rows = numbers(n * dim, 1);
        let drift = numbers(n * dim, 2);
        let moved: Vec<f32> = old_rows.iter().zip(&drift).map(|(x, y)| x + y / 50.0).collect();
        let (ids, mut rows) = ([&names[..7], &names[8..]].concat(), [&moved[..7 * dim], &moved[8 * dim..]].concat());
        rows.extend(numbers(dim, 3));
        let file = |rows: &[f32]| item_file(dim, rows, &numbers(n, 4), None, None, false).unwrap();
        let (old, new) = (file(&old_rows), file(&rows));
        let pieces = item_pieces(&old, &new, [&catalog(&names[..n]), &catalog(&ids)]).unwrap();
        let delta = encode(&old, &new, &pieces).unwrap();
        assert_eq!(apply(&old, &delta).unwrap(), new);
        assert!(5 * delta.len() < 3 * new.len(), "{} of {}", delta.len(), new.len());
        assert!(apply(&old[..100], &delta).is_err() && apply(&old, &delta[..50]).is_err() && apply(&old, b"x").is_err());
    }

    #[test]
    fn any_file_is_told_by_another() {
        let old: Vec<u8> = (0..5000u64).map(|i| mix(5, i) as u8).collect();
        let new = [&old[..2000], b"something new", &old[2500..], &old[..100]].concat();
        for (old, new) in [(&old, &new), (&new, &old), (&old, &old), (&Vec::new(), &new), (&old, &Vec::new())] {
            let delta = encode(old, new, &pieces(old, new)).unwrap();
            assert_eq!(&apply(old, &delta).unwrap(), new);
            assert!(old.is_empty() || delta.len() < 700, "{} of {}", delta.len(), new.len());
        }
    }
}
