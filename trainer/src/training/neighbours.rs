//! Chooses the neighbours beside the towers on validation: how they are learnt, how events count, and their share. A
//! share of 0, no neighbours, is one of the choices.

use anyhow::Result;
use foretaste::bundle::{NeighbourWeights, Neighbours};
use foretaste::features::History;
use foretaste::retrieve::Sums;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::row_events::RowEvents;
use super::validation::{Asked, Validation};
use crate::data::Dataset;
use crate::neighbours::{Family, Graph, Matrix};
use crate::protocols::Sequence;
use crate::towers::{CatalogRows, UserTower};

/// Larger catalogs get no EASE: its matrix of all pairs would take more than .4 GB.
pub(super) const EASE_ITEMS: usize = 10_000;
/// Most entries of a row.
const ENTRIES: usize = 32;
/// Shares that are compared, in logits for the largest entry of an average row.
const SHARES: [f32; 9] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
/// Factors on the best of them that are compared in the end.
const FINER: [f32; 5] = [0.6, 0.78, 1.0, 1.28, 1.65];
/// Events whose weight has fallen below this do not count.
const LEAST_WEIGHT: f32 = 1e-3;
/// By this factor neighbours must raise the quality, or the bundle has none: a page fetches them before its first
/// personal slate.
const LEAST_GAIN: f64 = 1.005;
/// By this factor a round over all settings must raise the quality, or there is no second one.
const ROUND_GAIN: f64 = 1.001;

/// Which neighbours a training may choose from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NeighbourChoice {
    /// What validation finds best, no neighbours among it.
    #[default]
    Auto,
    /// No neighbours.
    None,
    /// The graph of what follows what.
    Graph,
    /// EASE.
    Ease,
}

/// How neighbours are learnt, and how events count in their sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourSettings {
    /// How the weights between items are learnt.
    pub learnt: Family,
    /// How events count.
    pub weights: NeighbourWeights,
    /// Entries of a row.
    pub entries: usize,
}

impl NeighbourSettings {
    /// The same for another encoding of histories: where types or values are others, all count alike.
    pub fn fitted_to(mut self, history: &History) -> Self {
        let flat = weights(history, self.weights.decay);
        self.weights.events = self.weights.events.min(history.len);
        if self.weights.types.len() != flat.types.len() {
            self.weights.types = flat.types;
        }
        if self.weights.values.len() != flat.values.len() {
            self.weights.values = flat.values;
        }
        self
    }
}

/// Histories of item rows, oldest first, as the tower reads them: cleaned and capped.
pub fn histories(data: &Dataset, sequences: &[Sequence], history: &History) -> Vec<Vec<u32>> {
    let rows = RowEvents::new(data, history);
    let of = |sequence: &Sequence| {
        let events = rows.of(&sequence.events);
        let kept = history.kept(&events, usize::MAX);
        kept.iter().rev().filter_map(|place| events[*place].row).collect()
    };
    sequences.iter().map(of).collect()
}

/// What was chosen, and why.
pub struct Chosen {
    /// `None`: no neighbours.
    pub settings: Option<NeighbourSettings>,
    /// For people, a line.
    pub why: String,
}

/// One setting that is compared.
#[derive(Debug, Clone, PartialEq)]
struct Candidate {
    learnt: Family,
    /// With a share of 1.
    weights: NeighbourWeights,
}

/// What the settings are compared on.
struct Comparison<'a> {
    items: usize,
    histories: &'a [Vec<u32>],
    history: &'a History,
    validation: &'a Validation<'a>,
    asked: Vec<Asked<'a>>,
    rows: &'a CatalogRows,
    /// Entries of a row.
    entries: usize,
    /// Matrices that were learnt already.
    known: Vec<(Family, Neighbours)>,
}

/// Chooses neighbours for towers that have been trained on the same `histories`.
///
/// # Errors
/// Numbers that are not finite.
pub fn choose(
    (user, rows): (&UserTower, &CatalogRows),
    validation: &Validation,
    histories: &[Vec<u32>],
    history: &History,
    choice: NeighbourChoice,
    mut say: impl FnMut(&str),
) -> Result<Chosen> {
    let items = rows.biases.len();
    let none = |why: &str| Chosen { settings: None, why: format!("neighbours: none, {why}") };
    if choice == NeighbourChoice::None {
        return Ok(none("as the settings say"));
    }
    if validation.is_empty() || validation.predicts_ratings() {
        return Ok(none("for there is no ranking to choose them by"));
    }
    let asked = validation.asked(user, rows)?;
    // What is compared is what is shipped: no more bytes than the item files have at least, which are int8 numbers,
    // residuals, scale, bias and count.
    let (numbers, inputs) = (rows.vectors.len(), rows.inputs.as_ref().map_or(0, Vec::len));
    let entries = ENTRIES.min(Matrix::fitting(items, numbers + numbers / 2 + inputs + 12 * items));
    let mut compared = Comparison { items, histories, history, validation, asked, rows, entries, known: Vec::new() };
    let flat = |learnt: Family, decay: f32| Candidate { learnt, weights: weights(history, decay) };
    let mut families = Vec::new();
    if choice != NeighbourChoice::Ease {
        let whole = Graph { window: 50, fade: 1.0, backwards: 1.0, ..Graph::default() };
        families.push(vec![flat(Family::Graph(Graph::default()), 0.8), flat(Family::Graph(whole), 1.0)]);
    }
    if choice == NeighbourChoice::Ease || (choice == NeighbourChoice::Auto && items <= EASE_ITEMS) {
        families.push([1.0, 0.9].map(|decay| flat(Family::Ease { lambda: 100.0 }, decay)).to_vec());
    }
    let alone = compared.judge(&[], &[])?.0;
    say(&format!("comparing neighbours on {} histories", compared.asked.len()));
    let mut best = compared.best(Vec::new(), &[])?;
    for starts in families {
        best = best.or(compared.settled(starts)?);
    }
    let figure = |quality: f64| validation.metric().value(quality);
    let (with, without, metric) = (figure(best.quality), figure(alone), validation.metric().name());
    let named = named(&best.candidate.learnt);
    if best.quality < alone * LEAST_GAIN {
        return Ok(none(&format!("{metric} on validation is {without:.4} without them and {with:.4} with a {named}")));
    }
    let why =
        format!("neighbours: a {named}, share {:.2}: {metric} on validation {with:.4}, without them {without:.4}", best.share);
    let weights = NeighbourWeights { share: best.share, ..best.candidate.weights };
    Ok(Chosen { settings: Some(NeighbourSettings { learnt: best.candidate.learnt, weights, entries }), why })
}

/// A family with its settings, for people.
fn named(family: &Family) -> String {
    match family {
        Family::Graph(Graph { window, fade, backwards, out_power, in_power, hops }) => format!(
            "graph (steps {window}, fade {fade}, backwards {backwards}, powers {out_power} and {in_power}, two hops {hops})"
        ),
        Family::Ease { lambda } => format!("linear model (EASE, λ {lambda})"),
    }
}

/// Weights with a share of 1 that treat all types and values alike.
fn weights(history: &History, decay: f32) -> NeighbourWeights {
    let types = vec![1.0; history.types.iter().filter(|kind| kind.trained).count() + 1];
    let values = vec![1.0; history.value_edges.len() + 2];
    NeighbourWeights { events: counted(decay, history.len), share: 1.0, decay, types, values }
}

/// How many events count with a decay, at most `most`.
fn counted(decay: f32, most: usize) -> usize {
    (1..most).find(|age| decay.powi(*age as i32) < LEAST_WEIGHT).unwrap_or(most)
}

/// Number of settings that [`variants`] changes.
const COORDINATES: usize = 8;

/// The candidate with other values of one setting, its own left out.
fn variants(candidate: &Candidate, history: &History, coordinate: usize) -> Vec<Candidate> {
    let graphs = |change: &dyn Fn(&mut Graph, f32), values: &[f32]| -> Vec<Candidate> {
        let Family::Graph(graph) = candidate.learnt else { return Vec::new() };
        let with = |value: &f32| {
            let mut graph = graph;
            change(&mut graph, *value);
            Candidate { learnt: Family::Graph(graph), ..candidate.clone() }
        };
        values.iter().map(with).collect()
    };
    let with = |weights: NeighbourWeights| Candidate { weights, ..candidate.clone() };
    let own = &candidate.weights;
    let all = match coordinate {
        0 => {
            let decayed = |decay: f32| with(NeighbourWeights { decay, events: counted(decay, history.len), ..own.clone() });
            [0.3, 0.5, 0.65, 0.8, 0.9, 0.96, 1.0].map(decayed).to_vec()
        }
        1 => match candidate.learnt {
            Family::Graph(_) => graphs(&|graph, value| graph.window = value as usize, &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0]),
            Family::Ease { .. } => {
                let with = |lambda: f32| Candidate { learnt: Family::Ease { lambda }, ..candidate.clone() };
                [25.0, 50.0, 100.0, 200.0, 400.0].map(with).to_vec()
            }
        },
        2 => graphs(&|graph, value| graph.fade = value, &[0.5, 0.65, 0.8, 0.9, 1.0]),
        3 => graphs(&|graph, value| graph.backwards = value, &[0.0, 0.25, 0.5, 0.75, 1.0]),
        4 => graphs(&|graph, value| graph.out_power = value, &[0.0, 0.25, 0.5, 0.75, 1.0]),
        5 => graphs(&|graph, value| graph.in_power = value, &[0.0, 0.25, 0.5, 0.75]),
        6 => graphs(&|graph, value| graph.hops = value, &[0.0, 0.3, 1.0, 3.0]),
        _ => {
            let edges = history.value_edges.len() as f32;
            let ramp = |least: f32| {
                let place = |bucket: usize| if bucket == 0 { 1.0 } else { least + (1.0 - least) * (bucket - 1) as f32 / edges };
                with(NeighbourWeights { values: (0..own.values.len()).map(place).collect(), ..own.clone() })
            };
            let trained = history.types.iter().filter(|kind| kind.trained).map(|kind| kind.weight);
            let types: Vec<f32> = std::iter::once(1.0).chain(trained).collect();
            let mut all = if edges > 0.0 { [1.0, 0.5, 0.0, -0.5].map(ramp).to_vec() } else { Vec::new() };
            all.push(with(NeighbourWeights { types, ..own.clone() }));
            all
        }
    };
    all.into_iter().filter(|other| other != candidate).collect()
}

/// The best of some candidates.
struct Best {
    candidate: Candidate,
    share: f32,
    quality: f64,
}

impl Best {
    /// The better of the two; this one if they are equal.
    fn or(self, other: Best) -> Best {
        if other.quality > self.quality { other } else { self }
    }
}

impl Comparison<'_> {
    /// The best candidate that is found from the best of some starts: one setting after the other is changed.
    fn settled(&mut self, starts: Vec<Candidate>) -> Result<Best> {
        let mut best = self.best(starts, &SHARES)?;
        for round in 0..2 {
            let before = best.quality;
            for coordinate in 0..COORDINATES {
                let variants = variants(&best.candidate, self.history, coordinate);
                let shares = [0.5, 0.71, 1.0, 1.41, 2.0].map(|by| by * best.share);
                best = best.or(self.best(variants, &shares)?);
            }
            if round == 0 && best.quality < before * ROUND_GAIN {
                break;
            }
        }
        let finest = self.best(vec![best.candidate.clone()], &FINER.map(|by| by * best.share))?;
        Ok(best.or(finest))
    }

    /// The best candidate with its best share. There is at least one of each, or the quality is −∞.
    fn best(&mut self, candidates: Vec<Candidate>, shares: &[f32]) -> Result<Best> {
        let mut best: Option<Best> = None;
        let (_, all) = self.judge(&candidates, shares)?;
        for (candidate, qualities) in candidates.into_iter().zip(all) {
            for (share, quality) in shares.iter().zip(qualities) {
                if best.as_ref().is_none_or(|best| quality > best.quality) {
                    best = Some(Best { candidate: candidate.clone(), share: *share, quality });
                }
            }
        }
        let none = || Best {
            candidate: Candidate { learnt: Family::Ease { lambda: 0.0 }, weights: weights(self.history, 1.0) },
            share: 0.0,
            quality: f64::NEG_INFINITY,
        };
        Ok(best.unwrap_or_else(none))
    }

    /// The quality of the towers alone, and of each candidate with each share.
    fn judge(&mut self, candidates: &[Candidate], shares: &[f32]) -> Result<(f64, Vec<Vec<f64>>)> {
        // Matrices of families that are not compared now are not needed again soon.
        self.known.retain(|(family, _)| candidates.iter().any(|candidate| candidate.learnt == *family));
        for candidate in candidates {
            if self.known.iter().all(|(family, _)| *family != candidate.learnt) {
                let matrix: Matrix = candidate.learnt.fit(self.items, self.histories)?.cut(self.entries);
                self.known.push((candidate.learnt, matrix.shipped()?));
            }
        }
        let neighbours =
            |candidate: &Candidate| &self.known.iter().find(|(family, _)| *family == candidate.learnt).expect("learnt above").1;
        let gains = |asked: &Asked| -> Vec<(f64, f64)> {
            let mut gains = vec![self.validation.gain(&asked.ranks(&[], 0.0))];
            let mut touched = Vec::new();
            for candidate in candidates {
                let sums = Sums::of(neighbours(candidate), &candidate.weights, asked.history());
                asked.touched(self.rows, self.validation, &sums, &mut touched);
                for share in shares {
                    gains.push(self.validation.gain(&asked.ranks(&touched, *share)));
                }
            }
            gains
        };
        let all: Vec<Vec<(f64, f64)>> = self.asked.par_iter().map(gains).collect();
        let quality = |at: usize| {
            let (sum, n) = all.iter().map(|gains| gains[at]).fold((0.0, 0.0), |(sum, n), one| (sum + one.0, n + one.1));
            sum / n
        };
        let of = |i: usize| (0..shares.len()).map(|j| quality(1 + i * shares.len() + j)).collect();
        Ok((quality(0), (0..candidates.len()).map(of).collect()))
    }
}
