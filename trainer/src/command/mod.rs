//! The command line. Each verb is one file with its arguments, its output and `run`.

pub mod ab;
pub mod compare;
pub mod compress;
pub mod data;
pub mod evaluate;
pub mod experiment;
pub mod explore;
pub mod export;
pub mod features;
pub mod log;
pub mod logs;
pub mod ope;
pub mod output;
pub mod prepare;
pub mod promote;
pub mod reading;
pub mod recommend;
pub mod rollback;
pub mod serve;
pub mod simulate;
pub mod split;
pub mod train;
pub mod update;
pub mod verify;

/// Wrong usage that the parser of the command line cannot detect. The command exits with code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Makes a [`Usage`] error.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}
