//! Settings of a training: the TOML of `--config`.

use serde::{Deserialize, Serialize};

/// Settings. Unknown keys are refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

impl Config {
    /// Reads a TOML file; without one the defaults.
    pub fn read(_file: Option<&std::path::Path>) -> anyhow::Result<Config> {
        Ok(Config::default())
    }
}
