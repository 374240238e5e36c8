//! MLflow's file store: a folder `EXPERIMENT/RUN/` with `meta.yaml` and one file for each metric, parameter and tag.
//! <https://mlflow.org/docs/latest/tracking/backend-stores>

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use foretaste::bundle::sha256_hex;

use super::{Subject, now_ms};

/// Status of a run, with MLflow's numbers.
#[derive(Clone, Copy)]
enum Status {
    Running = 1,
    Finished = 3,
    Failed = 4,
}

/// One run in the store. A run that is dropped before [`Store::finish`] is marked as failed.
pub(super) struct Store {
    folder: PathBuf,
    experiment: String,
    id: String,
    name: String,
    start: u64,
    metrics: BTreeSet<String>,
    is_over: bool,
}

impl Store {
    pub fn create(root: &Path, subject: &Subject, now: u64) -> Result<Store> {
        let root = std::path::absolute(root)?;
        // MLflow's own experiment ids have eighteen digits. Runs on equal data belong to one experiment.
        let digits: String = sha256_hex(subject.data.as_bytes()).bytes().map(|b| char::from(b'0' + b % 10)).collect();
        let experiment = format!("9{}", &digits[..17]);
        let id = sha256_hex(format!("{} {} {now}", subject.name, std::process::id()).as_bytes())[..32].to_owned();
        let folder = root.join(&experiment).join(&id);
        for part in ["metrics", "params", "tags", "artifacts"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("{}: cannot be made", folder.display()))?;
        }
        let meta = root.join(&experiment).join("meta.yaml");
        if !meta.exists() {
            write(
                &meta,
                &yaml(&[
                    ("artifact_location", quoted(&uri(&root.join(&experiment)))),
                    ("creation_time", now.to_string()),
                    ("experiment_id", quoted(&experiment)),
                    ("last_update_time", now.to_string()),
                    ("lifecycle_stage", "active".into()),
                    ("name", quoted(subject.data)),
                ]),
            )?;
        }
        let store =
            Store { folder, experiment, id, name: subject.name.into(), start: now, metrics: BTreeSet::new(), is_over: false };
        for (name, value) in &subject.params {
            write(&store.folder.join("params").join(plain(name)), value)?;
        }
        let mut tags = vec![
            ("mlflow.runName", subject.name),
            ("mlflow.user", "foretaste"),
            ("mlflow.source.name", "foretaste train"),
            ("mlflow.source.type", "LOCAL"),
        ];
        tags.extend(subject.revision.map(|revision| ("mlflow.source.git.commit", revision)));
        for (name, value) in tags {
            write(&store.folder.join("tags").join(name), value)?;
        }
        store.write_meta(Status::Running, None)?;
        Ok(store)
    }

    pub fn add(&mut self, now: u64, step: u64, figures: &[(String, f64)]) -> Result<()> {
        for (name, value) in figures {
            let path = self.folder.join("metrics").join(plain(name));
            let mut options = fs::OpenOptions::new();
            let file = if self.metrics.insert(name.clone()) { options.create(true).write(true) } else { options.append(true) };
            let line = format!("{now} {value} {step}\n");
            let written = file.open(&path).and_then(|mut file| file.write_all(line.as_bytes()));
            written.with_context(|| format!("{}: cannot be written", path.display()))?;
        }
        Ok(())
    }

    pub fn finish(mut self, file: &Path, now: u64) -> Result<()> {
        self.is_over = true;
        if let Some(name) = file.file_name() {
            fs::copy(file, self.folder.join("artifacts").join(name)).with_context(|| format!("{}", file.display()))?;
        }
        self.write_meta(Status::Finished, Some(now))
    }

    fn write_meta(&self, status: Status, end: Option<u64>) -> Result<()> {
        write(
            &self.folder.join("meta.yaml"),
            &yaml(&[
                ("artifact_uri", quoted(&uri(&self.folder.join("artifacts")))),
                ("end_time", end.map_or("null".into(), |end| end.to_string())),
                ("entry_point_name", quoted("")),
                ("experiment_id", quoted(&self.experiment)),
                ("lifecycle_stage", "active".into()),
                ("run_id", quoted(&self.id)),
                ("run_name", quoted(&self.name)),
                ("run_uuid", quoted(&self.id)),
                ("source_name", quoted("")),
                ("source_type", "4".into()),
                ("source_version", quoted("")),
                ("start_time", self.start.to_string()),
                ("status", (status as i32).to_string()),
                ("tags", "[]".into()),
                ("user_id", quoted("foretaste")),
            ]),
        )
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.is_over {
            // An error here is ignored: the training already reports its own.
            _ = self.write_meta(Status::Failed, Some(now_ms()));
        }
    }
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))
}

pub(super) fn yaml(lines: &[(&str, String)]) -> String {
    lines.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
}

/// A text as a YAML string. JSON strings are valid YAML.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn uri(path: &Path) -> String {
    let kept = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b);
    let byte = |b: u8| if kept(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    format!("file://{}", path.to_string_lossy().bytes().map(byte).collect::<String>())
}

/// Spells a name with the characters that MLflow allows: `recall@20` becomes `recall_at_20`.
pub(super) fn plain(name: &str) -> String {
    let spelt = name.replace('@', "_at_");
    spelt.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_writes_metrics_params_tags_and_status() {
        let root = tempfile::tempdir().unwrap();
        let params = vec![("dim".to_owned(), "64".to_owned())];
        let subject = Subject { name: "run 1", data: "films: \"a\"", params, revision: Some("abc") };
        let mut store = Store::create(root.path(), &subject, 1000).unwrap();
        store.add(1500, 7, &[("recall@20".into(), 0.25)]).unwrap();
        store.add(1600, 9, &[("recall@20".into(), 0.5)]).unwrap();
        let folder = store.folder.clone();
        let read = |path: &str| fs::read_to_string(folder.join(path)).unwrap();
        assert_eq!(read("metrics/recall_at_20"), "1500 0.25 7\n1600 0.5 9\n");
        assert_eq!((read("params/dim"), read("tags/mlflow.source.git.commit")), ("64".into(), "abc".into()));
        assert!(read("meta.yaml").contains("\nstatus: 1\n") && read("meta.yaml").contains("end_time: null"));
        let meta = fs::read_to_string(folder.parent().unwrap().join("meta.yaml")).unwrap();
        assert!(meta.contains(r#"name: "films: \"a\"""#), "{meta}");
        drop(store);
        assert!(read("meta.yaml").contains("\nstatus: 4\n"), "a dropped run has failed");

        let card = root.path().join("run.json");
        fs::write(&card, "{}").unwrap();
        let again = Store::create(root.path(), &subject, 2000).unwrap();
        let folder = again.folder.clone();
        again.finish(&card, 2500).unwrap();
        let meta = fs::read_to_string(folder.join("meta.yaml")).unwrap();
        assert!(meta.contains("\nstatus: 3\n") && meta.contains("end_time: 2500"));
        assert_eq!(fs::read_to_string(folder.join("artifacts/run.json")).unwrap(), "{}");
    }

    #[test]
    fn names_and_addresses_are_spelt_as_mlflow_wants() {
        assert_eq!((plain("next_hr@10"), plain("a/b:c")), ("next_hr_at_10".into(), "a_b_c".into()));
        assert_eq!(uri(Path::new("/a b/ü")), "file:///a%20b/%C3%BC");
    }
}
