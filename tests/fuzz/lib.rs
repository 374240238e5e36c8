//! Fuzz targets: one for each parser of bytes that may come from a stranger.
//!
//! A target calls the parser that users reach and asserts what must hold for any input: no panic, little memory, no
//! long wait, an error with a code or a message of one line, and for what is accepted that it can be used, written and
//! read again as the same. Two drivers run this table: `replay.rs` replays the kept inputs and mutates them for some
//! seconds, `search.rs` is guided by coverage.
//!
//! The inputs of a target NAME are in `seeds/NAME` and, if they have once shown a fault, in `crashers/NAME`.

// Clippy also compiles this as a test, and then the core's reader of JSON would bring its own tests.
#![cfg(not(test))]

pub mod limits;
pub mod mutate;
mod onnx;
pub mod random;
mod targets;

// The reader of JSON is private to the core. It is compiled here as it stands, with the error type that it names.
#[allow(dead_code, missing_docs, unexpected_cfgs)]
#[path = "../../src/json.rs"]
mod json;
mod error {
    pub use foretaste::ErrorKind;
}

use std::path::{Path, PathBuf};

pub use targets::TARGETS;

/// A parser and what must hold for its inputs.
pub struct Target {
    /// Name, also of its folders.
    pub name: &'static str,
    /// Files of the checkout that are seeds too.
    pub files: &'static [&'static str],
    /// Runs the parser, panics if something does not hold, and returns whether the input was accepted.
    pub run: fn(&[u8]) -> bool,
    /// How inputs are changed.
    pub mutate: mutate::Mutate,
    /// Most megabytes that a case may allocate at once. Inputs have at most 64 KiB.
    pub megabytes: usize,
    /// The longest that a case may take.
    pub seconds: u64,
}

impl Target {
    /// The target of this name.
    pub fn named(name: &str) -> Option<&'static Target> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// The kept inputs with their paths, in order.
    ///
    /// # Panics
    /// If a file cannot be read.
    pub fn inputs(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut paths: Vec<PathBuf> = self.files.iter().map(|file| checkout().join(file)).collect();
        for folder in ["seeds", "crashers"] {
            let folder = here().join(folder).join(self.name);
            let mut entries: Vec<PathBuf> =
                std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect();
            entries.sort();
            paths.extend(entries);
        }
        paths
            .into_iter()
            .map(|path| (path.clone(), std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))))
            .collect()
    }

    /// Runs one case within the limit of memory.
    pub fn case(&self, input: &[u8]) -> bool {
        limits::allow(self.megabytes << 20);
        let accepted = (self.run)(input);
        limits::allow(usize::MAX);
        accepted
    }
}

/// The folder of this crate.
pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    here().join("../..")
}
