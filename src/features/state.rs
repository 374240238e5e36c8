//! A visitor's state as the user tower reads it.

use serde::{Deserialize, Serialize};

use super::{Bag, EncodedHistory, Encoding, Fields, RowEvent};
use crate::error::Result;

/// The numbers that the user tower reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedState {
    /// The history, newest first.
    pub history: EncodedHistory,
    /// The context columns.
    pub context: Bag,
}

impl Encoding {
    /// Encodes a history, oldest first, and the values of context columns.
    ///
    /// `time` is that of the request in milliseconds UTC; absent: the time of the last event, whether or not its item
    /// is known. `tz_offset_min` are the minutes to add to UTC for local time.
    ///
    /// # Errors
    /// `unknown-key` for a context column that the encoding does not have.
    pub fn encode_state(
        &self,
        history: &[RowEvent],
        context: &Fields,
        time: Option<i64>,
        tz_offset_min: i32,
    ) -> Result<EncodedState> {
        let time = time.or(history.last().and_then(|e| e.time));
        let spec = &self.history;
        let history = spec.encode(history, &spec.kept(history, spec.cap), spec.len);
        let context = self.encode_context(context, time, tz_offset_min, history.events)?;
        Ok(EncodedState { history, context })
    }
}
