//! What the ranker reads of the candidates of a request. The graph runs elsewhere; here raw values become its tensors.

use std::borrow::Cow;

use crate::bundle::{Bundle, RankerSpec, Rows, Source};
use crate::features::{Bag, ColumnEncoding, Encoding, Fields, Over, RowEvent, Shares, TITLE, Value, View};
use crate::model::TensorData;
use crate::model::signature::RankerInputs;

/// What is known of a visitor at the moment of a request.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// The kept events, oldest first.
    pub events: &'a [RowEvent],
    /// Values of context columns.
    pub context: &'a Fields,
    /// Milliseconds UTC of the request, if it states a time: events of that time and later do not count in views.
    pub time: Option<i64>,
    /// Minutes to add to UTC for local time.
    pub tz_offset_min: i32,
    /// Events of the tower's history before the cut to L.
    pub history_events: usize,
}

/// An item that the ranker looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Candidate {
    /// Its row.
    pub row: u32,
    /// The score that retrieval gives it, in logits.
    pub score: f32,
    /// What neighbours add to that score; `None` for an item that is no neighbour.
    pub sum: Option<f32>,
    /// Its place in retrieval, 1 for the best; one more than there are candidates for an item that is not among them.
    pub place: usize,
}

/// What is known of items: a bundle has it, and in training the data set as of the moment of an example.
pub trait ItemValues {
    /// Value of a row in a column; `None` if there is no such column.
    fn value(&self, column: &str, row: u32) -> Option<&Value>;

    /// Title of a row, if it has one: the value of the column [`TITLE`] if there is no such column.
    fn title(&self, row: u32) -> Option<&str>;

    /// Number of a view of items, counted by the slot of a context column, 0 if there is none; `None` if it is missing.
    fn counted(&self, view: usize, row: u32, slot: usize) -> Option<f64>;
}

impl ItemValues for Bundle {
    fn value(&self, column: &str, row: u32) -> Option<&Value> {
        self.catalog.value(column, row)
    }

    fn title(&self, row: u32) -> Option<&str> {
        self.catalog.title(row)
    }

    fn counted(&self, view: usize, row: u32, slot: usize) -> Option<f64> {
        self.features.as_ref().and_then(|features| features.value(view, row, slot))
    }
}

/// The ranker's inputs for one visitor at one moment: what does not depend on the candidate is computed once.
pub struct RankerReader<'a> {
    items: &'a dyn ItemValues,
    inputs: Vec<Input<'a>>,
    slots: usize,
}

/// An input of the ranker.
struct Input<'a> {
    column: &'a ColumnEncoding,
    /// First row of the column in the embedding table.
    offset: u32,
    value: Given<'a>,
    /// The view whose value it is, if it is one.
    view: Option<&'a View>,
}

/// Where the value of an input comes from.
enum Given<'a> {
    /// The same for all candidates.
    Fixed(Value),
    /// What retrieval says: one of the request's own sources.
    Retrieval(Source),
    /// The item's column of the same name.
    Item,
    /// A view of the visitor's events with items that share a value of a column with the candidate.
    Shares(&'a str, Shares),
    /// A view of the items' events by its number, and the slot of the context that it is counted by; `None` if the
    /// context has no value.
    Table(usize, Option<usize>),
    /// Two inputs before this one.
    Cross(usize, usize),
}

/// A number, or a missing value.
fn number(value: Option<f64>) -> Value {
    value.map_or(Value::Missing, Value::Number)
}

impl<'a> RankerReader<'a> {
    /// For a visitor. An input without a source counts as missing; the check of the manifest leaves none.
    pub fn new(items: &'a dyn ItemValues, encoding: &Encoding, spec: &'a RankerSpec, visitor: &Visitor) -> RankerReader<'a> {
        let mut offset = 0;
        let input = |(i, column): (usize, &'a ColumnEncoding)| {
            let source = spec.source(i, encoding);
            let view = match source {
                Some(Source::View(view)) => Some(&spec.views[view]),
                _ => None,
            };
            let value =
                source.map_or(Given::Fixed(Value::Missing), |source| given(items, encoding, spec, column, source, visitor));
            let input = Input { column, offset, value, view };
            offset += column.width() as u32;
            input
        };
        RankerReader { items, inputs: spec.inputs.iter().enumerate().map(input).collect(), slots: spec.slots() }
    }

    /// The raw value of an input for a candidate. That of a cross is missing.
    fn value(&self, input: &'a Input, candidate: &Candidate) -> Cow<'_, Value> {
        let Candidate { row, score, sum, place } = *candidate;
        Cow::Owned(match &input.value {
            Given::Fixed(value) => return Cow::Borrowed(value),
            Given::Item => match (self.items.value(&input.column.name, row), self.items.title(row)) {
                (Some(value), _) => return Cow::Borrowed(value),
                (None, Some(title)) if input.column.name == TITLE => Value::Text(title.into()),
                _ => Value::Missing,
            },
            Given::Retrieval(Source::Score) => Value::Number(score.into()),
            Given::Retrieval(Source::Neighbours) => Value::Number(sum.unwrap_or(0.0).into()),
            Given::Retrieval(Source::Place) => Value::Number(libm::log(1.0 + place as f64)),
            Given::Retrieval(_) => Value::Text(if sum.is_some() { "neighbours" } else { "towers" }.into()),
            Given::Shares(column, shares) => number(shares.value(self.items.value(column, row))),
            Given::Table(view, slot) => number(slot.and_then(|slot| self.items.counted(*view, row, slot))),
            Given::Cross(..) => Value::Missing,
        })
    }

    /// The raw values, by name and without missing ones: with a row those of its inputs that neither retrieval gives
    /// nor a cross, without one those that are the same for all candidates.
    pub fn values(&'a self, row: Option<u32>) -> Fields {
        let is_asked = |input: &&'a Input| match input.value {
            Given::Fixed(_) => row.is_none(),
            Given::Retrieval(_) | Given::Cross(..) => false,
            _ => row.is_some(),
        };
        let candidate = Candidate { row: row.unwrap_or_default(), ..Candidate::default() };
        let mut values = Fields::new();
        for input in self.inputs.iter().filter(is_asked) {
            match self.value(input, &candidate).into_owned() {
                Value::Missing => {}
                value => _ = values.insert(input.column.name.clone(), value),
            }
        }
        values
    }

    /// The slots and weights of a candidate, at most R.
    pub fn bag(&'a self, candidate: &Candidate) -> Bag {
        let mut bag = Bag::new();
        let mut ends = Vec::with_capacity(self.inputs.len());
        for input in &self.inputs {
            if let Given::Cross(a, b) = input.value {
                let plain = |at: usize| {
                    let (of, from) = (&self.inputs[at], if at == 0 { 0 } else { ends[at - 1] });
                    let slots = bag[from..ends[at]].iter().map(|(slot, _)| slot - of.offset);
                    slots.filter(|slot| (*slot as usize) < of.column.plain_slots()).collect::<Vec<u32>>()
                };
                let (a, b) = (plain(a), plain(b));
                input.column.cross(&a, &b, input.offset, &mut bag);
            } else {
                let value = self.value(input, candidate);
                match (input.view, value.as_ref()) {
                    (Some(view), Value::Number(x)) => {
                        input.column.encode(&Value::Number(view.scaled(*x)), input.offset, &mut bag);
                    }
                    (_, value) => input.column.encode(value, input.offset, &mut bag),
                }
            }
            ends.push(bag.len());
        }
        bag
    }

    /// The ranker's inputs for some candidates: a batch, which the caller pads. `user` is the visitor's vector `[d]`,
    /// `rows` has those of the items.
    pub fn tensors(&'a self, rows: &Rows, user: &[f32], candidates: &[Candidate]) -> RankerInputs<TensorData> {
        let (n, d) = (candidates.len(), user.len());
        let (mut items, mut slots, mut weights) = (vec![0.0; n * d], vec![0; n * self.slots], vec![0.0; n * self.slots]);
        for (i, candidate) in candidates.iter().enumerate() {
            rows.vector_into(candidate.row, &mut items[i * d..][..d]);
            for (j, (slot, weight)) in self.bag(candidate).into_iter().take(self.slots).enumerate() {
                slots[i * self.slots + j] = i64::from(slot);
                weights[i * self.slots + j] = weight;
            }
        }
        RankerInputs {
            user: TensorData::F32(user.repeat(n)),
            item: TensorData::F32(items),
            slots: TensorData::I64(slots),
            weights: TensorData::F32(weights),
        }
    }
}

/// What an input reads for a visitor.
fn given<'a>(
    items: &'a dyn ItemValues,
    encoding: &Encoding,
    spec: &'a RankerSpec,
    column: &ColumnEncoding,
    source: Source,
    visitor: &Visitor,
) -> Given<'a> {
    let Visitor { events, time, .. } = *visitor;
    match source {
        Source::Item => Given::Item,
        Source::Cross(a, b) => Given::Cross(a, b),
        Source::Context(at) => Given::Fixed(of_context(&encoding.context[at], visitor)),
        Source::Derived => Given::Fixed(derived(column, visitor)),
        Source::View(at) => {
            let view = &spec.views[at];
            match &view.of {
                Over::User => Given::Fixed(number(view.value(&encoding.history, events, time))),
                Over::UserColumn(name) => {
                    let value_of = |row| items.value(name, row);
                    Given::Shares(name, view.shares(&encoding.history, events, time, value_of))
                }
                Over::Item => Given::Table(at, Some(0)),
                Over::ItemContext(name) => Given::Table(at, context_slot(encoding, name, visitor)),
            }
        }
        own => Given::Retrieval(own),
    }
}

/// The value of a context column: the given one, or for a derived column that is not given the derived one.
fn of_context(column: &ColumnEncoding, visitor: &Visitor) -> Value {
    match visitor.context.get(&column.name) {
        Some(value) => value.clone(),
        None => derived(column, visitor),
    }
}

fn derived(column: &ColumnEncoding, visitor: &Visitor) -> Value {
    let time = visitor.time.or(visitor.events.last().and_then(|event| event.time));
    column.derive(time, visitor.tz_offset_min, visitor.history_events)
}

/// The slot of the value of a context column.
fn context_slot(encoding: &Encoding, name: &str, visitor: &Visitor) -> Option<usize> {
    let column = encoding.context.iter().find(|column| column.name == name)?;
    let mut bag = Bag::new();
    column.encode(&of_context(column, visitor), 0, &mut bag);
    bag.first().map(|(slot, _)| *slot as usize)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::bundle::testing::ranked_bundle;

    const DAY: i64 = 86_400_000;

    fn reader<'a>(bundle: &'a Bundle, context: &Fields, time: Option<i64>) -> RankerReader<'a> {
        let event = |row: u32, kind: &str, day: i64| RowEvent {
            row: Some(row),
            kind: bundle.manifest.encoding.history.type_place(kind),
            value: None,
            time: Some(day * DAY),
        };
        let events = [event(1, "like", 1), event(2, "rate", 2), event(0, "like", 3), event(1, "like", 9)];
        let visitor = Visitor { events: &events, context, time, tz_offset_min: 120, history_events: 4 };
        RankerReader::new(bundle, &bundle.manifest.encoding, bundle.manifest.ranker.as_ref().unwrap(), &visitor)
    }

    fn regular() -> Fields {
        Fields::from([("segment".into(), Value::Text("regular".into()))])
    }

    /// The inputs of the second item, `The Great Holiday`, at six in the morning of the fourth day, eight local time.
    /// Its tags are those of the third item.
    #[test]
    fn every_input_is_read_from_its_source() {
        let (bundle, context) = (ranked_bundle(), regular());
        let reader = reader(&bundle, &context, Some(3 * DAY + DAY / 4));
        let alike = libm::exp2(-2.25) + libm::exp2(-1.25);
        let numbers = |pairs: &[(&str, f64)]| pairs.iter().map(|(name, x)| (name.to_string(), Value::Number(*x))).collect();
        let mut own: Fields = numbers(&[("alike", alike), ("shown", 1.0), ("hourly", f64::from(8.0f32 / 24.0))]);
        let columns = ["tags", "title"].map(|name| (name.to_string(), reader.value(reader.input(name), &of(1)).into_owned()));
        own.extend(columns);
        assert_eq!(reader.values(Some(1)), own);
        assert_eq!(own["title"], Value::Text("The Great Holiday".into()));
        let mut fixed: Fields = numbers(&[("likes", 2.0), ("day", 8.0 / 24.0)]);
        fixed.extend(regular());
        assert_eq!(reader.values(None), fixed);
        // The eighth item was not counted, and the seventh slot of an item in five neither.
        assert!(!reader.values(Some(7)).contains_key("shown") && !reader.values(Some(8)).contains_key("hourly"));

        let bag = reader.bag(&Candidate { score: 0.5, sum: None, place: 3, ..of(1) });
        let ln = libm::log;
        let expected: [(u32, f64); 19] = [
            (2, 1.0),
            (4, 0.0),
            (6, 1.0),
            (7, 0.0),
            (8, 1.0),
            (11, ln(4.0) - 2.0),
            (13, 1.0),
            (17, 1.0),
            (18, ln(3.0) - 1.0),
            (19, 1.0),
            (21, (ln(1.0 + alike) - 0.5) / 0.5),
            (22, 1.0),
            (25, ln(2.0) - 3.0),
            (26, 1.0),
            (28, (8.0 / 24.0 - 0.5) / 0.2),
            (31, 1.0),
            (49, 1.0),
            (51, libm::sqrt(0.75)),
            (52, -0.5),
        ];
        // Three words of the title, each in one of sixteen buckets, and the cross.
        let (hashed, plain): (Bag, Bag) = bag.iter().partition(|(slot, _)| (32..48).contains(slot) || *slot >= 53);
        assert_eq!(plain.len(), expected.len(), "{plain:?}");
        for ((slot, weight), (at, x)) in plain.iter().zip(expected) {
            assert!(*slot == at && (f64::from(*weight) - x).abs() < 1e-6, "{slot} {weight}, expected {at} {x}");
        }
        let squares: f32 = hashed.iter().map(|(_, weight)| weight * weight).sum();
        assert!((squares - 2.0).abs() < 1e-6 && hashed.last().is_some_and(|(slot, weight)| *slot < 61 && *weight == 1.0));

        // A neighbour has another source and its sum.
        let neighbour = reader.bag(&Candidate { score: 0.5, sum: Some(-0.5), place: 3, ..of(1) });
        assert_eq!([&neighbour[2..4], &neighbour[6..7]].concat(), [(5, 1.0), (7, -1.0), (12, 1.0)]);
    }

    fn of(row: u32) -> Candidate {
        Candidate { row, ..Candidate::default() }
    }

    impl<'a> RankerReader<'a> {
        fn input(&'a self, name: &str) -> &'a Input<'a> {
            self.inputs.iter().find(|input| input.column.name == name).unwrap()
        }
    }

    /// Without a time all events count, and the day is that of the last one. Without a segment there is no cross.
    #[test]
    fn what_is_missing_gives_no_slot() {
        let (bundle, context) = (ranked_bundle(), Fields::new());
        let reader = reader(&bundle, &context, None);
        let fixed = Fields::from([("likes".into(), Value::Number(3.0)), ("day".into(), Value::Number(2.0 / 24.0))]);
        assert_eq!(reader.values(None), fixed);
        assert!(reader.bag(&of(1)).iter().all(|(slot, _)| *slot < 48 || (51..53).contains(slot)));
    }

    #[test]
    fn a_batch_is_the_candidates_one_by_one() {
        let (bundle, context) = (ranked_bundle(), regular());
        let reader = reader(&bundle, &context, Some(3 * DAY));
        let user: Vec<f32> = (0..16).map(|i| i as f32).collect();
        let candidates: Vec<Candidate> = (0..60).map(|row| Candidate { place: row as usize, ..of(row) }).collect();
        let joined = |parts: Vec<TensorData>| {
            parts.into_iter().fold((Vec::new(), Vec::new()), |mut all: (Vec<f32>, Vec<i64>), part| {
                match part {
                    TensorData::F32(data) => all.0.extend(data),
                    TensorData::I64(data) => all.1.extend(data),
                }
                all
            })
        };
        let single: Vec<RankerInputs<TensorData>> =
            candidates.iter().map(|c| reader.tensors(&bundle.rows, &user, &[*c])).collect();
        let all = reader.tensors(&bundle.rows, &user, &candidates);
        let of =
            |pick: fn(&RankerInputs<TensorData>) -> &TensorData| joined(single.iter().map(|one| pick(one).clone()).collect());
        assert_eq!(joined(vec![all.user.clone()]), of(|one| &one.user));
        assert_eq!(joined(vec![all.item.clone()]), of(|one| &one.item));
        assert_eq!(joined(vec![all.slots.clone()]), of(|one| &one.slots));
        assert_eq!(joined(vec![all.weights.clone()]), of(|one| &one.weights));
        let TensorData::I64(slots) = &all.slots else { panic!("slots are whole numbers") };
        assert_eq!(slots.len(), 60 * bundle.manifest.shapes().ranker);
    }
}
