//! The logs that verbs take.

use std::path::PathBuf;

use anyhow::Result;
use foretaste_trainer::log::{Logs, Rewards, read};

/// Reads the logs of visitors, with the warnings that every verb gives. `most_bad` is that of [`read`].
///
/// # Errors
/// Those of [`read`].
pub fn visitors(files: &[PathBuf], most_bad: f64) -> Result<Logs> {
    let mut logs = read(files, most_bad)?;
    let unanswered = logs.unanswered();
    logs.warnings.extend(unanswered);
    Ok(logs)
}

/// Adds the warning of rewards whose type no event of the logs has. `flag` is the argument that names them.
pub fn check_rewards(logs: &mut Logs, flag: &str, rewards: &Rewards) {
    let unmet = logs.without_type(rewards).map(|unmet| format!("{flag}: {unmet}"));
    logs.warnings.extend(unmet);
}
