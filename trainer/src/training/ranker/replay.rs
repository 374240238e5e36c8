//! Replays what visitors did, event by event: what the trainer reads of a visitor then, and what a page reads.
//!
//! The trainer makes its values from the numbers of a data set, the page from names in JSON, by profile and bundle.
//! Both end in the same code of the core; a replay shows that nothing before it differs.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use foretaste::bundle::{Bundle, Calibration, Head, RankerSpec};
use foretaste::features::{ColumnKind, Encoding};
use foretaste::profile::{Event, Profile};
use foretaste::rank::{RankerReader, Visitor};
use foretaste::{FeatureValues, Recommender, VisitorState};
use rayon::prelude::*;
use serde::Serialize;

use super::declared;
use super::requests::Items;
use crate::data::{Dataset, DatasetEvent, context_of, event_of, plain};
use crate::random::mix;
use crate::ranker::ItemTables;
use crate::training::row_events::RowEvents;

/// Visitors whose steps are in memory at a time.
const AT_A_TIME: usize = 64;
/// Differences that are named.
const NAMED: usize = 20;
/// Last steps of a planted way that are asked about, where it is long.
const LAST: usize = 60;
const DAY: i64 = 86_400;

/// The way of a visitor, step by step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Replayed {
    /// Id of the visitor, or the name of a planted way.
    pub visitor: String,
    /// Values of context columns.
    pub context: foretaste::features::Fields,
    /// What happens, and what is read after it.
    pub steps: Vec<Step>,
}

/// A step: something is recorded or removed, and then a page may ask for values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The event that is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Event>,
    /// The number of the step whose event is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remove: Option<usize>,
    /// The question, and the trainer's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// What is asked after a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Asked {
    /// Milliseconds UTC of the request, if it states a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// Candidates.
    pub ids: Vec<String>,
    /// What the trainer reads.
    pub values: FeatureValues,
}

/// What a replay has found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// Users of the data.
    pub visitors: usize,
    /// Ways with planted faults.
    pub planted: usize,
    /// Moments at which values were compared.
    pub moments: usize,
    /// Values that were compared.
    pub values: usize,
    /// Moments at which a value differs.
    pub differences: usize,
    /// Whether the bundle was made from this data.
    pub is_of_data: bool,
    /// The first of the differences, for people.
    pub named: Vec<String>,
}

/// What a ranker reads of the visitor alone: the views of items and what crosses them are left out. Without a ranker it
/// is what one would read of this data.
pub fn of_visitor(data: &Dataset, encoding: &Encoding, ranker: Option<&RankerSpec>) -> RankerSpec {
    let mut spec = ranker.cloned().unwrap_or_else(|| declared::spec(data, encoding));
    let of_items: Vec<String> = spec.views.iter().filter(|view| !view.is_of_user()).map(|view| view.name.clone()).collect();
    spec.views.retain(|view| view.is_of_user());
    let is_left = |name: &String| !of_items.contains(name);
    spec.inputs.retain(|input| match &input.kind {
        ColumnKind::Cross { of: (a, b), .. } => is_left(a) && is_left(b),
        _ => is_left(&input.name),
    });
    if spec.heads.is_empty() {
        spec.heads = vec![Head { name: "head".into(), weight: 1.0, calibration: Calibration::Platt(1.0, 0.0) }];
    }
    spec
}

/// Replays all users, and ways with planted faults, through a bundle of this data, and compares what the page reads
/// with what the trainer reads. `each` gets every way. Values are asked for after every `every`-th event.
///
/// # Errors
/// A bundle of other data; values that the core refuses; those of `each`.
pub fn replay(bundle: Bundle, data: &Dataset, every: usize, mut each: impl FnMut(&Replayed) -> Result<()>) -> Result<Outcome> {
    let mut bundle = bundle;
    if let Some(id) = data.items.iter().find(|id| bundle.catalog.row(id).is_none()) {
        anyhow::bail!("the bundle has no item `{}`: it was made from other data", plain(id));
    }
    let spec = of_visitor(data, &bundle.manifest.encoding, bundle.manifest.ranker.as_ref());
    let encoding = bundle.manifest.encoding.clone();
    spec.check(&encoding).context("what is declared does not fit the bundle")?;
    Arc::make_mut(&mut bundle.manifest).ranker = Some(spec.clone());
    let page = Recommender::new(bundle, Box::new(|| 0.0));
    let trainer = Trainer::new(data, &encoding, &spec, every);
    let users: Vec<usize> = (0..data.users.len()).collect();
    let is_of_data = page.bundle().manifest.trained_on.data_sha256 == data.sha256;
    let mut outcome = Outcome { visitors: users.len(), is_of_data, ..Outcome::default() };
    let mut compare = |way: &Replayed| -> Result<()> {
        page_of(&page, way, &mut outcome)?;
        each(way)
    };
    for users in users.chunks(AT_A_TIME) {
        let ways: Vec<Replayed> = users.par_iter().map(|user| trainer.way(*user)).collect::<Result<_>>()?;
        ways.iter().try_for_each(&mut compare)?;
    }
    let planted = trainer.planted()?;
    planted.iter().try_for_each(&mut compare)?;
    outcome.planted = planted.len();
    Ok(outcome)
}

/// Takes a way through a profile, and compares the values at each moment.
fn page_of(page: &Recommender, way: &Replayed, outcome: &mut Outcome) -> Result<()> {
    let mut profile = Profile::new(page.bundle().manifest.encoding.history.cap);
    let mut ids = Vec::with_capacity(way.steps.len());
    for (i, step) in way.steps.iter().enumerate() {
        let recorded = step.record.clone().map(|event| profile.record(event).map(|kept| kept.id.clone())).transpose()?;
        ids.push(recorded.flatten());
        if let Some(id) = step.remove.and_then(|at| ids[at].as_ref()) {
            profile.remove(id);
        }
        let Some(asked) = &step.asked else { continue };
        let state = VisitorState { history: profile.events(), context: &way.context, time: asked.time, tz_offset_min: None };
        let got = page.feature_values(&state, &asked.ids)?;
        outcome.moments += 1;
        outcome.values += asked.values.visitor.len() + asked.values.items.iter().map(|own| own.len()).sum::<usize>();
        if got != asked.values {
            outcome.differences += 1;
            if outcome.named.len() < NAMED {
                let expected = serde_json::to_string(&asked.values)?;
                let got = serde_json::to_string(&got)?;
                outcome.named.push(format!("{}, step {i}: expected {expected}, got {got}", plain(&way.visitor)));
            }
        }
    }
    Ok(())
}

/// An event as the trainer knows it, with the minutes to local time that a page adds.
#[derive(Clone, Copy)]
struct Known {
    event: DatasetEvent,
    tz_offset_min: i32,
    /// The step that recorded it.
    step: usize,
}

/// Something that happens to a visitor.
enum Doing {
    Record(DatasetEvent, i32),
    /// The number of a step.
    Remove(usize),
}

/// The trainer's reader.
struct Trainer<'a> {
    data: &'a Dataset,
    encoding: &'a Encoding,
    spec: &'a RankerSpec,
    tables: ItemTables,
    rows: RowEvents,
    every: usize,
}

impl<'a> Trainer<'a> {
    fn new(data: &'a Dataset, encoding: &'a Encoding, spec: &'a RankerSpec, every: usize) -> Trainer<'a> {
        let rows = RowEvents::new(data, &encoding.history);
        // There are no views of items.
        let tables = ItemTables::new(&[], &encoding.history, data.items.len(), |_| (1, vec![]));
        Trainer { data, encoding, spec, tables, rows, every }
    }

    /// The way of a user of the data.
    fn way(&self, user: usize) -> Result<Replayed> {
        let doings = self.data.history(user).iter().map(|event| Doing::Record(*event, 0));
        let every = self.every.max(1);
        self.walk(user, self.data.users[user].clone(), doings, |step, _| (step + 1).is_multiple_of(every))
    }

    /// What happens to a visitor, with the values after the steps that `is_asked` picks by step and number of steps.
    fn walk(
        &self,
        user: usize,
        visitor: String,
        doings: impl Iterator<Item = Doing>,
        is_asked: impl Fn(usize, usize) -> bool,
    ) -> Result<Replayed> {
        let doings: Vec<Doing> = doings.collect();
        let (mut known, mut steps): (Vec<Known>, Vec<Step>) = (Vec::new(), Vec::with_capacity(doings.len()));
        for (i, doing) in doings.iter().enumerate() {
            let mut step = Step { record: None, remove: None, asked: None };
            match doing {
                Doing::Record(event, tz_offset_min) => {
                    // The page keeps the last events alone.
                    if known.len() == self.encoding.history.cap {
                        known.remove(0);
                    }
                    known.push(Known { event: *event, tz_offset_min: *tz_offset_min, step: i });
                    step.record = Some(Event { tz_offset_min: Some(*tz_offset_min), ..event_of(self.data, event) });
                }
                Doing::Remove(at) => {
                    known.retain(|own| own.step != *at);
                    step.remove = Some(*at);
                }
            }
            if is_asked(i, doings.len()) {
                step.asked = Some(self.asked(user, &known, i, doings.get(i + 1))?);
            }
            steps.push(step);
        }
        Ok(Replayed { visitor, context: context_of(self.data, user, self.encoding), steps })
    }

    /// A question: in turn without a time, at the time of the last event, and days later; about the last item, the next
    /// one, and a drawn one.
    fn asked(&self, user: usize, known: &[Known], step: usize, next: Option<&Doing>) -> Result<Asked> {
        let last = known.last().map(|own| own.event);
        let time = last.and_then(|event| event.time).filter(|_| !step.is_multiple_of(3));
        let time = time.map(|t| if step % 3 == 1 { t } else { t + DAY * (step % 30) as i64 });
        let mut items: Vec<u32> = last.iter().map(|event| event.item).collect();
        items.extend(next.and_then(|next| if let Doing::Record(event, _) = next { Some(event.item) } else { None }));
        items.push((mix(mix(1, user as u64), step as u64) % self.data.items.len() as u64) as u32);
        let time = time.map(|t| t.saturating_mul(1000));
        let values = self.values(user, known, time, &items)?;
        Ok(Asked { time, ids: items.iter().map(|item| self.data.items[*item as usize].clone()).collect(), values })
    }

    fn values(&self, user: usize, known: &[Known], time: Option<i64>, items: &[u32]) -> Result<FeatureValues> {
        let events = self.rows.of(&known.iter().map(|own| own.event).collect::<Vec<_>>());
        let context = context_of(self.data, user, self.encoding);
        let tz_offset_min = known.last().map_or(0, |own| own.tz_offset_min);
        let history_events = self.encoding.encode_state(&events, &context, time, tz_offset_min)?.history.events;
        let of_items = Items { data: self.data, views: &self.spec.views, tables: &self.tables, moment: None };
        let visitor = Visitor { events: &events, context: &context, time, tz_offset_min, history_events };
        let reader = RankerReader::new(&of_items, self.encoding, self.spec, &visitor);
        Ok(FeatureValues { visitor: reader.values(None), items: items.iter().map(|item| reader.values(Some(*item))).collect() })
    }

    /// Ways with faults that a device may see: events out of order, the change to summer time, removals, more events
    /// than are kept, a clock that goes back. Each is made from the longest history of the data.
    fn planted(&self) -> Result<Vec<Replayed>> {
        let user = (0..self.data.users.len()).max_by_key(|user| self.data.history(*user).len()).unwrap_or(0);
        let own = self.data.history(user);
        ensure!(!own.is_empty(), "the data has no events");
        let own = &own[..own.len().min(4 * LAST)];
        let draw = |i: usize| mix(7, i as u64);
        let all = |_: usize, _: usize| true;
        let plain = |event: &DatasetEvent| Doing::Record(*event, 0);
        let mut shuffled: Vec<(u64, &DatasetEvent)> = own.iter().enumerate().map(|(i, event)| (draw(i), event)).collect();
        shuffled.sort_by_key(|(drawn, _)| *drawn);
        let in_summer = |(i, event): (usize, &DatasetEvent)| Doing::Record(*event, if i < own.len() / 2 { 60 } else { 120 });
        let back = |(i, event): (usize, &DatasetEvent)| {
            let time = event.time.map(|t| if i % 4 == 3 { t - 5 * DAY } else { t });
            Doing::Record(DatasetEvent { time, ..*event }, 0)
        };
        let mut removals = Vec::new();
        for (i, event) in own.iter().enumerate() {
            removals.push(plain(event));
            if i % 3 == 2 {
                // The step of an event that may be gone already.
                removals.push(Doing::Remove(draw(i) as usize % removals.len()));
            }
        }
        let many = own.iter().cycle().take(self.encoding.history.cap + LAST).map(plain);
        let name = |name: &str| format!("planted: {name}");
        Ok(vec![
            self.walk(user, name("events out of order"), shuffled.into_iter().map(|(_, event)| plain(event)), all)?,
            self.walk(user, name("summer time"), own.iter().enumerate().map(in_summer), all)?,
            self.walk(user, name("removals"), removals.into_iter(), all)?,
            self.walk(user, name("more events than are kept"), many, |step, steps| step + LAST >= steps)?,
            self.walk(user, name("a clock that goes back"), own.iter().enumerate().map(back), all)?,
        ])
    }
}
