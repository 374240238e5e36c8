//! The files that `serve` hands out: those of one folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foretaste_trainer::files::is_outdated;
use tower_http::services::fs::{Backend, TokioBackend};

/// The files of a folder. What a link leads to outside the folder, what has a name with a dot in front anywhere on its
/// way, and what is neither a file nor a folder is not found.
#[derive(Clone)]
pub(super) struct Inside {
    root: Arc<Path>,
    /// Whether files are asked for that take the place of others.
    stand_in: bool,
}

impl Inside {
    /// The files of the folder `root`, an absolute path without links.
    pub fn new(root: &Path) -> Inside {
        Inside { root: root.into(), stand_in: false }
    }

    /// The same files for a server that sends `NAME.br` or `NAME.gz` in place of NAME: one that is older than NAME is
    /// not found.
    pub fn stand_ins(root: &Path) -> Inside {
        Inside { root: root.into(), stand_in: true }
    }

    /// Follows the links of a path in the folder.
    fn found(&self, path: &Path) -> io::Result<PathBuf> {
        let target = path.canonicalize()?;
        let kind = target.metadata()?;
        let plain = |path: &Path| path.strip_prefix(&self.root).is_ok_and(|inside| !inside.iter().any(is_hidden));
        let found = plain(path) && plain(&target) && (kind.is_file() || kind.is_dir()) && !(self.stand_in && is_outdated(path));
        found.then_some(target).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

impl Backend for Inside {
    type File = <TokioBackend as Backend>::File;
    type Metadata = <TokioBackend as Backend>::Metadata;
    type OpenFuture = <TokioBackend as Backend>::OpenFuture;
    type MetadataFuture = <TokioBackend as Backend>::MetadataFuture;

    fn open(&self, path: PathBuf) -> Self::OpenFuture {
        let found = self.found(&path);
        Box::pin(async move { TokioBackend.open(found?).await })
    }

    fn metadata(&self, path: PathBuf) -> Self::MetadataFuture {
        let found = self.found(&path);
        Box::pin(async move { TokioBackend.metadata(found?).await })
    }
}
