//! Learns a ranker behind towers and neighbours, and chooses on validation whether the bundle has one.
//!
//! Its labels are the last events of each visitor's history, which the towers and neighbours that find its candidates
//! did not see: a ranker over what retrieval has learnt by heart would trust it too much. So towers and neighbours are
//! first learnt once more without these events. The ranker then stands behind those that saw all events, whose vectors
//! are turned into the directions that it learnt from.

mod declared;
mod leaks;
mod replay;
mod requests;

use anyhow::{Context, Result, ensure};
use foretaste::bundle::{Head, NeighbourWeights, Neighbours, RankerSpec};
use foretaste::features::{Bag, ColumnEncoding, Encoding, Fields, View};
use foretaste::rank::Candidate;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::row_events::RowEvents;
use super::validation::Validation;
use crate::data::{Dataset, DatasetEvent, Events, context_at};
use crate::metrics;
use crate::protocols::{Query, Sequence};
use crate::random::mix;
use crate::ranker::{
    Bin, Counted, EventSlots, Group, HeadKind, Importance, ItemTables, Material, Network, Ranker, RankerLoss, RankerShape,
    Settings, calibrate, ece, permuted, probability, reliability, rotation, slots_of, suspicious, turned,
};
use crate::towers::{CatalogRows, SlotScale, UserTower};
pub use declared::check;
pub use replay::{Asked as AskedValues, Outcome, Replayed, Step, of_visitor, replay};
use requests::{BUILT_IN, Found, Moment, Retrieval, fit, removed, score};

/// Candidates that a ranker orders.
const CANDIDATES: usize = 200;
/// Of these, how many a request to learn from has beside the wanted one: the first, and others drawn at random, each of
/// which stands for as many as were not drawn.
const NEGATIVES: [usize; 2] = [25, 25];
/// The part of a history whose events are labels: one in four, at most so many.
const LABELS_SHARE: usize = 4;
const MOST_LABELS: usize = 10;
/// Most requests to learn from and to validate on: all of them, or every n-th of many.
const MOST_GROUPS: usize = 20_000;
const MOST_QUERIES: usize = 3_000;
/// Labels whose candidates' numbers the encoding is fitted to.
const MOST_FITTED: usize = 2_000;
/// Length of the list that a utility is summed over.
const TOP: usize = 100;
/// Queries by which inputs are weighed.
const MOST_PERMUTED: usize = 500;
/// Fewer requests teach nothing.
const LEAST_GROUPS: usize = 100;
/// By this factor a ranker must raise the quality, or the bundle has none: it costs bytes and time.
const LEAST_GAIN: f64 = 1.001;

/// Which rankers a training may choose from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RankerChoice {
    /// What validation finds best, no ranker among it.
    Auto,
    /// No ranker.
    #[default]
    None,
    /// DCN-v2.
    Dcn,
    /// Wide & Deep.
    WideDeep,
}

impl RankerChoice {
    fn networks(self) -> &'static [Network] {
        match self {
            RankerChoice::Auto => &[Network::Dcn, Network::WideDeep],
            RankerChoice::None => &[],
            RankerChoice::Dcn => &[Network::Dcn],
            RankerChoice::WideDeep => &[Network::WideDeep],
        }
    }
}

/// Which losses are compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossChoice {
    /// What validation finds best of `pointwise` and `listwise`.
    #[default]
    Auto,
    /// Each candidate alone.
    Pointwise,
    /// Pairs of candidates.
    Pairwise,
    /// All candidates at once.
    Listwise,
}

impl LossChoice {
    fn losses(self) -> &'static [RankerLoss] {
        match self {
            LossChoice::Auto => &[RankerLoss::Pointwise, RankerLoss::Listwise],
            LossChoice::Pointwise => &[RankerLoss::Pointwise],
            LossChoice::Pairwise => &[RankerLoss::Pairwise],
            LossChoice::Listwise => &[RankerLoss::Listwise],
        }
    }
}

/// A chosen ranker but its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankerCard {
    /// Sizes of the network.
    pub shape: RankerShape,
    /// How candidates were compared.
    pub loss: RankerLoss,
    /// What it reads, and what its outputs mean: part of the bundle's manifest.
    pub spec: RankerSpec,
    /// Expected calibration error on half of validation, after fitting on the other half.
    pub ece: f64,
    /// What was said and found there.
    pub reliability: Vec<Bin>,
    /// What each input is worth on validation, the most valuable one first.
    pub importances: Vec<Importance>,
}

/// The towers and neighbours of one training.
pub struct Stage<'a> {
    pub user: &'a UserTower,
    pub rows: &'a CatalogRows,
    pub neighbours: Option<(&'a Neighbours, &'a NeighbourWeights)>,
}

/// What rankers are learnt and judged with.
pub struct Comparison<'a> {
    pub data: &'a Dataset,
    pub encoding: &'a Encoding,
    pub scale: &'a SlotScale,
    pub validation: &'a Validation<'a>,
    pub queries: &'a [Query],
    /// The sequences that the search phase learnt from.
    pub train: &'a [Sequence],
    pub choice: (RankerChoice, LossChoice),
    pub seed: u64,
}

/// What was chosen, and why.
pub struct Chosen {
    /// `None`: no ranker.
    pub ranker: Option<(RankerCard, Ranker)>,
    /// For people, a line.
    pub why: String,
}

/// The sequences without the events that are the ranker's labels: the last quarter of each, at most ten.
pub fn without_labels(train: &[Sequence]) -> Vec<Sequence> {
    let part = |sequence: &Sequence| {
        let n = sequence.events.len();
        Sequence { user: sequence.user, events: sequence.events.part(0..n - labels(&sequence.events)) }
    };
    train.iter().map(part).collect()
}

fn labels(events: &Events) -> usize {
    (events.len() / LABELS_SHARE).min(MOST_LABELS)
}

/// What a head tells of a candidate. The first head orders; the others have the weight 0 until a page gives them one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TargetHead {
    /// The probability that the visitor takes it.
    Taken,
    /// The utility that `data.toml` declares, as a share of the greatest one; 0 if the visitor does not take it, or
    /// would be better without it.
    Utility,
    /// The probability that a visitor who takes it rates it at least as the mean of the earlier ratings.
    Liked,
}

impl TargetHead {
    fn of(data: &Dataset) -> Vec<TargetHead> {
        let first = if data.utility.is_some() { TargetHead::Utility } else { TargetHead::Taken };
        std::iter::once(first).chain(data.has_ratings().then_some(TargetHead::Liked)).collect()
    }

    fn name(self) -> &'static str {
        match self {
            TargetHead::Taken => "taken",
            TargetHead::Utility => "utility",
            TargetHead::Liked => "liked",
        }
    }

    /// The label of a candidate that was not taken.
    fn of_others(self) -> f32 {
        if self == TargetHead::Liked { f32::NAN } else { 0.0 }
    }
}

/// What is known of an item that a visitor took.
struct Wanted {
    row: u32,
    /// The label of each head.
    labels: Vec<f32>,
}

/// A request with encoded candidates and the labels of each head.
fn group(found: &Found, spec: &RankerSpec, candidates: &[Sampled], heads: &[TargetHead], wanted: &[Wanted]) -> Group {
    let label = |head: usize, row: u32| match wanted.iter().find(|one| one.row == row) {
        Some(one) => one.labels[head],
        None => heads[head].of_others(),
    };
    Group {
        user: found.user.clone(),
        rows: candidates.iter().map(|one| one.row).collect(),
        bags: found.bags(spec, &looked_at(found, candidates)),
        labels: (0..heads.len()).map(|head| candidates.iter().map(|one| label(head, one.row)).collect()).collect(),
        counts: candidates.iter().map(|one| one.count).collect(),
    }
}

/// A candidate of a request.
#[derive(Clone, Copy)]
struct Sampled {
    row: u32,
    /// Its place in retrieval, from 0.
    place: usize,
    /// For how many candidates it stands.
    count: f32,
}

/// The candidates as the ranker looks at them.
fn looked_at(found: &Found, candidates: &[Sampled]) -> Vec<Candidate> {
    candidates.iter().map(|one| found.candidate(one.row, one.place)).collect()
}

/// A validation query as candidates with their inputs.
struct Asked {
    group: Group,
    /// The rank of each target by retrieval alone, and its place among the candidates if it is one.
    targets: Vec<(usize, Option<usize>)>,
    /// The first head's label of each target.
    worth: Vec<f32>,
}

impl Asked {
    /// The ranks of the targets if these scores order the candidates; equal ones keep their order.
    fn ranks(&self, scores: &[f32]) -> Vec<usize> {
        let before = |place: usize| {
            let own = scores[place];
            let ahead = |(other, score): (usize, &f32)| *score > own || (*score == own && other < place);
            scores.iter().enumerate().filter(|one| ahead(*one)).count()
        };
        self.targets.iter().map(|(rank, place)| place.map_or(*rank, |place| 1 + before(place))).collect()
    }
}

impl Comparison<'_> {
    /// Learns rankers behind `before`, towers and neighbours that did not see the labels, and chooses one by its
    /// quality behind `after`, those that saw all of `train`.
    ///
    /// # Errors
    /// Numbers that are not finite.
    pub fn choose(&self, before: &Stage, after: &Stage, mut say: impl FnMut(&str)) -> Result<Chosen> {
        let none = |why: &str| Chosen { ranker: None, why: format!("ranker: none, {why}") };
        let mut spec = declared::spec(self.data, self.encoding);
        let tables = tables(self.data, self.encoding, &spec.views, self.train);
        let labels = self.labels();
        if labels.len() < LEAST_GROUPS {
            return Ok(none(&format!("{} labels are too few to learn it from", labels.len())));
        }
        let leaks = self.leaks(before, &spec, &labels, leaks::request)?;
        ensure!(leaks.is_empty(), "features of the ranker know what comes after: {leaks:?}");
        let heads = TargetHead::of(self.data);
        let most = labels.iter().map(|(i, at)| self.data.worth(&self.places(&self.train[*i], *at))).fold(0.0, f64::max);
        let retrieval = self.retrieval(before, &spec.views, &tables);
        let some: Vec<(usize, usize)> = labels.iter().step_by(labels.len().div_ceil(MOST_FITTED)).copied().collect();
        let numbers =
            self.each_label(&retrieval, some, |found, candidates, _| found.numbers(&spec, &looked_at(found, candidates)))?;
        let mut fitted = std::mem::take(&mut spec.inputs);
        fit(&mut fitted, &numbers.concat());
        spec.inputs = fitted;
        let groups = self.each_label(&retrieval, labels, |found, candidates, (sequence, at)| {
            let wanted = self.wanted(&heads, most, candidates[0].row, &self.places(sequence, at), &sequence.events[..at]);
            group(found, &spec, candidates, &heads, &[wanted])
        })?;
        let d = before.user.shape.dim;
        let turn = rotation(&after.rows.vectors, &before.rows.vectors, d);
        let vectors = turned(&after.rows.vectors, &turn, d);
        let mut asked = self.asked(&self.retrieval(after, &spec.views, &tables), &spec, (&heads, most))?;
        asked.par_iter_mut().for_each(|one| one.group.user = turned(&one.group.user, &turn, d));

        let alone = self.mean(&asked, |_, one| one.targets.iter().map(|(rank, _)| *rank).collect());
        let outputs = |ranker: &Ranker, group: &Group, bags: &[Bag], head: usize| -> Vec<f32> {
            let all = ranker.outputs(&group.user, &group.rows, bags, &vectors);
            all.into_iter().skip(head).step_by(heads.len()).collect()
        };
        let first = |ranker: &Ranker, one: &Asked| one.ranks(&outputs(ranker, &one.group, &one.group.bags, 0));
        let quality = |ranker: &Ranker| self.mean(&asked, |_, one| first(ranker, one));
        say(&format!("learning rankers from {} requests, comparing them on {}", groups.len(), asked.len()));
        let slots = spec.inputs.iter().map(ColumnEncoding::width).sum();
        let kinds = vec![HeadKind::Probability; heads.len()];
        let mut best: Option<(RankerLoss, Ranker, f64)> = None;
        for network in self.choice.0.networks() {
            for loss in self.choice.1.losses() {
                let shape = RankerShape { network: *network, dim: d, slots, heads: heads.len() };
                let settings = Settings { loss: *loss, ..Settings::default() };
                let material = Material { groups: &groups, vectors: &before.rows.vectors, heads: &kinds, settings };
                let start = Ranker::start(shape, score(&spec.inputs), mix(self.seed, 1));
                let mut epoch = 0..;
                let (ranker, found) = material.fit(start, mix(self.seed, 2), |ranker| {
                    let found = quality(ranker);
                    say(&format!("{network:?}, {loss:?}, epoch {}: {found:.4}", epoch.next().unwrap_or(0)));
                    Ok(found)
                })?;
                if best.as_ref().is_none_or(|best| found > best.2) {
                    best = Some((*loss, ranker, found));
                }
            }
        }
        let Some((loss, ranker, with)) = best else { return Ok(none("as the settings say")) };
        let metric = self.validation.metric().name();
        let figures =
            format!("{metric} on validation {with:.4} with {:?}, {loss:?}, and {alone:.4} without", ranker.shape.network);
        if with < alone * LEAST_GAIN {
            return Ok(none(&figures));
        }
        let part = |head: usize, half: usize| -> (Vec<f64>, Vec<f64>) {
            let one = |one: &Asked| {
                let outputs = outputs(&ranker, &one.group, &one.group.bags, head);
                let labels = one.group.labels[head].clone();
                let pairs = outputs.into_iter().zip(labels).filter(|(_, label)| !label.is_nan());
                pairs.map(|(x, y)| (f64::from(x), f64::from(y))).collect::<Vec<_>>()
            };
            asked.iter().skip(half).step_by(2).flat_map(one).unzip()
        };
        let mut reliabilities = Vec::new();
        let mut head = |(i, head): (usize, &TargetHead)| {
            let (fitted, judged) = (part(i, 0), part(i, 1));
            let calibration = calibrate((&fitted.0, &fitted.1), (&judged.0, &judged.1));
            let probabilities: Vec<f64> = judged.0.iter().map(|x| probability(&calibration, *x)).collect();
            reliabilities.push(reliability(&probabilities, &judged.1));
            Head { name: head.name().into(), weight: if i == 0 { 1.0 } else { 0.0 }, calibration }
        };
        let of_heads = heads.iter().enumerate().map(&mut head).collect();
        let spec = RankerSpec { heads: of_heads, ..spec.clone() };
        let eces: Vec<f64> = reliabilities.iter().map(|bins| ece(bins)).collect();
        let (ece, reliability) = (eces[0], reliabilities.swap_remove(0));
        spec.check(self.encoding).context("a bundle cannot hold what the data declares")?;
        let importances = self.importances(&asked, &spec, with, |one, bags| one.ranks(&outputs(&ranker, &one.group, bags, 0)));
        let mut why = format!("ranker: {figures}; calibration error {ece:.4}");
        for name in suspicious(&importances, with, &BUILT_IN) {
            why += &format!("; warning: without `{name}` most of it is lost, does that input know the answer?");
        }
        let card = RankerCard { shape: ranker.shape, loss, spec, ece, reliability, importances };
        Ok(Chosen { ranker: Some((card, ranker)), why })
    }

    /// What each input is worth, the most valuable one first. `ranks` are those of the targets with other bags.
    fn importances(
        &self,
        asked: &[Asked],
        spec: &RankerSpec,
        quality: f64,
        ranks: impl Fn(&Asked, &[Bag]) -> Vec<usize> + Sync,
    ) -> Vec<Importance> {
        let some = &asked[..asked.len().min(MOST_PERMUTED)];
        let groups: Vec<&Group> = some.iter().map(|one| &one.group).collect();
        let own = self.mean(some, |_, one| ranks(one, &one.group.bags));
        let worth = |(i, slots): (usize, std::ops::Range<u32>)| {
            let bags = permuted(&groups, slots, mix(mix(self.seed, 4), i as u64));
            // As a loss of the quality on all queries.
            (own - self.mean(some, |at, one| ranks(one, &bags[at]))) * quality / own.max(f64::MIN_POSITIVE)
        };
        let worths = slots_of(&spec.inputs).into_iter().enumerate().map(worth);
        let mut importances: Vec<Importance> =
            spec.inputs.iter().zip(worths).map(|(column, worth)| Importance { input: column.name.clone(), worth }).collect();
        importances.sort_by(|a, b| b.worth.total_cmp(&a.worth));
        importances
    }

    fn retrieval<'a>(&'a self, stage: &'a Stage, views: &'a [View], tables: &'a ItemTables) -> Retrieval<'a> {
        let Stage { user, rows, neighbours } = *stage;
        Retrieval { data: self.data, encoding: self.encoding, scale: self.scale, user, rows, neighbours, views, tables }
    }

    /// What a ranker learns from: sequences and the places in them of what a visitor takes for the first time.
    fn labels(&self) -> Vec<(usize, usize)> {
        let types = self.data.types.iter().map(|t| self.encoding.history.type_of(&t.name));
        let positive: Vec<bool> = types.map(|t| t.is_some_and(|t| t.positive && t.weight > 0.0)).collect();
        let of = |(i, sequence): (usize, &Sequence)| {
            let events = &sequence.events;
            let is_first = |at: &usize| events[..*at].iter().all(|other| other.item != events[*at].item);
            let places = events.len() - labels(events)..events.len();
            let own = places.filter(|at| positive[usize::from(events[*at].kind)] && is_first(at));
            own.map(|at| (i, at)).collect::<Vec<_>>()
        };
        let all: Vec<(usize, usize)> = self.train.iter().enumerate().flat_map(of).collect();
        let step = all.len() / MOST_GROUPS + 1;
        all.into_iter().step_by(step).collect()
    }

    /// What `make` makes of the request of each label that retrieval finds: what it finds, the candidates to learn
    /// from, the label's item first, and the label's place. An item that is not found is not ranked either: in a slate
    /// no candidate has its place.
    fn each_label<T: Send>(
        &self,
        retrieval: &Retrieval,
        labels: Vec<(usize, usize)>,
        make: impl Fn(&Found, &[Sampled], (&Sequence, usize)) -> T + Sync,
    ) -> Result<Vec<T>> {
        let one = |(i, at): (usize, usize)| {
            let sequence = &self.train[i];
            let (target, (known, moment)) = (sequence.events[at].item, leaks::request(sequence, at));
            let known = &sequence.events[..known];
            let allowed = (self.data.in_events.as_slice(), &removed(known, target)[..]);
            let found = retrieval.find(sequence.user, known, moment, allowed, CANDIDATES)?;
            let found = found.within(self.request_context(&self.places(sequence, at)));
            let Some(place) = found.best.iter().position(|row| *row == target) else { return Ok(None) };
            let all = found.best.iter().zip(0..).map(|(row, place)| Sampled { row: *row, place, count: 1.0 });
            let mut candidates = vec![Sampled { row: target, place, count: 1.0 }];
            let mut others: Vec<Sampled> = all.filter(|one| one.row != target).collect();
            let mut rest = others.split_off(NEGATIVES[0].min(others.len()));
            candidates.extend(others);
            let seed = mix(mix(mix(self.seed, 3), u64::from(sequence.user)), at as u64);
            rest.sort_by_key(|one| mix(seed, u64::from(one.row)));
            let count = rest.len() as f32 / rest.len().min(NEGATIVES[1]).max(1) as f32;
            candidates.extend(rest.into_iter().take(NEGATIVES[1]).map(|one| Sampled { count, ..one }));
            Ok(Some(make(&found, &candidates, (sequence, at))))
        };
        labels.into_par_iter().map(one).filter_map(Result::transpose).collect()
    }

    /// The validation queries, all or every n-th of many, with what retrieval finds.
    fn asked(&self, retrieval: &Retrieval, spec: &RankerSpec, (heads, most): (&[TargetHead], f64)) -> Result<Vec<Asked>> {
        let moment = Moment { of_user: None, of_items: end(self.train) };
        let step = self.queries.len() / MOST_QUERIES + 1;
        let one = |query: &Query| {
            let allowed = (query.universe(&self.data.in_events), query.removed.as_slice());
            let found = retrieval.find(query.user, &query.history, moment, allowed, CANDIDATES)?;
            let first = query.targets.first().map(|target| self.data.later(query.user, *target, &query.history));
            let found = found.within(self.request_context(&first.unwrap_or_default()));
            let ranks = metrics::ranks(&found.scores, allowed.0, allowed.1, &query.targets);
            let all = found.best.iter().zip(0..);
            let candidates: Vec<Sampled> = all.map(|(row, place)| Sampled { row: *row, place, count: 1.0 }).collect();
            let place = |target: &u32| found.best.iter().position(|row| row == target);
            let targets = ranks.into_iter().zip(query.targets.iter().map(place)).collect();
            let of = |target: &u32| {
                self.wanted(heads, most, *target, &self.data.later(query.user, *target, &query.history), &query.history)
            };
            let wanted: Vec<Wanted> = query.targets.iter().map(of).collect();
            let worth = wanted.iter().map(|one| one.labels[0]).collect();
            Ok(Asked { group: group(&found, spec, &candidates, heads, &wanted), targets, worth })
        };
        self.queries.par_iter().step_by(step).map(one).collect()
    }

    /// The mean gain of the ranks that `of` gives to the targets of each query, by its place in `asked`. Where a
    /// utility is declared, targets count by it.
    fn mean(&self, asked: &[Asked], of: impl Fn(usize, &Asked) -> Vec<usize> + Sync) -> f64 {
        let gain = |(i, one): (usize, &Asked)| {
            let ranks = of(i, one);
            if self.data.utility.is_none() {
                return self.validation.gain(&ranks);
            }
            let gains = ranks.iter().zip(&one.worth).map(|(rank, worth)| (metrics::ndcg(&[*rank], TOP), f64::from(*worth)));
            gains.fold((0.0, 0.0), |(sum, all), (gain, worth)| (sum + worth * gain, all + worth))
        };
        let gains: Vec<(f64, f64)> = asked.par_iter().enumerate().map(gain).collect();
        let (sum, n) = gains.iter().fold((0.0, 0.0), |(sum, n), one| (sum + one.0, n + one.1));
        if n > 0.0 { sum / n } else { 0.0 }
    }

    /// What a page would have passed as context with the request before an event: the context of the event itself, the
    /// first of these places.
    fn request_context(&self, places: &[usize]) -> Fields {
        places.first().map(|place| context_at(self.data, *place, self.encoding)).unwrap_or_default()
    }

    /// The places in `data.events` of what a visitor did with a label's item from the label on.
    fn places(&self, sequence: &Sequence, at: usize) -> Vec<usize> {
        self.data.later(sequence.user, sequence.events[at].item, &sequence.events[..at])
    }

    /// The labels of an item that a visitor took, who did what is at `places` with it and knew `known` before. `most`
    /// is the greatest utility.
    fn wanted(&self, heads: &[TargetHead], most: f64, row: u32, places: &[usize], known: &[DatasetEvent]) -> Wanted {
        let label = |head: &TargetHead| match head {
            TargetHead::Taken => 1.0,
            TargetHead::Utility if most > 0.0 => (self.data.worth(places) / most).min(1.0) as f32,
            TargetHead::Utility => 0.0,
            TargetHead::Liked => {
                let earlier = known.iter().filter_map(|event| event.rating);
                let (sum, n) = earlier.fold((0.0, 0.0), |(sum, n), rating| (sum + rating, n + 1.0));
                let rating = places.iter().find_map(|place| self.data.events[*place].rating);
                rating.filter(|_| n > 0.0).map_or(f32::NAN, |rating| f32::from(u8::from(rating >= sum / n)))
            }
        };
        Wanted { row, labels: heads.iter().map(label).collect() }
    }
}

/// The views of items over the events of some sequences.
fn tables(data: &Dataset, encoding: &Encoding, views: &[View], sequences: &[Sequence]) -> ItemTables {
    let of_items: Vec<View> = views.iter().filter(|view| !view.is_of_user()).cloned().collect();
    let rows = RowEvents::new(data, &encoding.history);
    ItemTables::new(&of_items, &encoding.history, data.items.len(), |by| {
        let Some(name) = by else {
            let events = sequences.iter().flat_map(|sequence| rows.of(&sequence.events));
            return (1, events.map(|event| (event, 0)).collect());
        };
        let Some(column) = encoding.context.iter().find(|column| column.name == name) else { return (0, vec![]) };
        let slots = EventSlots::new(data, column);
        let of = |sequence: &Sequence| {
            let slots = sequence.events.iter().zip(sequence.places(data)).map(|(event, place)| slots.slot(event, place));
            rows.of(&sequence.events).into_iter().zip(slots).filter_map(|(event, slot)| Some((event, slot?))).collect::<Counted>()
        };
        (column.width(), sequences.iter().flat_map(of).collect())
    })
}

/// The moment just after all events, in milliseconds UTC; a bundle's values are those of this moment.
fn end(sequences: &[Sequence]) -> Option<i64> {
    let last = sequences.iter().flat_map(|sequence| &sequence.events).filter_map(|event| event.time).max();
    last.map(|t| t.saturating_mul(1000).saturating_add(1))
}

/// The values that a bundle carries: of each view of items, in their order, one value for each item, or one for each
/// value of the column that it is counted by; NaN where it is missing.
pub fn shipped_values(data: &Dataset, encoding: &Encoding, views: &[View], sequences: &[Sequence]) -> Vec<Vec<f32>> {
    let (tables, end) = (tables(data, encoding, views, sequences), end(sequences));
    let value = |view: usize, row: u32, slot: usize| tables.value(view, row, slot, end).map_or(f32::NAN, |value| value as f32);
    let of = |(at, view): (usize, &View)| {
        let width = RankerSpec::values(view, encoding).unwrap_or(0);
        let rows = 0..data.items.len() as u32;
        rows.flat_map(|row| (0..width).map(move |slot| (row, slot))).map(|(row, slot)| value(at, row, slot)).collect()
    };
    views.iter().filter(|view| !view.is_of_user()).enumerate().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranker_moves_only_its_candidates() {
        let group = Group { user: vec![], rows: vec![7, 5, 3], bags: vec![], labels: vec![], counts: vec![] };
        let asked = Asked { group, targets: vec![(1, Some(0)), (3, Some(2)), (9, None)], worth: vec![1.0; 3] };
        assert_eq!(asked.ranks(&[0.1, 0.5, 0.9]), [3, 1, 9]);
        assert_eq!(asked.ranks(&[0.5, 0.5, 0.5]), [1, 3, 9], "equal scores keep their order");
    }
}
