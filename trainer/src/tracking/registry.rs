//! MLflow's model registry in its file store: `models/NAME/` has a folder for each version and a file for each alias.
//! <https://mlflow.org/docs/latest/ml/model-registry>

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::mlflow::{plain, quoted, uri, write, yaml};
use super::now_ms;
use crate::files::write_atomically;

const MODELS: &str = "models";
const META: &str = "meta.yaml";

/// A registered model.
pub struct Registry {
    folder: PathBuf,
    name: String,
}

impl Registry {
    /// Registers a model in the store `root`. Characters that MLflow does not allow in names are replaced.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn create(root: &Path, name: &str) -> Result<Registry> {
        // MLflow refuses `/` and `:` in names, and `.` and `..` would not be folders of their own.
        let name = format!("{}{}", if name.is_empty() || name.starts_with('.') { "model" } else { "" }, plain(name));
        let folder = root.join(MODELS).join(&name);
        fs::create_dir_all(folder.join("aliases")).with_context(|| format!("{}: cannot be created", folder.display()))?;
        let now = now_ms().to_string();
        let lines = [
            ("creation_timestamp", now.clone()),
            ("last_updated_timestamp", now),
            ("name", quoted(&name)),
            ("description", "null".into()),
        ];
        write(&folder.join(META), &yaml(&lines))?;
        Ok(Registry { folder, name })
    }

    /// Opens the only model of the store `root`.
    ///
    /// # Errors
    /// The store has no model or more than one.
    pub fn open(root: &Path) -> Result<Registry> {
        let models = fs::read_dir(root.join(MODELS)).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = models.map(|entry| entry.path()).filter(|path| path.join(META).is_file()).collect();
        ensure!(folders.len() == 1, "{}: expected one registered model, got {}", root.display(), folders.len());
        let folder = folders.remove(0);
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Registry { folder, name })
    }

    /// The model's name, as MLflow spells it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a version. `source` is the folder with its files, `tags` are pairs of key and value.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn add(&self, version: u32, source: &Path, description: &str, tags: &[(String, String)]) -> Result<()> {
        let folder = self.version(version);
        fs::create_dir_all(folder.join("tags")).with_context(|| format!("{}: cannot be created", folder.display()))?;
        tags.iter().try_for_each(|(key, value)| self.set_tag(version, key, value))?;
        let (now, source) = (now_ms().to_string(), quoted(&uri(&std::path::absolute(source)?)));
        write(
            &folder.join(META),
            &yaml(&[
                ("creation_timestamp", now.clone()),
                ("current_stage", quoted("None")),
                ("description", quoted(description)),
                ("last_updated_timestamp", now),
                ("name", quoted(&self.name)),
                ("run_id", "null".into()),
                ("run_link", "null".into()),
                ("source", source.clone()),
                ("status", "READY".into()),
                ("status_message", "null".into()),
                ("storage_location", source),
                ("user_id", "null".into()),
                ("version", version.to_string()),
            ]),
        )
    }

    fn version(&self, version: u32) -> PathBuf {
        self.folder.join(format!("version-{version}"))
    }

    /// Returns a tag of a version, if it is set.
    pub fn tag(&self, version: u32, key: &str) -> Option<String> {
        fs::read_to_string(self.version(version).join("tags").join(plain(key))).ok()
    }

    /// Sets a tag of a version.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn set_tag(&self, version: u32, key: &str, value: &str) -> Result<()> {
        write_atomically(&self.version(version).join("tags").join(plain(key)), value.as_bytes())
    }

    /// Returns the version that an alias points at, if it is set.
    pub fn alias(&self, alias: &str) -> Option<u32> {
        fs::read_to_string(self.alias_file(alias)).ok()?.trim().parse().ok()
    }

    /// Points an alias at a version; `None` removes it.
    ///
    /// # Errors
    /// A file that cannot be written or removed.
    pub fn set_alias(&self, alias: &str, version: Option<u32>) -> Result<()> {
        let file = self.alias_file(alias);
        match version {
            Some(version) => write_atomically(&file, version.to_string().as_bytes()),
            None if file.exists() => fs::remove_file(&file).with_context(|| format!("{}: cannot be removed", file.display())),
            None => Ok(()),
        }
    }

    fn alias_file(&self, alias: &str) -> PathBuf {
        self.folder.join("aliases").join(alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_tags_and_aliases() {
        let root = tempfile::tempdir().unwrap();
        assert!(Registry::open(root.path()).is_err());
        assert_eq!(Registry::create(root.path(), "films: a/b").unwrap().name(), "films__a_b");
        let registry = Registry::open(root.path()).unwrap();
        registry.add(1, &root.path().join("b"), "first", &[("gate".into(), "passed".into())]).unwrap();
        assert_eq!((registry.tag(1, "gate").as_deref(), registry.tag(1, "none")), (Some("passed"), None));
        assert_eq!(registry.alias("champion"), None);
        registry.set_alias("champion", Some(1)).unwrap();
        assert_eq!(registry.alias("champion"), Some(1));
        registry.set_alias("champion", None).unwrap();
        registry.set_alias("champion", None).unwrap();
        assert_eq!(registry.alias("champion"), None);
        let meta = fs::read_to_string(root.path().join("models/films__a_b/version-1/meta.yaml")).unwrap();
        assert!(meta.contains("\nversion: 1\n") && meta.contains("description: \"first\"") && meta.contains("status: READY"));
    }
}
