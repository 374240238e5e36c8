//! The cells of one column of Parquet.

use std::ops::Range;

use anyhow::{Result, anyhow, bail, ensure};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as PhysicalType};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use crate::data::cell::Cell;
use crate::data::columns;
use crate::data::digest::hex;

/// A column of a row group that is being read.
pub(super) struct Leaf {
    pub reader: ColumnReader,
    pub about: ColumnDescPtr,
}

impl Leaf {
    /// Reads up to `rows` more cells. What they hold is taken from the budget first.
    pub fn read(&mut self, rows: usize, budget: &mut Budget) -> Result<Vec<Cell>> {
        let about = &*self.about;
        match &mut self.reader {
            ColumnReader::BoolColumnReader(r) => cells(r, about, rows, budget, |_| 0, |b| Cell::of(b.to_string())),
            ColumnReader::Int32ColumnReader(r) => cells(r, about, rows, budget, |_| 0, |x| whole(i64::from(*x), about)),
            ColumnReader::Int64ColumnReader(r) => cells(r, about, rows, budget, |_| 0, |x| whole(*x, about)),
            ColumnReader::Int96ColumnReader(r) => cells(r, about, rows, budget, |_| 0, |x| Cell::Moment(x.to_seconds())),
            ColumnReader::FloatColumnReader(r) => cells(r, about, rows, budget, |_| 0, |x| Cell::of(x.to_string())),
            ColumnReader::DoubleColumnReader(r) => cells(r, about, rows, budget, |_| 0, |x| Cell::of(x.to_string())),
            ColumnReader::ByteArrayColumnReader(r) => {
                cells(r, about, rows, budget, |bytes| bytes.len(), |bytes| of_bytes(bytes.data(), about))
            }
            ColumnReader::FixedLenByteArrayColumnReader(r) => {
                cells(r, about, rows, budget, |bytes| bytes.len(), |bytes| of_bytes(bytes.data(), about))
            }
        }
    }
}

/// How many bytes may still be decoded. A cell, or a member of a list, counts [`CELL`] bytes beside those of its text.
pub(super) struct Budget {
    /// In this batch.
    pub batch: usize,
    /// In the file.
    pub file: u64,
}

/// What a cell counts without its text.
pub(super) const CELL: usize = 16;
/// How many lists or texts are decoded at a time. The library may hold each as long as one can be.
const PIECE: usize = 8;

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.batch = self.batch.checked_sub(bytes).ok_or_else(|| anyhow!("too long texts or lists for a table"))?;
        self.file = self.file.checked_sub(bytes as u64).ok_or_else(|| anyhow!(TOO_MUCH))?;
        Ok(())
    }
}

/// The file decodes to more than it may.
pub(super) const TOO_MUCH: &str = "decodes to far more bytes than a file of its length may; if it is right, write it as CSV";

/// Whether a column has one number or time a row.
pub(super) fn holds_numbers(about: &ColumnDescriptor) -> bool {
    let bytes = matches!(about.physical_type(), PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY);
    let number = is_decimal(about) || about.logical_type_ref() == Some(&LogicalType::Float16);
    about.max_rep_level() == 0 && about.physical_type() != PhysicalType::BOOLEAN && (!bytes || number)
}

fn is_decimal(about: &ColumnDescriptor) -> bool {
    matches!(about.logical_type_ref(), Some(LogicalType::Decimal(_))) || about.converted_type() == ConvertedType::DECIMAL
}

/// A decimal number without its point, as text.
fn decimal(unscaled: i128, about: &ColumnDescriptor) -> Cell {
    let scale = u32::try_from(about.type_scale()).ok().and_then(|s| 10_i128.checked_pow(s)).unwrap_or(i128::MAX);
    Cell::Text((unscaled as f64 / scale as f64).to_string())
}

/// Bytes as their column type declares them: a decimal number, a half-precision number, a UUID, or a text.
fn of_bytes(bytes: &[u8], about: &ColumnDescriptor) -> Cell {
    match (about.logical_type_ref(), bytes.len()) {
        _ if is_decimal(about) && (1..=16).contains(&bytes.len()) => {
            // Big-endian in two's complement: the first bit is the sign.
            let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
            decimal(bytes.iter().fold(sign, |number, byte| number << 8 | i128::from(*byte)), about)
        }
        (Some(LogicalType::Float16), 2) => Cell::of(half(u16::from_le_bytes([bytes[0], bytes[1]])).to_string()),
        (Some(LogicalType::Uuid), 16) => {
            let hex = |range: Range<usize>| hex(&bytes[range]);
            Cell::Text([hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)].join("-"))
        }
        _ if about.physical_type() == PhysicalType::BYTE_ARRAY => Cell::utf8(bytes.to_vec()),
        _ => Cell::opaque("bytes of a fixed length", bytes.to_vec()),
    }
}

/// The value of a half-precision number.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction / 1024.0 / 16384.0,
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * f32::from_bits(((exponent - 15 + 127) as u32) << 23),
    };
    if bits & 0x8000 == 0 { size } else { -size }
}

/// A whole number as its column type declares it: a number or a time.
fn whole(x: i64, about: &ColumnDescriptor) -> Cell {
    let per_second = match (about.logical_type_ref(), about.converted_type()) {
        (Some(LogicalType::Timestamp(t)), _) => match t.unit {
            TimeUnit::MILLIS => 1000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        },
        (None, ConvertedType::TIMESTAMP_MILLIS) => 1000,
        (None, ConvertedType::TIMESTAMP_MICROS) => 1_000_000,
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => return Cell::Moment(x * 86_400),
        _ if is_decimal(about) => return decimal(x.into(), about),
        (Some(LogicalType::Integer(t)), _) if !t.is_signed && t.bit_width == 64 => return Cell::Text((x as u64).to_string()),
        (Some(LogicalType::Integer(t)), _) if !t.is_signed => return Cell::Text((x as u32).to_string()),
        _ => return Cell::Text(x.to_string()),
    };
    Cell::Moment(x.div_euclid(per_second))
}

/// Reads up to `rows` cells of a leaf. A record has a value where its definition level is the highest; a leaf with
/// repetition levels gives lists.
fn cells<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    about: &ColumnDescriptor,
    rows: usize,
    budget: &mut Budget,
    bytes: impl Fn(&T::T) -> usize,
    one: impl Fn(&T::T) -> Cell,
) -> Result<Vec<Cell>> {
    let (max_def, repeats) = (about.max_def_level(), about.max_rep_level() > 0);
    let mut out: Vec<Cell> = Vec::new();
    let mut lists: Vec<Result<Vec<Cell>, Cell>> = Vec::new();
    let texts_or_lists =
        repeats || matches!(about.physical_type(), PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY);
    let piece = if texts_or_lists { PIECE } else { rows };
    let (mut defs, mut reps, mut values) = (Vec::new(), Vec::new(), Vec::new());
    while out.len().max(lists.len()) < rows {
        let left = rows - out.len().max(lists.len());
        defs.clear();
        reps.clear();
        values.clear();
        let (records, _, _) = reader.read_records(left.min(piece), Some(&mut defs), Some(&mut reps), &mut values)?;
        if records == 0 {
            break;
        }
        let levels = if max_def == 0 { values.len() } else { defs.len() };
        ensure!(!repeats || reps.len() == levels, "levels of lists do not fit");
        let mut values = values.iter();
        for i in 0..levels {
            let present = max_def == 0 || defs[i] == max_def;
            let value = if present { Some(values.next().ok_or_else(|| anyhow!("fewer values than levels"))?) } else { None };
            budget.take(CELL + value.map_or(0, &bytes))?;
            let cell = value.map_or(Cell::Missing, &one);
            if !repeats {
                out.push(cell);
                continue;
            }
            if reps[i] == 0 {
                lists.push(Ok(Vec::new()));
            }
            match (lists.last_mut(), cell) {
                (None, _) => bail!("a list without a start"),
                (_, Cell::Missing) | (Some(Err(_)), _) => {}
                // A list with an opaque member is opaque.
                (Some(list), opaque @ Cell::Opaque(_)) => *list = Err(opaque),
                (Some(Ok(list)), cell) => list.push(cell),
            }
        }
    }
    let numbers = !matches!(about.physical_type(), PhysicalType::BYTE_ARRAY | PhysicalType::BOOLEAN);
    out.extend(lists.into_iter().map(|list| match list {
        Ok(list) if numbers => vector(&list),
        Ok(list) => texts(&list),
        Err(opaque) => opaque,
    }));
    Ok(out)
}

fn texts(list: &[Cell]) -> Cell {
    Cell::list(list.iter().map(columns::text).collect())
}

/// A list of numbers as a vector; if one of them is not finite, it stays a list of texts.
fn vector(list: &[Cell]) -> Cell {
    let numbers: Option<Vec<f64>> = list.iter().map(columns::number).collect();
    numbers.filter(|xs| !xs.is_empty()).map_or_else(|| texts(list), Cell::Vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_numbers_have_their_value() {
        let cases = [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (0x7bff, 65504.0), (0x0001, 5.960_464_5e-8)];
        for (bits, expected) in cases {
            assert_eq!(half(bits), expected);
        }
        assert!(half(0x7c00) == f32::INFINITY && half(0x7e01).is_nan() && half(0) == 0.0);
    }
}
