//! A visitor's event.

use serde::{Deserialize, Serialize};

/// What the visitor did with an item. As JSON: `{ id, item, type, value?, time?, tz_offset_min?, slate? }`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Id of the event itself. The profile gives one if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Item id.
    pub item: String,
    /// Name of the type: one of the bundle's types, or any other.
    #[serde(rename = "type")]
    pub kind: String,
    /// A finite number, such as a rating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Milliseconds UTC. Without it the features of time are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Minutes to add to UTC for local time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz_offset_min: Option<i32>,
    /// Id of the slate that showed the item. It joins the event to the logged propensity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slate: Option<String>,
}
