//! The pages of one column of a row group, checked before the Parquet library decodes them.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use super::thrift::{COMPRESSED, Fault, PAGE, UNCOMPRESSED, walk};
use crate::data::cell::LONGEST_LIST;

/// Most bytes of a header in front of a page. It may have a smallest and a largest text.
const LONGEST_HEADER: u64 = 1 << 24;
/// A page decodes to at most so many bytes, or to [`TIMES`] as many as it has.
const PAGE_BYTES: u64 = 1 << 27;
const TIMES: u64 = 1024;
/// A dictionary has at most so many values, and one more for each bit of its column. All are held at once.
const DICTIONARY: u64 = 1 << 20;
/// Most values of a page that has the lengths of all its texts in front. All are held at once.
const LENGTHS: usize = 1 << 23;
/// Most bytes of a page of texts that share their beginnings with the text before. Eight of these are held at once.
const SHARED_BYTES: usize = 1 << 24;
/// Most bytes that the texts of such a page have if they are in lists.
const SHARED_LISTS: u64 = 1 << 26;

/// The file of a column. Headers of pages are walked before the library reads them.
struct Walked(Arc<File>);

impl Length for Walked {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Walked {
    type T = Header;

    fn get_read(&self, start: u64) -> Result<Header> {
        Ok(Header { file: self.0.clone(), start, bytes: None })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.0.get_bytes(start, length)
    }
}

/// The header of the page that starts here. It is read when the library asks for its first byte: the library also opens
/// readers that it does not use.
struct Header {
    file: Arc<File>,
    start: u64,
    bytes: Option<Cursor<Bytes>>,
}

impl Header {
    /// The bytes of the header and no more.
    fn walked(&self) -> Result<Bytes> {
        let most = self.file.len().saturating_sub(self.start).min(LONGEST_HEADER);
        let mut read = most.min(512);
        loop {
            let bytes = self.file.get_bytes(self.start, read as usize)?;
            let (mut compressed, mut uncompressed) = (0, 0);
            let tell = &mut |at, number: i64| match at {
                COMPRESSED => compressed = number.max(0) as u64,
                UNCOMPRESSED => uncompressed = number.max(0) as u64,
                _ => {}
            };
            match walk(&PAGE, &bytes, tell) {
                Ok(_) if uncompressed > PAGE_BYTES.max(compressed.saturating_mul(TIMES)) => {
                    return wrong(format!("a page of {compressed} bytes that should decode to {uncompressed}"));
                }
                Ok(length) => return Ok(bytes.slice(..length)),
                Err(Fault::Short) if read < most => read = most.min(read * 8),
                Err(_) => return wrong("a damaged header of a page".to_owned()),
            }
        }
    }
}

impl Read for Header {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_none() {
            self.bytes = Some(Cursor::new(self.walked().map_err(io::Error::other)?));
        }
        self.bytes.as_mut().map_or(Ok(0), |bytes| bytes.read(to))
    }
}

fn wrong<T>(what: String) -> Result<T> {
    Err(ParquetError::General(what))
}

/// The pages of a column. What a page claims is checked against its bytes.
pub(super) struct Pages {
    pages: SerializedPageReader<Walked>,
    about: ColumnDescPtr,
    /// Bytes of all pages.
    bytes: u64,
    /// How many members the list has in which the last page ended.
    members: usize,
}

impl Pages {
    pub fn open(file: &Arc<File>, column: &ColumnChunkMetaData, rows: usize) -> Result<Pages> {
        let pages = SerializedPageReader::new(Arc::new(Walked(file.clone())), column, rows, None)?;
        let bytes = u64::try_from(column.compressed_size()).unwrap_or(0);
        Ok(Pages { pages, about: column.column_descr_ptr(), bytes, members: 0 })
    }

    fn check(&mut self, page: &Page) -> Result<()> {
        let values = page.num_values() as usize;
        let (repeats, encoding) = match page {
            Page::DictionaryPage { buf, .. } => return self.check_dictionary(values as u64, buf.len() as u64),
            Page::DataPage { rep_level_encoding, encoding, .. } => (*rep_level_encoding, *encoding),
            Page::DataPageV2 { encoding, .. } => (Encoding::RLE, *encoding),
        };
        let Some([repeats_bytes, defines_bytes]) = self.levels(page) else { return wrong("a damaged page".to_owned()) };
        let (levels, data) = page.buffer().split_at(repeats_bytes + defines_bytes);
        if self.about.max_rep_level() > 0 && !self.lists_are_short(&levels[..repeats_bytes], repeats, values, page) {
            return wrong(format!("a list of more than {LONGEST_LIST} values"));
        }
        match encoding {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => self.check_lengths(data, values).map(|_| ()),
            Encoding::DELTA_BYTE_ARRAY => {
                let (shared, read) = self.check_lengths(data, values)?;
                let (own, _) = self.check_lengths(&data[read..], values)?;
                if data.len() > SHARED_BYTES || (self.about.max_rep_level() > 0 && shared.saturating_add(own) > SHARED_LISTS) {
                    return wrong("too long texts in a page of texts that share their beginnings".to_owned());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Each value of a dictionary has bytes.
    fn check_dictionary(&self, values: u64, bytes: u64) -> Result<()> {
        let fits = match self.about.physical_type() {
            PhysicalType::BOOLEAN => values <= bytes.saturating_mul(8),
            PhysicalType::INT32 | PhysicalType::FLOAT | PhysicalType::BYTE_ARRAY => values <= bytes / 4,
            PhysicalType::INT64 | PhysicalType::DOUBLE => values <= bytes / 8,
            PhysicalType::INT96 => values <= bytes / 12,
            PhysicalType::FIXED_LEN_BYTE_ARRAY => values <= bytes,
        };
        if !fits || values > DICTIONARY + 8 * self.bytes {
            return wrong(format!("a dictionary of {bytes} bytes that should have {values} values"));
        }
        Ok(())
    }

    /// How many bytes the levels of repetition and of definition take at the beginning of a page; `None` if the page
    /// has fewer.
    fn levels(&self, page: &Page) -> Option<[usize; 2]> {
        let lengths = match page {
            Page::DataPageV2 { rep_levels_byte_len, def_levels_byte_len, .. } => {
                [*rep_levels_byte_len as usize, *def_levels_byte_len as usize]
            }
            Page::DataPage { buf, num_values, rep_level_encoding, def_level_encoding, .. } => {
                let length = |most: i16, encoding: Encoding, bytes: &[u8]| match encoding {
                    _ if most == 0 => Some(0),
                    Encoding::RLE => Some(4 + u32::from_le_bytes(*bytes.first_chunk()?) as usize),
                    _ => Some((*num_values as usize * width(most)).div_ceil(8)),
                };
                let repeats = length(self.about.max_rep_level(), *rep_level_encoding, buf)?;
                [repeats, length(self.about.max_def_level(), *def_level_encoding, buf.get(repeats..)?)?]
            }
            Page::DictionaryPage { .. } => [0, 0],
        };
        (lengths[0] + lengths[1] <= page.buffer().len()).then_some(lengths)
    }

    /// Whether no list of a page has more than [`LONGEST_LIST`] values: the library holds all values of a list at once.
    /// `levels` are 0 where a list starts and 1 within it; a list may go on in the next page.
    fn lists_are_short(&mut self, levels: &[u8], encoding: Encoding, values: usize, page: &Page) -> bool {
        let members = &mut self.members;
        let mut left = values;
        let mut run = |starts: bool, length: usize| {
            let length = length.min(left);
            left -= length;
            if length > 0 {
                *members = if starts { 1 } else { *members + length };
            }
            *members <= LONGEST_LIST
        };
        // Bytes with eight levels each, from the lowest bit on.
        let bits =
            |bytes: &[u8]| -> Vec<bool> { bytes.iter().flat_map(|byte| (0..8).map(move |i| byte >> i & 1 == 0)).collect() };
        if encoding != Encoding::RLE {
            return bits(levels).into_iter().all(|starts| run(starts, 1));
        }
        let mut levels = if matches!(page, Page::DataPage { .. }) { &levels[4..] } else { levels };
        while let Some(head) = number(&mut levels) {
            if head == 0 {
                break; // Padding.
            }
            let Ok(length) = usize::try_from(head >> 1).map(|n| n.min(1 << 31)) else { return false };
            let fits = if head & 1 == 0 {
                // One level, many times.
                let Some((level, rest)) = levels.split_first() else { break };
                levels = rest;
                run(*level == 0, length)
            } else {
                let (packed, rest) = levels.split_at(length.min(levels.len()));
                levels = rest;
                bits(packed).into_iter().all(|starts| run(starts, 1))
            };
            // The library takes the length as a number of 32 bits.
            if !fits || length >= 1 << 31 {
                return false;
            }
        }
        true
    }

    /// The sum of the lengths that lie at the beginning of `data`, and how many bytes they take.
    fn check_lengths(&self, data: &[u8], values: usize) -> Result<(u64, usize)> {
        match lengths(data, values.min(LENGTHS)) {
            Some(read) => Ok(read),
            None => wrong(format!("damaged lengths of texts, or more than {LENGTHS}, in a page of {values} values")),
        }
    }
}

/// The bits of a level up to `most`.
fn width(most: i16) -> usize {
    (i16::BITS - most.leading_zeros()) as usize
}

/// A number in groups of seven bits.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, left) = bytes.split_first()?;
        *bytes = left;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Reads at most `most` lengths that are written as differences (the encoding `DELTA_BINARY_PACKED`): the sum of those
/// that are not negative, and how many bytes they take. `None` if they are damaged or more.
fn lengths(data: &[u8], most: usize) -> Option<(u64, usize)> {
    let mut left = data;
    let [block, minis, count] = [(); 3].map(|()| number(&mut left).and_then(|n| usize::try_from(n).ok()));
    let (block, minis, mut count) = (block?, minis?, count?);
    let signed = |left: &mut &[u8]| number(left).map(|n| (n >> 1) as i32 ^ -((n & 1) as i32));
    let mut length = signed(&mut left)?;
    let per_mini = block.checked_div(minis).filter(|n| *n > 0 && n.is_multiple_of(32) && block <= 1 << 30)?;
    if count > most {
        return None;
    }
    let sum_of = |length: i32| u64::try_from(length).unwrap_or(0);
    let mut sum = if count > 0 { sum_of(length) } else { 0 };
    count = count.saturating_sub(1);
    while count > 0 {
        let least = signed(&mut left)?;
        let (widths, rest) = left.split_at_checked(minis)?;
        left = rest;
        for width in widths.iter().map(|width| usize::from(*width)) {
            if count == 0 {
                break;
            }
            let here = per_mini.min(count);
            if width > 32 || (here * width).div_ceil(8) > left.len() {
                return None;
            }
            for i in 0..here {
                let mut difference = 0_u64;
                if width > 0 {
                    let at = i * width;
                    let bytes = &left[at / 8..left.len().min(at / 8 + 5)];
                    difference = bytes.iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte)) >> (at % 8) & ((1 << width) - 1);
                }
                length = length.wrapping_add(least).wrapping_add(difference as i32);
                sum += sum_of(length);
            }
            left = &left[left.len().min(per_mini * width / 8)..];
            count -= here;
        }
    }
    Some((sum, data.len() - left.len()))
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Result<Page>> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(page) = &page {
            self.check(page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_summed_and_counted() {
        // One block of 128 in 4 parts: the lengths 7, 5, 3, 1, 2, 3, 4, 5, an example of the format's specification.
        let eight = [128, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0];
        assert_eq!(lengths(&eight, 8), Some((30, 18)));
        assert_eq!(lengths(&eight, 7), None, "more than there may be");
        for end in 0..eight.len() - 8 {
            assert_eq!(lengths(&eight[..end], 8), None, "{end} bytes");
        }
        assert_eq!(lengths(&[128, 1, 4, 1, 14, 9], 8), Some((7, 5)), "one length has no block");
        assert_eq!(lengths(&[128, 1, 4, 0, 0, 9], 8), Some((0, 5)));
        // 2^31 - 1 lengths of a difference of 0 in one block without bytes.
        let endless = [0x80, 0x80, 0x80, 0x80, 4, 1, 0xff, 0xff, 0xff, 0xff, 7, 2, 0, 0];
        assert_eq!(lengths(&endless, LENGTHS), None);
    }
}
