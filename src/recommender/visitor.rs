//! Where names become numbers: the item and the type of each event are looked up here, once a request.

use serde::Serialize;

use super::Recommender;
use crate::error::Result;
use crate::features::{EncodedState, Fields, RowEvent};
use crate::profile::Event;
use crate::rank::Visitor;
use crate::request::Request;
use crate::retrieve::Bitmap;

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

/// Raw values that the ranker reads, by name. A missing value has no name here.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureValues {
    /// Those that are the same for all items: of the visitor and of the context.
    pub visitor: Fields,
    /// Those of each item, in the order asked for.
    pub items: Vec<Fields>,
}

/// A visitor as a request finds them.
pub(super) struct Known {
    /// The kept events with their names resolved, oldest first.
    pub events: Vec<RowEvent>,
    /// What the user tower reads.
    pub encoded: EncodedState,
    /// Minutes to local time.
    pub tz_offset_min: i32,
}

impl Known {
    /// What the ranker reads of the visitor. `time` is that of the request, if it states one.
    pub fn visitor<'a>(&'a self, context: &'a Fields, time: Option<i64>) -> Visitor<'a> {
        Visitor {
            events: &self.events,
            context,
            time,
            tz_offset_min: self.tz_offset_min,
            history_events: self.encoded.history.events,
        }
    }
}

impl VisitorState<'_> {
    /// Minutes to local time.
    fn offset(&self) -> i32 {
        self.tz_offset_min.or(self.history.last().and_then(|e| e.tz_offset_min)).unwrap_or(0)
    }
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
        self.bundle.manifest.encoding.encode_state(events, state.context, state.time, state.offset())
    }

    /// Looks up and encodes a visitor's state.
    pub(super) fn known(&self, state: &VisitorState) -> Result<Known> {
        let events = self.resolve(state.history);
        let encoded = self.encode_events(state, &events)?;
        Ok(Known { events, encoded, tz_offset_min: state.offset() })
    }

    /// The raw values that the ranker reads of a visitor and of some items; none if the bundle has no ranker. What
    /// retrieval says of an item is not among them. Needs no model.
    ///
    /// # Errors
    /// `unknown-item`; `unknown-key` for a context column that the bundle does not have; `missing` before the values of
    /// items are there.
    pub fn feature_values(&self, state: &VisitorState, ids: &[String]) -> Result<FeatureValues> {
        let rows: Vec<u32> = ids.iter().map(|id| self.row(id)).collect::<Result<_>>()?;
        let known = self.known(state)?;
        let Some(ranker) = self.ranker_for(&Request::default())? else {
            return Ok(FeatureValues { visitor: Fields::new(), items: vec![Fields::new(); rows.len()] });
        };
        let reader = self.reader(ranker, &known.visitor(state.context, state.time));
        let items = rows.into_iter().map(|row| reader.values(Some(row))).collect();
        Ok(FeatureValues { visitor: reader.values(None), items })
    }

    /// Looks up the item and the type of each event.
    pub(super) fn resolve(&self, events: &[Event]) -> Vec<RowEvent> {
        let (catalog, types) = (&self.bundle.catalog, &self.bundle.manifest.encoding.history);
        let event =
            |e: &Event| RowEvent { row: catalog.row(&e.item), kind: types.type_place(&e.kind), value: e.value, time: e.time };
        events.iter().map(event).collect()
    }

    /// Rows that may be shown: all but the [`Recommender::removed`] ones.
    pub(super) fn allowed(&self, events: &[RowEvent], exclude: &[String]) -> Bitmap {
        Bitmap::without(self.bundle.manifest.items, &self.removed(events, exclude))
    }

    /// Rows that must not be shown again: of seen and hidden items, and of the `exclude` ids. A type that the bundle
    /// does not declare counts as seen. Rows may be there twice.
    pub(super) fn removed(&self, events: &[RowEvent], exclude: &[String]) -> Vec<u32> {
        let history = &self.bundle.manifest.encoding.history;
        let seen = events.iter().filter(|e| history.declared(e.kind).is_none_or(|t| t.seen || t.hide)).map(|e| e.row);
        seen.chain(exclude.iter().map(|id| self.bundle.catalog.row(id))).flatten().collect()
    }
}
