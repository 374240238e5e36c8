//! Folders that appear whole or not at all.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Creates the folder `to`. `fill` writes into a temporary folder beside it, which is renamed to `to` at the end; after
/// an error nothing is left.
///
/// # Errors
/// `to` exists and is not an empty folder; the errors of `fill`.
pub fn place_folder<T>(to: &Path, fill: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let taken = to.exists() && fs::read_dir(to).map_or(true, |mut entries| entries.next().is_some());
    if taken {
        bail!("{}: already there: remove it or choose another folder", to.display());
    }
    let Some(name) = to.file_name() else { bail!("{}: not the name of a new folder", to.display()) };
    let parent = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    let partial = parent.join(format!(".{}.partial-{}", name.to_string_lossy(), std::process::id()));
    fs::create_dir(&partial).with_context(|| partial.display().to_string())?;
    let filled = fill(&partial).and_then(|out| {
        if to.exists() {
            fs::remove_dir(to).with_context(|| to.display().to_string())?;
        }
        fs::rename(&partial, to).with_context(|| to.display().to_string())?;
        Ok(out)
    });
    if filled.is_err() {
        _ = fs::remove_dir_all(&partial);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn whole_or_not_at_all() {
        let work = tempfile::tempdir().unwrap();
        let to = work.path().join("out");
        let refused: Result<()> = place_folder(&to, |folder| {
            fs::write(folder.join("a"), "1")?;
            bail!("no")
        });
        assert_eq!(refused.unwrap_err().to_string(), "no");
        assert_eq!(entries(work.path()), [""; 0]);
        fs::create_dir(&to).unwrap();
        place_folder(&to, |folder| Ok(fs::write(folder.join("a"), "1")?)).unwrap();
        assert_eq!((entries(work.path()), entries(&to)), (vec!["out".to_owned()], vec!["a".to_owned()]));
        assert!(place_folder(&to, |_| Ok(())).unwrap_err().to_string().ends_with("choose another folder"));
    }
}
