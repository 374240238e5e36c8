//! What the neighbours of a history's items add to the scores.

use crate::bundle::{NeighbourWeights, Neighbours};
use crate::features::EncodedHistory;

/// Sums over neighbours: a few rows of the catalog, and what each one's score gains, in logits.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    /// Ascending.
    rows: Vec<u32>,
    sums: Vec<f32>,
}

/// The events of a history that count, newest first: the row of each and the factor of its neighbours.
fn factors(weights: &NeighbourWeights, history: &EncodedHistory) -> impl Iterator<Item = (u32, f32)> {
    let mut fade = weights.share;
    let events = history.rows.iter().zip(&history.types).zip(&history.values).take(weights.events);
    events.map(move |((row, kind), value)| {
        let factor = fade * weights.types[usize::from(*kind)] * weights.values[usize::from(*value)];
        fade *= weights.decay;
        (*row, factor)
    })
}

impl Sums {
    /// The sums over the events of a history, newest first, each in f32: an event adds
    /// (share · decay^age · types · values) · (weight · scale), and the powers of the decay are products of one factor
    /// an event. Every row that the item of an event has as a neighbour is there, even if its sum is 0, unless the
    /// factor of the event is 0.
    ///
    /// # Panics
    /// If a row of the history is past the end, or an index is.
    pub fn of(neighbours: &Neighbours, weights: &NeighbourWeights, history: &EncodedHistory) -> Sums {
        let n = neighbours.len();
        let (mut dense, mut touched) = (vec![0.0f32; n], vec![0u64; n.div_ceil(64)]);
        for (row, factor) in factors(weights, history).filter(|(_, factor)| *factor != 0.0) {
            let (entries, scale) = neighbours.of(row);
            for (neighbour, weight) in entries {
                dense[neighbour as usize] += factor * (f32::from(weight) * scale);
                touched[neighbour as usize / 64] |= 1 << (neighbour % 64);
            }
        }
        let mut rows = Vec::new();
        for (i, word) in touched.iter().enumerate() {
            let mut rest = *word;
            while rest != 0 {
                rows.push(64 * i as u32 + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
        let sums = rows.iter().map(|row| dense[*row as usize]).collect();
        Sums { rows, sums }
    }

    /// What the events of a history add to the sums of some rows: for each row the ages of the events that have it as a
    /// neighbour, 0 for the newest, and what they add, newest first. No row may be there twice.
    ///
    /// # Panics
    /// As [`Sums::of`], and if one of the rows is past the end.
    pub fn parts(
        neighbours: &Neighbours,
        weights: &NeighbourWeights,
        history: &EncodedHistory,
        of: &[u32],
    ) -> Vec<Vec<(usize, f32)>> {
        let mut places = vec![u32::MAX; neighbours.len()];
        of.iter().zip(0..).for_each(|(row, at)| places[*row as usize] = at);
        let mut parts = vec![Vec::new(); of.len()];
        for (age, (row, factor)) in factors(weights, history).enumerate() {
            let (entries, scale) = neighbours.of(row);
            for (neighbour, weight) in entries {
                if let Some(parts) = parts.get_mut(places[neighbour as usize] as usize) {
                    parts.push((age, factor * (f32::from(weight) * scale)));
                }
            }
        }
        parts
    }

    /// The given rows, which ascend, with their sums.
    #[cfg(test)]
    pub(crate) fn of_rows(pairs: &[(u32, f32)]) -> Sums {
        let (rows, sums) = pairs.iter().copied().unzip();
        Sums { rows, sums }
    }

    /// The rows that have a sum, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Rows and sums, in row order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.rows.iter().copied().zip(self.sums.iter().copied())
    }

    /// What the score of a row gains, in logits.
    pub fn get(&self, row: u32) -> f32 {
        self.find(row).unwrap_or(0.0)
    }

    /// The sum of a row; `None` if it has none.
    pub fn find(&self, row: u32) -> Option<f32> {
        self.rows.binary_search(&row).ok().map(|at| self.sums[at])
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::bundle::NeighbourFile;
    use crate::bundle::testing::NeighbourParts;
    use crate::kernels::tests::numbers;

    fn weights() -> NeighbourWeights {
        NeighbourWeights { events: 9, share: 2.0, decay: 0.5, types: vec![1.0, 3.0, 0.0], values: vec![1.0, -1.0] }
    }

    fn history(events: &[(u32, u16, u16)]) -> EncodedHistory {
        EncodedHistory {
            rows: events.iter().map(|event| event.0).collect(),
            types: events.iter().map(|event| event.1).collect(),
            values: events.iter().map(|event| event.2).collect(),
            ..EncodedHistory::default()
        }
    }

    fn neighbours(lists: &[(Vec<(u32, i8)>, f32)]) -> Neighbours {
        let bytes = NeighbourParts::of(lists).bytes(false);
        Neighbours::new(vec![NeighbourFile::new(bytes, lists.len(), lists.len()).unwrap()])
    }

    #[test]
    fn sums_are_those_worked_out_by_hand() {
        let mut lists = vec![(vec![], 1.0); 70];
        lists[0] = (vec![(1, 10), (69, -20)], 0.5);
        lists[1] = (vec![(1, 4), (64, 127)], 0.25);
        lists[2] = (vec![(5, 1)], 1.0);
        let neighbours = neighbours(&lists);
        let sums = |weights: &NeighbourWeights, events: &[(u32, u16, u16)]| {
            Sums::of(&neighbours, weights, &history(events)).iter().collect::<Vec<_>>()
        };
        assert_eq!(sums(&weights(), &[]), []);
        // The newest event counts 2.
        assert_eq!(sums(&weights(), &[(0, 0, 0)]), [(1, 10.0), (69, -20.0)]);
        // Types and values are factors; the event before counts half of it, and one of no weight ages those before it.
        assert_eq!(sums(&weights(), &[(0, 1, 0)]), [(1, 30.0), (69, -60.0)]);
        assert_eq!(sums(&weights(), &[(0, 0, 1)]), [(1, -10.0), (69, 20.0)]);
        assert_eq!(sums(&weights(), &[(2, 0, 0), (0, 0, 0)]), [(1, 5.0), (5, 2.0), (69, -10.0)]);
        assert_eq!(sums(&weights(), &[(2, 2, 0), (0, 0, 0)]), [(1, 5.0), (69, -10.0)]);
        assert_eq!(sums(&weights(), &[(1, 0, 0), (0, 0, 0)]), [(1, 7.0), (64, 63.5), (69, -10.0)]);
        // A sum of 0 is there, and an item may be twice in a history.
        assert_eq!(sums(&weights(), &[(0, 0, 0), (0, 0, 1)]), [(1, 5.0), (69, -10.0)]);
        let even = NeighbourWeights { decay: 1.0, ..weights() };
        assert_eq!(sums(&even, &[(0, 0, 0), (0, 0, 1)]), [(1, 0.0), (69, 0.0)]);
        // What each event adds to some rows, in their order.
        let three = history(&[(1, 0, 0), (0, 0, 1), (2, 0, 0)]);
        let parts = Sums::parts(&neighbours, &weights(), &three, &[69, 7, 1]);
        assert_eq!(parts, [vec![(1, 10.0)], vec![], vec![(0, 2.0), (1, -5.0)]]);
        // Only the newest events count.
        let one = NeighbourWeights { events: 1, ..weights() };
        assert_eq!(sums(&one, &[(2, 0, 0), (0, 0, 0)]), [(5, 2.0)]);
        assert_eq!(sums(&NeighbourWeights { share: 0.0, ..weights() }, &[(0, 0, 0)]), []);
        let got = Sums::of(&neighbours, &weights(), &history(&[(1, 0, 0)]));
        assert_eq!([got.get(0), got.get(1), got.get(64), got.get(69)], [0.0, 2.0, 63.5, 0.0]);
        assert_eq!(got.rows(), [1, 64]);
    }

    /// The order of the operations is part of the format: every build gives these bits.
    #[test]
    fn the_order_of_the_sum_is_fixed() {
        let (n, mut next) = (500u32, numbers(21));
        let mut below = |most: u32| (next() >> 33) as u32 % most;
        let mut list = || {
            let mut rows: Vec<u32> = (0..20).map(|_| below(n)).collect();
            rows.sort_unstable();
            rows.dedup();
            let list = rows.into_iter().map(|row| (row, below(255) as i8)).map(|(row, w)| (row, w.max(-127))).collect();
            (list, 0.001 + below(1000) as f32 / 7000.0)
        };
        let lists: Vec<_> = (0..n).map(|_| list()).collect();
        let weights =
            NeighbourWeights { events: 50, share: 1.7, decay: 0.83, types: vec![1.1, 0.7, 1.3], values: vec![1.0, -0.4, 0.9] };
        let events: Vec<_> = (0..60).map(|i| (i * 37 % 90, (i % 3) as u16, (i % 3) as u16)).collect();
        let neighbours = neighbours(&lists);
        let got = Sums::of(&neighbours, &weights, &history(&events));
        let mut expected = vec![0.0f32; n as usize];
        let mut fade = weights.share;
        for (row, kind, value) in &events[..50] {
            let factor = fade * weights.types[usize::from(*kind)] * weights.values[usize::from(*value)];
            let (list, scale) = &lists[*row as usize];
            list.iter().for_each(|(row, weight)| expected[*row as usize] += factor * (f32::from(*weight) * scale));
            fade *= weights.decay;
        }
        let touched =
            |row: &u32| events[..50].iter().any(|event| lists[event.0 as usize].0.iter().any(|(other, _)| other == row));
        assert_eq!(got.rows(), (0..n).filter(touched).collect::<Vec<_>>());
        assert!(got.iter().all(|(row, sum)| sum.to_bits() == expected[row as usize].to_bits()));
        let hash = got.iter().fold(0u64, |hash, (row, sum)| hash.wrapping_mul(31).wrapping_add(u64::from(sum.to_bits() ^ row)));
        assert_eq!(hash, 8_983_985_327_088_652_533);
    }
}
