//! MLflow's model registry in its file store: `models/NAME/` with a folder a version, and a file an alias.
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
    /// Registers a model in the store `root`.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn create(root: &Path, name: &str) -> Result<Registry> {
        // MLflow takes neither `/` nor `:`, and a dot alone is no folder.
        let name = format!("{}{}", if name.is_empty() || name.starts_with('.') { "model" } else { "" }, plain(name));
        let folder = root.join(MODELS).join(&name);
        fs::create_dir_all(folder.join("aliases")).with_context(|| format!("{}: cannot be made", folder.display()))?;
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

    /// The one model of a store.
    ///
    /// # Errors
    /// None there, or several.
    pub fn open(root: &Path) -> Result<Registry> {
        let models = fs::read_dir(root.join(MODELS)).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = models.map(|entry| entry.path()).filter(|path| path.join(META).is_file()).collect();
        ensure!(folders.len() == 1, "{}: {} registered models, one expected", root.display(), folders.len());
        let folder = folders.remove(0);
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Registry { folder, name })
    }

    /// Name of the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a version whose files lie in the folder `source`.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn add(&self, version: u32, source: &Path, description: &str, tags: &[(String, String)]) -> Result<()> {
        let folder = self.version(version);
        fs::create_dir_all(folder.join("tags")).with_context(|| format!("{}: cannot be made", folder.display()))?;
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

    /// A tag of a version.
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

    /// The version of an alias.
    pub fn alias(&self, alias: &str) -> Option<u32> {
        fs::read_to_string(self.alias_file(alias)).ok()?.trim().parse().ok()
    }

    /// Moves an alias, or takes it away.
    ///
    /// # Errors
    /// A file that cannot be written.
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
