//! From learnt towers to a bundle: ONNX graphs, int8 rows, catalog, golden rows.

use std::path::Path;

use anyhow::{Result, bail};

use crate::training::Run;

/// Writes the bundle of a run to a folder: first beside it, then moved there as a whole.
pub fn export(_run: &Run, _out: &Path) -> Result<()> {
    bail!("not yet")
}
