//! The versions of a model, and which of them visitors have.
//!
//! ```text
//! VERSIONS/live/              the champion's bundle, with deltas from the one before: the folder a host serves
//! VERSIONS/versions/N/        run/, bundle/ and gate.json of version N
//! VERSIONS/mlruns/            MLflow's registry: one entry per version, the aliases champion and challenger
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::Gate;
use crate::export::{Contents, Published, export, publish};
use crate::files::write_atomically;
use crate::tracking::Registry;
use crate::training::Run;

/// Alias of the version that visitors have.
const CHAMPION: &str = "champion";
/// Alias of the version that has passed the gate and waits to be promoted.
const CHALLENGER: &str = "challenger";
/// Tag of a version: the champion that it replaced.
const REPLACED: &str = "replaced";
/// Tag of a version: `passed` or `failed` at the gate.
const GATE: &str = "gate";

/// A folder of versions.
pub struct Versions {
    folder: PathBuf,
    registry: Registry,
}

impl Versions {
    /// Creates a folder of versions; a finished training becomes version 1, the champion.
    ///
    /// # Errors
    /// The folder has versions already or cannot be written.
    pub fn create(folder: &Path, run: &Run) -> Result<Versions> {
        ensure!(!folder.join("versions").exists(), "{}: the folder has versions already", folder.display());
        let registry = Registry::create(&folder.join("mlruns"), &run.card.name)?;
        let versions = Versions { folder: folder.into(), registry };
        export(run, &versions.staging().join("bundle"), Contents::default())?;
        let kept = versions.staging().join("run");
        std::fs::create_dir_all(&kept).with_context(|| format!("{}: cannot be made", kept.display()))?;
        run.save(&kept)?;
        let first = versions.add("The first version.", None)?;
        versions.make_champion(first)?;
        Ok(versions)
    }

    /// Opens a folder of versions.
    ///
    /// # Errors
    /// The folder has no versions.
    pub fn open(folder: &Path) -> Result<Versions> {
        let registry = Registry::open(&folder.join("mlruns")).with_context(|| {
            format!("{}: the folder has no versions; create them with `foretaste update {0} --run RUN`", folder.display())
        })?;
        Ok(Versions { folder: folder.into(), registry })
    }

    /// Where the next version is made, as `run` and `bundle`. It becomes a version when it is complete.
    pub fn staging(&self) -> PathBuf {
        self.folder.join("next")
    }

    /// The folder that a host serves.
    pub fn live(&self) -> PathBuf {
        self.folder.join("live")
    }

    /// The folder of a version.
    pub fn of(&self, version: u32) -> PathBuf {
        self.folder.join("versions").join(version.to_string())
    }

    /// The version that visitors have.
    ///
    /// # Errors
    /// There is none, because [`Versions::create`] was interrupted.
    pub fn champion(&self) -> Result<u32> {
        self.registry.alias(CHAMPION).with_context(|| format!("{}: no champion", self.folder.display()))
    }

    /// The version that waits to be promoted, if there is one.
    pub fn challenger(&self) -> Option<u32> {
        self.registry.alias(CHALLENGER)
    }

    /// Makes a version of the staged files and returns its number. It becomes the challenger if it has passed the gate.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn add(&self, description: &str, gate: Option<&Gate>) -> Result<u32> {
        let all = self.folder.join("versions");
        std::fs::create_dir_all(&all).with_context(|| format!("{}: cannot be made", all.display()))?;
        let numbers = std::fs::read_dir(&all)?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let version = numbers.max().unwrap_or(0) + 1;
        let mut tags = Vec::new();
        if let Some(gate) = gate {
            write_atomically(&self.staging().join("gate.json"), &serde_json::to_vec_pretty(gate)?)?;
            tags.push((GATE.to_owned(), if gate.passed { "passed" } else { "failed" }.to_owned()));
            let figures = |check: &super::Check| {
                [("before", check.before), ("after", check.after)].map(|(at, x)| (format!("{}.{at}", check.name), x.to_string()))
            };
            tags.extend(gate.checks.iter().flat_map(figures));
        }
        std::fs::rename(self.staging(), self.of(version)).with_context(|| format!("{}", self.of(version).display()))?;
        self.registry.add(version, &self.of(version).join("bundle"), description, &tags)?;
        if gate.is_some_and(|gate| gate.passed) {
            self.registry.set_alias(CHALLENGER, Some(version))?;
        }
        Ok(version)
    }

    /// Gives visitors a version: `version`, or else the challenger.
    ///
    /// # Errors
    /// There is no such version, it is the champion already, or it has failed the gate and `force` is not set.
    pub fn promote(&self, version: Option<u32>, force: bool) -> Result<(u32, Published)> {
        let version = version.or_else(|| self.challenger()).context("no challenger: no later version has passed the gate")?;
        ensure!(self.of(version).join("bundle").is_dir(), "no version {version} in {}", self.folder.display());
        let champion = self.champion()?;
        ensure!(version != champion, "version {version} is the champion already");
        if self.registry.tag(version, GATE).as_deref() == Some("failed") && !force {
            bail!(
                "version {version} has failed the gate ({}); --force promotes it anyway",
                self.of(version).join("gate.json").display()
            );
        }
        let published = self.make_champion(version)?;
        self.registry.set_tag(version, REPLACED, &champion.to_string())?;
        if self.challenger() == Some(version) {
            self.registry.set_alias(CHALLENGER, None)?;
        }
        Ok((version, published))
    }

    /// Gives visitors the version that the champion replaced.
    ///
    /// # Errors
    /// The champion replaced no version.
    pub fn rollback(&self) -> Result<(u32, Published)> {
        let champion = self.champion()?;
        let before = self.registry.tag(champion, REPLACED).and_then(|text| text.parse().ok());
        let before: u32 = before.with_context(|| format!("version {champion} has replaced no other version"))?;
        Ok((before, self.make_champion(before)?))
    }

    /// Publishes the bundle first and sets the alias after it: if interrupted, the same command can be run again.
    fn make_champion(&self, version: u32) -> Result<Published> {
        let published = publish(&self.of(version).join("bundle"), &self.live())?;
        self.registry.set_alias(CHAMPION, Some(version))?;
        Ok(published)
    }
}
