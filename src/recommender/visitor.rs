//! Where names become numbers: the item and the type of each event are looked up here, once a request.

use super::Recommender;
use crate::error::Result;
use crate::features::{EncodedState, Fields, RowEvent};
use crate::profile::Event;

/// What a slate is computed from: a visitor's history and the context of a request.
#[derive(Debug, Clone, Copy)]
pub struct VisitorState<'a> {
    /// Events, oldest first.
    pub history: &'a [Event],
    /// Values of context columns.
    pub context: &'a Fields,
    /// Milliseconds UTC of the request; absent: the time of the last event.
    pub time: Option<i64>,
    /// Minutes to add to UTC for local time; absent: the offset of the last event, else 0.
    pub tz_offset_min: Option<i32>,
}

impl Recommender {
    /// Encodes a visitor's state.
    ///
    /// # Errors
    /// `unknown-key` for a context column that the bundle does not have.
    pub fn encode(&self, state: &VisitorState) -> Result<EncodedState> {
        self.encode_events(state, &self.resolve(state.history))
    }

    /// Same as [`Recommender::encode`], for a history that [`Recommender::resolve`] has looked up.
    pub(super) fn encode_events(&self, state: &VisitorState, events: &[RowEvent]) -> Result<EncodedState> {
        let offset = state.tz_offset_min.or(state.history.last().and_then(|e| e.tz_offset_min)).unwrap_or(0);
        self.bundle.manifest.encoding.encode_state(events, state.context, state.time, offset)
    }

    /// Looks up the item and the type of each event.
    pub(super) fn resolve(&self, events: &[Event]) -> Vec<RowEvent> {
        let (catalog, types) = (&self.bundle.catalog, &self.bundle.manifest.encoding.history);
        let event =
            |e: &Event| RowEvent { row: catalog.row(&e.item), kind: types.type_place(&e.kind), value: e.value, time: e.time };
        events.iter().map(event).collect()
    }

    /// Rows that must not be shown again: of seen and hidden items, and of the `exclude` ids. A type that the bundle
    /// does not declare counts as seen. Rows may be there twice.
    pub(super) fn removed(&self, events: &[RowEvent], exclude: &[String]) -> Vec<u32> {
        let history = &self.bundle.manifest.encoding.history;
        let seen = events.iter().filter(|e| history.declared(e.kind).is_none_or(|t| t.seen || t.hide)).map(|e| e.row);
        seen.chain(exclude.iter().map(|id| self.bundle.catalog.row(id))).flatten().collect()
    }
}
