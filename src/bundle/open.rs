//! Opens a whole bundle at once from bytes that the caller reads.

use super::{Bundle, BundleReader, DEFAULT_MAX_BYTES, FileEntry};
use crate::error::Error;
use crate::model::Graph;

/// The ONNX files of a bundle, checked but not yet loaded, in the order of the manifest.
pub type Graphs = Vec<(Graph, Vec<u8>)>;

impl Bundle {
    /// Opens a bundle from the bytes of `manifest.json` and of the files that it names. All files together may have
    /// [`DEFAULT_MAX_BYTES`].
    ///
    /// `read` is called once for each file that this build uses, in the order of the manifest. It returns the file's
    /// bytes, or `None` to leave the file out. Item files and catalogs are always needed, graphs only to run the
    /// towers, and `golden.json` only to check the results.
    ///
    /// # Errors
    /// Those of `read`, [`BundleReader::new`], [`BundleReader::finish`] and [`BundleReader::open`].
    pub fn from_files<B: Into<Vec<u8>>, E: From<Error>>(
        manifest: &[u8],
        mut read: impl FnMut(&FileEntry) -> Result<Option<B>, E>,
    ) -> Result<(Bundle, Graphs), E> {
        let mut reader = BundleReader::new(manifest, DEFAULT_MAX_BYTES)?;
        let mut graphs = Graphs::new();
        let files: Vec<FileEntry> = reader.manifest().used_files().cloned().collect();
        for file in &files {
            let Some(bytes) = read(file)? else { continue };
            let bytes = bytes.into();
            match Graph::named(&file.role) {
                Some(graph) => {
                    file.check_bytes(&bytes)?;
                    graphs.push((graph, bytes));
                }
                None => reader.add_file(&file.path, bytes)?,
            }
        }
        Ok((reader.open()?, graphs))
    }
}
