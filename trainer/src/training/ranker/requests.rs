//! Requests for the ranker: what retrieval finds for a visitor, and what the page's reader makes of each candidate.

use std::collections::BTreeSet;

use anyhow::Result;
use foretaste::bundle::{NeighbourWeights, Neighbours, RankerSpec};
use foretaste::features::{Bag, ColumnEncoding, ColumnKind, Encoding, Fields, RowEvent, TITLE, Value, View};
use foretaste::rank::{Candidate, ItemValues, RankerReader, Visitor};
use foretaste::retrieve::Sums;

use super::super::encoding::number_column;
use super::super::row_events::RowEvents;
use super::super::validation::{outputs, scores};
use crate::data::{Dataset, DatasetEvent, context_of};
use crate::metrics;
use crate::ranker::ItemTables;
use crate::towers::{CatalogRows, SlotScale, UserTower};

/// Names of the inputs that every ranker has: the score of retrieval, what neighbours add to it, and ln(1 + the place
/// in its list).
pub const BUILT_IN: [&str; 3] = ["score", "neighbours", "place"];
/// A name that a ranker's input may have and this one's has not.
const RESERVED: &str = "source";

/// What finds candidates: the towers and neighbours of one training, with the views of the same events.
pub struct Retrieval<'a> {
    pub data: &'a Dataset,
    pub encoding: &'a Encoding,
    /// The scale of the context's slots.
    pub scale: &'a SlotScale,
    pub user: &'a UserTower,
    pub rows: &'a CatalogRows,
    pub neighbours: Option<(&'a Neighbours, &'a NeighbourWeights)>,
    /// All views, and the tables of those of items, in their order.
    pub views: &'a [View],
    pub tables: &'a ItemTables,
}

/// Up to when events count in views, in milliseconds UTC: events of that time and later do not. Without a time all of
/// them count.
///
/// The ages of the visitor's events are those at the last one that counts, as in a request of the page that states no
/// time: how long after it the label came is not known before the label.
#[derive(Clone, Copy)]
pub struct Moment {
    /// For the visitor's views.
    pub of_user: Option<i64>,
    /// For the items' views, whose ages are those at this moment.
    pub of_items: Option<i64>,
}

/// What retrieval says to a request.
pub struct Found<'a> {
    /// The visitor's vector: `[d]`.
    pub user: Vec<f32>,
    /// Of all rows, with the sums over neighbours.
    pub scores: Vec<f32>,
    /// The best candidates, best first.
    pub best: Vec<u32>,
    sums: Sums,
    /// Those that count in views.
    events: Vec<RowEvent>,
    context: Fields,
    history_events: usize,
    items: Items<'a>,
    encoding: &'a Encoding,
}

/// What is known of items at a moment.
pub struct Items<'a> {
    pub data: &'a Dataset,
    pub views: &'a [View],
    pub tables: &'a ItemTables,
    pub moment: Option<i64>,
}

impl ItemValues for Items<'_> {
    fn value(&self, column: &str, row: u32) -> Option<&Value> {
        // A catalog stores titles apart from its columns.
        let column = self.data.item_table.columns.iter().find(|c| c.name == column && column != TITLE)?;
        column.values.get(row as usize)
    }

    fn title(&self, row: u32) -> Option<&str> {
        self.data.titles[row as usize].as_deref()
    }

    fn counted(&self, view: usize, row: u32, slot: usize) -> Option<f64> {
        let table = self.views[..view].iter().filter(|view| !view.is_of_user()).count();
        // A bundle carries these values as f32.
        self.tables.value(table, row, slot, self.moment).map(|value| f64::from(value as f32))
    }
}

impl Retrieval<'_> {
    /// The `most` best candidates of `universe` without `removed`, for a visitor with the known events `history`.
    ///
    /// # Errors
    /// Context that the encoding does not know.
    pub fn find<'a>(
        &'a self,
        user: u32,
        history: &[DatasetEvent],
        moment: Moment,
        (universe, removed): (&[bool], &[u32]),
        most: usize,
    ) -> Result<Found<'a>> {
        let mut events = RowEvents::new(self.data, &self.encoding.history).of(history);
        let context = context_of(self.data, user as usize, self.encoding);
        let mut state = self.encoding.encode_state(&events, &context, None, 0)?;
        let history_events = state.history.events;
        self.scale.apply(&mut state.context);
        let [vector, _] = outputs(self.user, self.rows, &state);
        let mut scores = scores(self.rows, &vector);
        let sums = self.neighbours.map(|(neighbours, weights)| Sums::of(neighbours, weights, &state.history)).unwrap_or_default();
        sums.iter().for_each(|(row, sum)| scores[row as usize] += sum);
        let best = metrics::top(&scores, universe, removed, most);
        let items = Items { data: self.data, views: self.views, tables: self.tables, moment: moment.of_items };
        events.retain(|event| moment.of_user.is_none_or(|end| event.time.is_none_or(|time| time < end)));
        Ok(Found { user: vector, scores, best, sums, events, context, history_events, items, encoding: self.encoding })
    }
}

impl Found<'_> {
    /// The same request with more context.
    pub fn within(mut self, context: Fields) -> Self {
        self.context.extend(context);
        self
    }

    /// A row as the ranker looks at it, with its place among the candidates, from 0.
    pub fn candidate(&self, row: u32, place: usize) -> Candidate {
        Candidate { row, score: self.scores[row as usize], sum: self.sums.find(row), place: place + 1 }
    }

    /// The page's reader of this request.
    pub fn reader<'b>(&'b self, spec: &'b RankerSpec) -> RankerReader<'b> {
        let visitor = Visitor {
            events: &self.events,
            context: &self.context,
            time: None,
            tz_offset_min: 0,
            history_events: self.history_events,
        };
        RankerReader::new(&self.items, self.encoding, spec, &visitor)
    }

    /// The numbers of some candidates before they are encoded, NaN where one is missing: those of [`BUILT_IN`], then
    /// those of the views.
    pub fn numbers(&self, spec: &RankerSpec, candidates: &[Candidate]) -> Vec<Vec<f64>> {
        let reader = self.reader(spec);
        let fixed = reader.values(None);
        let numbers = |candidate: &Candidate| {
            let own = reader.values(Some(candidate.row));
            let of_view = |view: &View| {
                let value = own.get(&view.name).or_else(|| fixed.get(&view.name)).and_then(Value::number);
                value.map_or(f64::NAN, |value| view.scaled(value))
            };
            let retrieval = [candidate.score.into(), candidate.sum.unwrap_or(0.0).into(), libm::log1p(candidate.place as f64)];
            retrieval.into_iter().chain(spec.views.iter().map(of_view)).collect()
        };
        candidates.iter().map(numbers).collect()
    }

    /// The encoded inputs of some candidates.
    pub fn bags(&self, spec: &RankerSpec, candidates: &[Candidate]) -> Vec<Bag> {
        let reader = self.reader(spec);
        candidates.iter().map(|candidate| reader.bag(candidate)).collect()
    }
}

/// The inputs of a ranker before their numbers are fitted: [`BUILT_IN`], the views, the columns of items, and those of
/// requests. Vector columns are in the item's own vector already.
pub fn inputs(encoding: &Encoding, views: &[View]) -> Vec<ColumnEncoding> {
    let kind = ColumnKind::Number { edges: vec![], mean: 0.0, sd: 1.0 };
    let names = BUILT_IN.into_iter().chain(views.iter().map(|view| view.name.as_str()));
    let mut columns: Vec<ColumnEncoding> = names.map(|name| ColumnEncoding { name: name.into(), kind: kind.clone() }).collect();
    // Of several columns with one name the first is read.
    for column in encoding.items.iter().chain(&encoding.context) {
        let is_taken = column.name == RESERVED || columns.iter().any(|other| other.name == column.name);
        if !is_taken && !matches!(column.kind, ColumnKind::Vector { .. }) {
            columns.push(column.clone());
        }
    }
    columns
}

/// Fits the edges, means and deviations of the first inputs to the numbers of candidates. The score of retrieval is
/// never clipped there.
pub fn fit(inputs: &mut [ColumnEncoding], candidates: &[Vec<f64>]) {
    for i in 0..candidates.first().map_or(0, Vec::len) {
        let mut values: Vec<f64> = candidates.iter().map(|numbers| numbers[i]).filter(|x| x.is_finite()).collect();
        let Some(mut kind) = number_column(&mut values) else { continue };
        if let ColumnKind::Number { mean, sd, .. } = &mut kind
            && BUILT_IN[..2].contains(&inputs[i].name.as_str())
        {
            let farthest = values.iter().map(|x| (x - *mean).abs()).fold(0.0, f64::max);
            *sd = sd.max(farthest / 3.0);
        }
        inputs[i].kind = kind;
    }
}

/// The slot of the deviation of retrieval's score, which is the first input, and the deviation itself.
pub fn score(inputs: &[ColumnEncoding]) -> Option<(u32, f64)> {
    match &inputs.first()?.kind {
        ColumnKind::Number { edges, sd, .. } => Some((edges.len() as u32 + 1, *sd)),
        _ => None,
    }
}

/// The items of some events without `target`, ascending: what is no candidate for a visitor who takes `target` next.
pub fn removed(history: &[DatasetEvent], target: u32) -> Vec<u32> {
    let items: BTreeSet<u32> = history.iter().map(|event| event.item).filter(|item| *item != target).collect();
    items.into_iter().collect()
}
