//! Downloads files with tools that most machines have: `curl` and `pip`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Downloads a URL into a file.
pub(super) fn url(url: &str, file: &Path) -> Result<()> {
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", "--connect-timeout", "5", "--max-time", "300", "--output"]);
    finish(curl.arg(file).arg("--").arg(url))
}

/// Downloads the wheel of one PyPI package, without its dependencies, into a folder and returns its path.
pub(super) fn wheel(package: &str, folder: &Path) -> Result<PathBuf> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet", "--disable-pip-version-check"]);
    finish(pip.args(["--timeout", "10", "--retries", "1", "--dest"]).arg(folder).arg(package))?;
    let mut files = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    files.find(|path| path.extension().is_some_and(|e| e == "whl")).context("pip left no wheel")
}

/// Runs a command to its end; the last line of its standard error becomes the error message.
fn finish(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("`{name}` cannot be started"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{}", text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed without a word").trim());
    }
    Ok(())
}
