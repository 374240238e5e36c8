//! Records a training for TensorBoard (event files) and MLflow (file store). Both are written while the training runs.
//!
//! To look at them: `tensorboard --logdir DIR/tensorboard`, and
//! `MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri DIR/mlruns`. MLflow needs that variable from version
//! 3.13 on. `mlflow migrate-filestore` copies the store to a server.

mod mlflow;
mod registry;
mod tensorboard;

pub use registry::Registry;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use self::mlflow::Store;
use self::tensorboard::Events;

/// Names and settings that identify a training in the records.
pub struct Subject<'a> {
    /// Name of the run.
    pub name: &'a str,
    /// Name of the data set.
    pub data: &'a str,
    /// Settings, seed, split and hash of the data.
    pub params: Vec<(String, String)>,
    /// Git revision of the working folder, if it has one.
    pub revision: Option<&'a str>,
}

/// Writes both records. A training that ends without [`Tracker::finish`] is marked as failed.
pub struct Tracker {
    events: Events,
    store: Store,
}

impl Tracker {
    /// Starts the event file in `DIR/tensorboard/NAME/` and a run in `DIR/mlruns/`, where DIR is `folder`.
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

    /// Adds named figures at a step. Both tools record the time of the call too.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn add(&mut self, step: u64, figures: &[(String, f64)]) -> Result<()> {
        let now = now_ms();
        self.events.add(now, step, figures)?;
        self.store.add(now, step, figures)
    }

    /// Marks the run as finished and copies `file`, which describes it, to MLflow's artifacts.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn finish(self, file: &Path) -> Result<()> {
        self.store.finish(file, now_ms())
    }
}

/// The current time in Unix milliseconds.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
