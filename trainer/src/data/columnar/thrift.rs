//! Walks the headers of a Parquet file, which are structs in Thrift's compact protocol, before the Parquet library
//! reads them.
//!
//! The library trusts what a header says of itself: for a list that it skips it counts to the list's length, even if
//! the header has ended, and it takes memory for as many children as a column claims. A few bytes can claim billions.
//! A header that was walked has no list longer than its own bytes, and every field has the type that the format gives
//! it, so the library reads it as it was walked.

/// What a field of a struct holds.
enum Holds {
    Flag,
    Byte,
    /// 32 bits: the library cuts off what a number has more.
    Short,
    Number,
    Float,
    Bytes,
    Struct(&'static Kind),
    List(&'static Holds),
    /// No field has this id.
    Nothing,
}

/// A struct of the format: its name, and what its fields hold, from id 1.
pub(super) struct Kind(&'static str, &'static [Holds]);

use Holds::{Byte, Bytes, Flag, Float, List, Nothing, Number as N, Short as S, Struct};

/// In front of each page.
pub(super) static PAGE: Kind =
    Kind("page", &[S, S, S, S, Struct(&DATA_PAGE), Struct(&EMPTY), Struct(&DICTIONARY_PAGE), Struct(&DATA_PAGE_V2)]);
static DATA_PAGE: Kind = Kind("data page", &[S, S, S, S, Struct(&STATISTICS)]);
static DICTIONARY_PAGE: Kind = Kind("dictionary page", &[S, S, Flag]);
static DATA_PAGE_V2: Kind = Kind("data page 2", &[S, S, S, S, S, S, Flag, Struct(&STATISTICS)]);
static STATISTICS: Kind = Kind("statistics", &[Bytes, Bytes, N, N, Bytes, Bytes, Flag, Flag, N]);
static EMPTY: Kind = Kind("empty", &[]);

/// At the end of the file.
pub(super) static FOOTER: Kind = Kind(
    "footer",
    &[
        N,
        List(&Struct(&ELEMENT)),
        N,
        List(&Struct(&GROUP)),
        List(&Struct(&PAIR)),
        Bytes,
        List(&Struct(&ORDER)),
        Struct(&UNREAD),
        Bytes,
    ],
);
static UNREAD: Kind = Kind("unread", &[]);
static PAIR: Kind = Kind("pair", &[Bytes, Bytes]);
static ORDER: Kind = Kind("order", &[Struct(&EMPTY), Struct(&EMPTY)]);
/// A node of the tree of columns; see [`NAME`] and [`CHILDREN`].
static ELEMENT: Kind = Kind("element", &[S, S, S, Bytes, S, S, S, S, S, Struct(&LOGICAL)]);
static LOGICAL: Kind = Kind(
    "logical type",
    &[
        Struct(&EMPTY),
        Struct(&EMPTY),
        Struct(&EMPTY),
        Struct(&EMPTY),
        Struct(&DECIMAL),
        Struct(&EMPTY),
        Struct(&TIME),
        Struct(&TIME),
        Nothing,
        Struct(&INTEGER),
        Struct(&EMPTY),
        Struct(&EMPTY),
        Struct(&EMPTY),
        Struct(&EMPTY),
        Struct(&EMPTY),
        Struct(&VARIANT),
        Struct(&GEOMETRY),
        Struct(&GEOMETRY),
    ],
);
static DECIMAL: Kind = Kind("decimal", &[N, N]);
static TIME: Kind = Kind("time", &[Flag, Struct(&UNIT)]);
static UNIT: Kind = Kind("unit", &[Struct(&EMPTY), Struct(&EMPTY), Struct(&EMPTY)]);
static INTEGER: Kind = Kind("integer", &[Byte, Flag]);
static VARIANT: Kind = Kind("variant", &[Byte]);
static GEOMETRY: Kind = Kind("geometry", &[Bytes, N]);
static GROUP: Kind = Kind("group", &[List(&Struct(&CHUNK)), N, N, List(&Struct(&SORTING)), N, N, N]);
static SORTING: Kind = Kind("sorting", &[N, Flag, Flag]);
static CHUNK: Kind = Kind("chunk", &[Bytes, N, Struct(&COLUMN), N, N, N, N, Struct(&UNREAD), Bytes]);
static COLUMN: Kind = Kind(
    "column",
    &[
        N,
        List(&N),
        List(&Bytes),
        N,
        N,
        N,
        N,
        List(&Struct(&PAIR)),
        N,
        N,
        N,
        Struct(&STATISTICS),
        List(&Struct(&ENCODING)),
        N,
        N,
        Struct(&SIZES),
        Struct(&PLACES),
    ],
);
static ENCODING: Kind = Kind("encoding", &[N, N, N]);
static SIZES: Kind = Kind("sizes", &[N, List(&N), List(&N)]);
static PLACES: Kind = Kind("places", &[Struct(&BOX), List(&N)]);
static BOX: Kind = Kind("box", &[Float, Float, Float, Float, Float, Float, Float, Float]);

/// What [`walk`] tells of: the struct's name and the field's id.
pub(super) const ELEMENT_STARTS: (&str, i16) = ("element", 0);
pub(super) const NAME: (&str, i16) = ("element", 4);
pub(super) const CHILDREN: (&str, i16) = ("element", 5);
pub(super) const UNCOMPRESSED: (&str, i16) = ("page", 2);
pub(super) const COMPRESSED: (&str, i16) = ("page", 3);

/// Why a header was not walked to its end.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    /// The bytes end before the header does.
    Short,
    /// It is no header of the format.
    Wrong,
}

/// Walks the struct that the bytes begin with and returns its length in bytes. Tells of every start of a struct (as
/// field 0), of the values of numbers, and of the lengths of bytes.
pub(super) fn walk(kind: &'static Kind, bytes: &[u8], tell: &mut dyn FnMut((&'static str, i16), i64)) -> Result<usize, Fault> {
    let mut walk = Walk { left: bytes, tell };
    walk.fields(kind, DEEPEST)?;
    let left = walk.left.len();
    Ok(bytes.len() - left)
}

/// How deep structs and lists may lie in each other. The format needs seven.
const DEEPEST: usize = 16;

struct Walk<'a> {
    left: &'a [u8],
    tell: &'a mut dyn FnMut((&'static str, i16), i64),
}

impl Walk<'_> {
    fn fields(&mut self, kind: &'static Kind, depth: usize) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Wrong)?;
        (self.tell)((kind.0, 0), 0);
        let mut id = 0_i16;
        loop {
            let head = self.byte()?;
            if head & 0xf == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => i16::try_from(self.number()?).map_err(|_| Fault::Wrong)?,
                step => id.checked_add(step.into()).ok_or(Fault::Wrong)?,
            };
            let at = usize::try_from(id).ok().and_then(|id| id.checked_sub(1)).ok_or(Fault::Wrong)?;
            let known = kind.1.get(at).unwrap_or(&Nothing);
            self.value(known, head & 0xf, (kind.0, id), depth, true)?;
        }
    }

    /// Walks a value of a field, or of a list, where a flag would be a byte of its own.
    fn value(
        &mut self,
        holds: &'static Holds,
        wire: u8,
        at: (&'static str, i16),
        depth: usize,
        field: bool,
    ) -> Result<(), Fault> {
        match (wire, holds) {
            (1 | 2, Flag | Nothing) if field => {}
            (3, Byte | Nothing) => _ = self.byte()?,
            (4..=6, N | S | Nothing) => {
                let number = self.number()?;
                if matches!(holds, S) && i32::try_from(number).is_err() {
                    return Err(Fault::Wrong);
                }
                (self.tell)(at, number);
            }
            (7, Float | Nothing) => self.skip(8)?,
            (8, Bytes | Nothing) => {
                let len = self.unsigned()?;
                (self.tell)(at, i64::try_from(len).map_err(|_| Fault::Wrong)?);
                self.skip(len)?;
            }
            (9 | 10, List(of)) => self.list(of, at, depth)?,
            (9 | 10, Nothing) => self.list(&Nothing, at, depth)?,
            (12, Struct(kind)) => self.fields(kind, depth)?,
            (12, Nothing) => self.fields(&UNREAD, depth)?,
            _ => return Err(Fault::Wrong),
        }
        Ok(())
    }

    fn list(&mut self, of: &'static Holds, at: (&'static str, i16), depth: usize) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Wrong)?;
        let head = self.byte()?;
        let len = match head >> 4 {
            15 => self.unsigned()?,
            len => len.into(),
        };
        // Some writers give an empty list no type. Every value has a byte or more.
        if len > self.left.len() as u64 {
            return Err(Fault::Short);
        }
        (0..len).try_for_each(|_| self.value(of, head & 0xf, at, depth, false))
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let (first, left) = self.left.split_first().ok_or(Fault::Short)?;
        self.left = left;
        Ok(*first)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        let left = usize::try_from(bytes).ok().and_then(|bytes| self.left.get(bytes..));
        self.left = left.ok_or(Fault::Short)?;
        Ok(())
    }

    /// A number in groups of seven bits, at most ten of them.
    fn unsigned(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Fault::Wrong)
    }

    /// A number with its sign in the last bit.
    fn number(&mut self) -> Result<i64, Fault> {
        let bits = self.unsigned()?;
        Ok((bits >> 1) as i64 ^ -((bits & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The header of a data page of 3 values with 20 bytes, 18 when compressed.
    const HEADER: [u8; 17] = [0x15, 0, 0x15, 40, 0x15, 36, 0x2c, 0x15, 6, 0x15, 0, 0x15, 6, 0x15, 6, 0, 0];

    #[test]
    fn numbers_and_lengths_of_headers_are_told() {
        let mut told = Vec::new();
        let mut tell = |at, number| told.push((at, number));
        let with_more = [&HEADER[..], &[1, 2, 3]].concat();
        assert_eq!(walk(&PAGE, &with_more, &mut tell), Ok(17));
        assert!(told.contains(&(UNCOMPRESSED, 20)) && told.contains(&(COMPRESSED, 18)) && told.contains(&(("data page", 1), 3)));
        for end in 0..HEADER.len() {
            assert_eq!(walk(&PAGE, &HEADER[..end], &mut |_, _| {}), Err(Fault::Short), "{end} bytes");
        }
    }

    #[test]
    fn lists_are_no_longer_than_their_header_and_fields_have_their_types() {
        let with = |more: &[u8]| walk(&PAGE, &[&HEADER[..16], more, &[0; 64]].concat(), &mut |_, _| {});
        // A field of a later version, with a list of two doubles, or of 2^31 - 1 of them.
        assert_eq!(with(&[0x99, 0x27]), Ok(16 + 2 + 16 + 1));
        assert_eq!(with(&[0x99, 0xf7, 0xff, 0xff, 0xff, 0xff, 7]), Err(Fault::Short));
        // Flags in a list take no bytes where the library skips them.
        assert_eq!(with(&[0x99, 0x21]), Err(Fault::Wrong));
        assert_eq!(with(&[0x99, 0x01]), Ok(16 + 2 + 1), "an empty one has none");
        assert_eq!(walk(&PAGE, &[0x19, 0x15, 0, 0], &mut |_, _| {}), Err(Fault::Wrong), "a list in place of a number");
        assert_eq!(walk(&PAGE, &[0x9c; 64], &mut |_, _| {}), Err(Fault::Wrong), "too deep");
        assert_eq!(walk(&PAGE, &[[0x15].as_slice(), &[0xff; 16]].concat(), &mut |_, _| {}), Err(Fault::Wrong));
        // A size of -2^32 + 3: the library would cut it to 3.
        assert_eq!(walk(&PAGE, &[0x25, 0xf9, 0xff, 0xff, 0xff, 0x1f, 0], &mut |_, _| {}), Err(Fault::Wrong));
        assert_eq!(walk(&PAGE, &[0x25, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0], &mut |_, _| {}), Ok(7), "2^31 - 1");
    }
}
