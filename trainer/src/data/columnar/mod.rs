//! Reads and writes Parquet tables, column by column: texts, numbers, times, and lists of them.

mod leaf;
mod pages;
mod read;
mod table;
mod thrift;
mod write;

pub(in crate::data) use read::rows;
pub(crate) use table::{ReadCell, each_row};
pub(crate) use write::{Written, write};
