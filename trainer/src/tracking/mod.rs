//! Records of a training for the tools that people already have: TensorBoard's event files and MLflow's file store. Both appear while it runs.
//!
//! `tensorboard --logdir DIR/tensorboard`; `MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri DIR/mlruns`, or `mlflow migrate-filestore`
//! for a server: from version 3.13 on MLflow keeps the file store behind that variable.

mod mlflow;
mod registry;
mod tensorboard;

pub use registry::Registry;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use self::mlflow::Store;
use self::tensorboard::Events;

/// What a training is told apart by.
pub struct Subject<'a> {
    /// Name of the run.
    pub name: &'a str,
    /// Name of the data set.
    pub data: &'a str,
    /// Settings, seed, split and hash of the data.
    pub params: Vec<(String, String)>,
    /// Git revision.
    pub revision: Option<&'a str>,
}

/// Writes both; a training that ends without [`Tracker::finish`] is marked as failed.
pub struct Tracker {
    events: Events,
    store: Store,
}

impl Tracker {
    /// Begins `DIR/tensorboard/NAME/` and a run in `DIR/mlruns/`.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn start(folder: &Path, subject: &Subject) -> Result<Tracker> {
        let now = now_ms();
        Ok(Tracker {
            events: Events::create(&folder.join("tensorboard").join(subject.name), now)?,
            store: Store::create(&folder.join("mlruns"), subject, now)?,
        })
    }

    /// Adds the figures of a step.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn add(&mut self, step: u64, figures: &[(String, f64)]) -> Result<()> {
        let now = now_ms();
        self.events.add(now, step, figures)?;
        self.store.add(now, step, figures)
    }

    /// Ends the run with a file that describes it.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn finish(self, file: &Path) -> Result<()> {
        self.store.finish(file, now_ms())
    }
}

/// Milliseconds UTC.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
