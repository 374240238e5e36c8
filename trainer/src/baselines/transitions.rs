//! The graph of what follows what, alone: no training but counting. Settings, two hops among them, are chosen on the
//! validation part, one after another.

use anyhow::Result;
use foretaste::bundle::{NeighbourWeights, Neighbours};
use foretaste::features::EncodedHistory;
use foretaste::retrieve::Sums;

use crate::factors::Quality;
use crate::neighbours::{Family, Graph};
use crate::protocols::{Model, Query, Sequence, Split};

/// Settings of the graph, and the decay of a history from one event to the one before it.
type Setting = (Graph, f32);

pub(super) struct Transitions {
    neighbours: Neighbours,
    weights: NeighbourWeights,
}

impl Transitions {
    pub fn fit(items: usize, split: &Split, quality: Quality) -> Result<Self> {
        let mut best = (Graph::default(), 0.8);
        let mut most = quality(&Transitions::with(items, &split.train, best)?);
        for change in CHANGES {
            for setting in change(best) {
                let found = quality(&Transitions::with(items, &split.train, setting)?);
                if found > most {
                    (best, most) = (setting, found);
                }
            }
        }
        Transitions::with(items, split.fitted(), best)
    }

    fn with(items: usize, fitted: &[Sequence], (graph, decay): Setting) -> Result<Self> {
        let histories: Vec<Vec<u32>> = fitted.iter().map(|s| s.events.iter().map(|event| event.item).collect()).collect();
        let neighbours = Family::Graph(graph).fit(items, &histories)?.shipped()?;
        let weights = NeighbourWeights { events: usize::MAX, share: 1.0, decay, types: vec![1.0], values: vec![1.0] };
        Ok(Transitions { neighbours, weights })
    }
}

/// The values that are tried, a setting at a time.
const CHANGES: [fn(Setting) -> Vec<Setting>; 6] = [
    |(graph, _)| [0.3, 0.5, 0.65, 0.9, 1.0].map(|decay| (graph, decay)).to_vec(),
    |(graph, decay)| [1, 2, 5, 20, 50].map(|window| (Graph { window, ..graph }, decay)).to_vec(),
    |(graph, decay)| [0.0, 0.25, 1.0].map(|backwards| (Graph { backwards, ..graph }, decay)).to_vec(),
    |(graph, decay)| [0.0, 0.25, 0.75].map(|in_power| (Graph { in_power, ..graph }, decay)).to_vec(),
    |(graph, decay)| [0.0, 0.25, 0.75, 1.0].map(|out_power| (Graph { out_power, ..graph }, decay)).to_vec(),
    |(graph, decay)| [0.3, 1.0, 3.0].map(|hops| (Graph { hops, ..graph }, decay)).to_vec(),
];

impl Model for Transitions {
    fn scores(&self, query: &Query) -> Vec<f32> {
        let rows: Vec<u32> = query.history.iter().rev().map(|event| event.item).collect();
        let all = vec![0; rows.len()];
        let history = EncodedHistory { types: all.clone(), values: all, rows, ..EncodedHistory::default() };
        let mut scores = vec![0.0; self.neighbours.len()];
        Sums::of(&self.neighbours, &self.weights, &history).iter().for_each(|(row, sum)| scores[row as usize] = sum);
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factors::tests::{query, sequences};

    #[test]
    fn what_followed_the_newest_event_comes_first() {
        let fitted = sequences(&[&[0, 1, 2], &[0, 1, 3], &[4, 2]]);
        let model = Transitions::with(5, &fitted, (Graph { window: 1, backwards: 0.0, ..Graph::default() }, 0.5)).unwrap();
        let scores = model.scores(&query(&[4, 0]));
        assert!(scores[1] > scores[2] && scores[2] > 0.0 && scores[3] == 0.0, "{scores:?}");
        assert_eq!(model.scores(&query(&[])), [0.0; 5]);
    }
}
