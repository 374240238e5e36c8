//! The graph of what follows what in histories.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::MOST_ENTRIES;
use super::matrix::{Matrix, strongest};

/// Pairs that are in memory at a time.
const PAIRS: usize = 1 << 24;

/// Settings of the graph.
///
/// T[i, j] = Σ fade^(d − 1) over all pairs in which j comes d ≤ window steps after i, and `backwards` times that over
/// those in which it comes before i. Row and column are then divided by powers of their sums.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// Most steps between the two items of a pair, 1 or more.
    pub window: usize,
    /// Factor from one step to the next, above 0, at most 1.
    pub fade: f32,
    /// Weight of a pair in the other direction, 0 to 1.
    pub backwards: f32,
    /// Power of the row's sum that the row is divided by, 0 to 1.
    pub out_power: f32,
    /// Power of the column's sum that the column is divided by, 0 to 1. At 0 popular items are everyone's neighbours.
    pub in_power: f32,
    /// Weight of the way over a third item beside the direct one, 0 or more.
    pub hops: f32,
}

impl Default for Graph {
    fn default() -> Self {
        Graph { window: 10, fade: 0.8, backwards: 0.5, out_power: 0.5, in_power: 0.5, hops: 0.0 }
    }
}

/// The graph of `items` items from histories of item rows, oldest first: at most [`MOST_ENTRIES`] a row.
pub fn graph(items: usize, histories: &[Vec<u32>], settings: &Graph) -> Matrix {
    // Sums of rows and columns, and how many pairs a row has.
    let (mut outs, mut ins, mut counts) = (vec![0.0f64; items], vec![0.0f64; items], vec![0usize; items]);
    for_each_pair(histories, settings, |from, to, weight| {
        outs[from as usize] += f64::from(weight);
        ins[to as usize] += f64::from(weight);
        counts[from as usize] += 1;
    });
    let divisors = |sums: &[f64], power: f32| -> Vec<f32> {
        sums.iter().map(|sum| libm::pow(sum.max(f64::MIN_POSITIVE), f64::from(power)) as f32).collect()
    };
    let (outs, ins) = (divisors(&outs, settings.out_power), divisors(&ins, settings.in_power));
    let mut rows: Vec<Vec<(u32, f32)>> = Vec::with_capacity(items);
    while rows.len() < items {
        // As many rows as fit; one row at least.
        let first = rows.len();
        let mut ends = Vec::new();
        let mut sum = 0;
        for count in &counts[first..] {
            if !ends.is_empty() && sum + count > PAIRS {
                break;
            }
            sum += count;
            ends.push(sum);
        }
        let mut pairs = vec![(0u32, 0.0f32); sum];
        let mut next: Vec<usize> = (0..ends.len()).map(|row| if row == 0 { 0 } else { ends[row - 1] }).collect();
        for_each_pair(histories, settings, |from, to, weight| {
            if let Some(next) = (from as usize).checked_sub(first).and_then(|row| next.get_mut(row)) {
                pairs[*next] = (to, weight);
                *next += 1;
            }
        });
        let row = |row: usize| {
            let from = if row == 0 { 0 } else { ends[row - 1] };
            let mut entries = pairs[from..ends[row]].to_vec();
            // Stable, so that equal data gives equal sums.
            entries.sort_by_key(|entry| entry.0);
            let mut merged: Vec<(u32, f32)> = Vec::new();
            for (to, weight) in entries {
                match merged.last_mut().filter(|last| last.0 == to) {
                    Some(last) => last.1 += weight,
                    None => merged.push((to, weight)),
                }
            }
            merged.iter_mut().for_each(|(to, weight)| *weight /= outs[first + row] * ins[*to as usize]);
            strongest(merged, MOST_ENTRIES)
        };
        let found: Vec<_> = (0..ends.len()).into_par_iter().map(row).collect();
        rows.extend(found);
    }
    if settings.hops > 0.0 { with_hops(&rows, settings.hops) } else { Matrix { rows } }
}

/// Adds `weight` times the product of the matrix with itself, without its diagonal.
fn with_hops(rows: &[Vec<(u32, f32)>], weight: f32) -> Matrix {
    let row = |(i, own): (usize, &Vec<(u32, f32)>)| {
        let mut entries = own.clone();
        for (middle, first) in own {
            let on = rows[*middle as usize].iter().filter(|(to, _)| *to as usize != i);
            entries.extend(on.map(|(to, second)| (*to, weight * first * second)));
        }
        entries.sort_by_key(|entry| entry.0);
        entries.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 += later.1;
            }
            same
        });
        strongest(entries, MOST_ENTRIES)
    };
    Matrix { rows: rows.par_iter().enumerate().map(row).collect() }
}

/// Calls `then` with both ends and the weight of every pair. Pairs of one item with itself are none.
fn for_each_pair(histories: &[Vec<u32>], settings: &Graph, mut then: impl FnMut(u32, u32, f32)) {
    for history in histories {
        for (at, from) in history.iter().enumerate() {
            let mut weight = 1.0;
            for to in history[at + 1..].iter().take(settings.window) {
                if from != to {
                    then(*from, *to, weight);
                    if settings.backwards > 0.0 {
                        then(*to, *from, settings.backwards * weight);
                    }
                }
                weight *= settings.fade;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Graph = Graph { window: 2, fade: 0.5, backwards: 0.0, out_power: 0.0, in_power: 0.0, hops: 0.0 };

    #[test]
    fn counts_what_follows_what() {
        let histories = [vec![0, 1, 2], vec![0, 2, 2, 1]];
        let rows = graph(4, &histories, &PLAIN).rows;
        // 0 → 1 one step, 0 → 2 two steps; then 0 → 2 one and two steps, 2 → 1 two steps and one.
        assert_eq!(rows, [vec![(1, 1.0), (2, 2.0)], vec![(2, 1.0)], vec![(1, 1.5)], vec![]]);
        let both = graph(4, &histories, &Graph { backwards: 0.5, ..PLAIN }).rows;
        assert_eq!(both[1], [(0, 0.5), (2, 1.75)]);
        assert_eq!(both[2], [(0, 1.0), (1, 2.0)]);
    }

    #[test]
    fn rows_and_columns_are_divided_by_powers_of_their_sums() {
        let histories = [vec![0, 1], vec![0, 1], vec![0, 2], vec![3, 1]];
        let graph = graph(4, &histories, &Graph { out_power: 1.0, in_power: 0.5, ..PLAIN });
        let root = 3f32.sqrt();
        let [one, two] = [graph.rows[0][0].1, graph.rows[0][1].1];
        assert!((one - 2.0 / 3.0 / root).abs() < 1e-6 && (two - 1.0 / 3.0).abs() < 1e-6, "{one} {two}");
        assert!((graph.rows[3][0].1 - 1.0 / root).abs() < 1e-6);
    }

    #[test]
    fn hops_lead_over_a_third_item() {
        let rows = graph(3, &[vec![0, 1], vec![1, 2], vec![1, 0]], &Graph { hops: 0.5, window: 1, ..PLAIN }).rows;
        assert_eq!(rows[0], [(1, 1.0), (2, 0.5)], "0 → 1 → 2, and 0 → 1 → 0 is none");
    }
}
