//! Golden rows: raw input, what it is encoded to, what the tower gives, what is recommended. The trainer writes them; native code,
//! WASM and the npm package replay them.

use serde::{Deserialize, Serialize};

use crate::features::Fields;
use crate::profile::Event;

/// A visitor as raw input.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenInput {
    /// Events, oldest first.
    pub history: Vec<Event>,
    /// Values of context columns.
    pub context: Fields,
    /// Milliseconds UTC of the request; absent: the time of the last event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Minutes to add to UTC; absent: that of the last event, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz_offset_min: Option<i32>,
}
