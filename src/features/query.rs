//! A request as the user tower reads it.

use serde::{Deserialize, Serialize};

use super::{EncodedHistory, Encoding, Fields, Slots};
use crate::error::Result;
use crate::profile::Event;

/// A visitor's state as the tower is asked about it.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Events, oldest first.
    pub history: &'a [Event],
    /// Values of context columns.
    pub context: &'a Fields,
    /// Milliseconds UTC; absent: the time of the last event.
    pub time: Option<i64>,
    /// Minutes to add to UTC; absent: that of the last event, else 0.
    pub tz_offset_min: Option<i32>,
}

/// The numbers that the user tower reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedQuery {
    /// The history, newest first.
    pub history: EncodedHistory,
    /// The request.
    pub context: Slots,
}

impl Encoding {
    /// Encodes a query; `row_of` names the catalog row of an item.
    ///
    /// # Errors
    /// `unknown-key` for a context column that the encoding does not have.
    pub fn encode_query(&self, query: &Query, row_of: impl Fn(&str) -> Option<u32>) -> Result<EncodedQuery> {
        let last = query.history.last();
        let time = query.time.or(last.and_then(|e| e.time));
        let offset = query.tz_offset_min.or(last.and_then(|e| e.tz_offset_min)).unwrap_or(0);
        let history = self.encode_history(query.history, row_of);
        let context = self.encode_context(query.context, time, offset, history.events)?;
        Ok(EncodedQuery { history, context })
    }
}
