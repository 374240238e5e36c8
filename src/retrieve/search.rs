//! The best rows for a visitor's vector, found without reading every vector in full.
//!
//! 1. Code sums of all rows, 4 bits for two dimensions. A threshold rises until only about as many rows as wanted pass
//!    it.
//! 2. int8 scores of the rows that passed.
//! 3. Scores with residuals for a short list of the best of these.
//!
//! Rows that have a sum over neighbours are few. They are taken out of these steps, scored by the arithmetic of the
//! last one, and merged with what was found.
//!
//! The result is exact unless one of the best rows misses the threshold of step 1. The recalls in [`Effort`] are
//! measured.

use serde::{Deserialize, Serialize};

use super::score::Scorer;
use super::{Bitmap, TopK};
use crate::bundle::{Lift, Rows};
use crate::error::{ErrorKind, Result, range};
use crate::kernels::{BLOCK, SUM_LIMIT, Tables};

/// How many blocks are summed at a time.
const TILE_BLOCKS: usize = 32;
/// About how many tiles are sampled to guess the threshold.
const SAMPLED: usize = 24;

/// How thorough a search is: how many rows get past step 1.
///
/// The codes lose about a tenth of the variance of a score. For normal scores, the true best k of n lie among the best
/// 2.3 · k^⅔ · n^⅓ by code sum if the loss is at most three standard deviations; for two deviations a third of that is
/// enough. `src/docs/figures.md` has recalls measured on trained and on Gaussian vectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// Recall of at least .999.
    #[default]
    Accurate,
    /// Recall of at least .99; faster on large catalogs.
    Fast,
    /// For the pool of a policy, whose last rows matter little: recall of at least .9, ranked by int8 scores.
    #[serde(skip)]
    Pool,
}

impl Effort {
    /// How many rows step 2 looks at.
    fn candidates(self, k: usize, n: usize) -> usize {
        let (least, factor) = match self {
            Effort::Accurate => (2 * k, 3.0),
            Effort::Fast => (2 * k, 1.2),
            Effort::Pool => (k, 0.6),
        };
        least + 64 + (factor * libm::cbrt(k as f64 * k as f64 * n as f64)) as usize
    }
}

/// In a catalog with fewer rows, int8 scores of all of them are as fast as codes.
const CODES_FROM: usize = 20_000;

/// The `k` best of the allowed rows with their scores, best first, ties by row; fewer if fewer are allowed.
pub fn search(scorer: &Scorer, allowed: &Bitmap, k: usize, effort: Effort) -> Vec<(f32, u32)> {
    let Some(sums) = scorer.sums else { return search_rest(scorer, allowed, k, effort) };
    let mut rest = allowed.clone();
    sums.rows().iter().for_each(|row| rest.remove(*row));
    let found = search_rest(scorer, &rest, k, effort);
    merged(scorer, allowed, found, k, effort)
}

/// The `k` best of the allowed rows, once `found` has the best of those that have no sum over neighbours: of a search
/// for as many with the same effort, in one part or in several.
pub fn merged(scorer: &Scorer, allowed: &Bitmap, found: Vec<(f32, u32)>, k: usize, effort: Effort) -> Vec<(f32, u32)> {
    let Some(sums) = scorer.sums else { return found };
    let touched: Vec<u32> = sums.rows().iter().copied().filter(|row| allowed.contains(*row)).collect();
    let rest = allowed.len() - touched.len();
    // Rows with their int8 scores and sums, and how far residuals may move them.
    let (mut int8, reach) = (Vec::with_capacity(touched.len()), scorer.reach());
    scorer.each_of(&touched, false, |row, score| {
        let sum = sums.get(row);
        int8.push((row, score + sum, reach(row, score.abs() + sum.abs())));
    });
    let (mut best, mut lowest) = (TopK::new(k), TopK::new(k));
    found.iter().for_each(|(score, row)| best.offer(*score, *row));
    if effort == Effort::Pool && !scores_all(scorer.len(), k.min(rest), effort) {
        int8.into_iter().for_each(|(row, score, _)| best.offer(score, row));
        return best.into_ranked();
    }
    // Residuals move a score by little, so they are read only of rows that they can lift to the best k.
    found.into_iter().for_each(|(score, row)| lowest.offer(score, row));
    int8.iter().for_each(|(row, score, reach)| lowest.offer(score - reach, *row));
    let lowest = lowest.into_ranked();
    let least = lowest.last().filter(|_| lowest.len() == k).map_or(f32::NEG_INFINITY, |(score, _)| *score);
    for (row, score, reach) in int8 {
        let highest = score + reach;
        if highest >= least || highest.is_nan() {
            best.offer(scorer.score(row), row);
        }
    }
    best.into_ranked()
}

/// How many rows step 2 leaves for the last step.
fn short_list(k: usize, effort: Effort) -> usize {
    if effort == Effort::Pool { k } else { 2 * k + 32 }
}

/// Whether a list of `k` of `n` rows is so long that all rows are scored in full.
fn scores_all(n: usize, k: usize, effort: Effort) -> bool {
    short_list(k, effort) >= n / 4
}

/// The `k` best of the allowed rows, none of which has a sum over neighbours.
fn search_rest(scorer: &Scorer, allowed: &Bitmap, k: usize, effort: Effort) -> Vec<(f32, u32)> {
    let n = scorer.len();
    let k = k.min(allowed.len());
    let is_fine = effort != Effort::Pool;
    let (wanted, short) = (effort.candidates(k, n), short_list(k, effort));
    let codes = tables(scorer).filter(|_| n >= CODES_FROM && wanted < n / 4 && short < allowed.len());
    let (mut best, mut coarse) = (TopK::new(k), TopK::new(short));
    if let Some(tables) = codes {
        let candidates = by_codes(scorer, &tables, allowed, wanted);
        scorer.each_of(&candidates, false, |row, score| coarse.offer(score, row));
    } else if !scores_all(n, k, effort) {
        scorer.each_tile(|first, scores| coarse.offer_run(first, scores, allowed));
    } else {
        best.offer_run(0, &scorer.all(), allowed);
        return best.into_ranked();
    }
    if !is_fine {
        return coarse.into_ranked();
    }
    scorer.each_of(&coarse.into_rows(), true, |row, score| best.offer(score, row));
    best.into_ranked()
}

/// The `k` best rows of the first `files` item files for any vector `[d]`, without the `removed` rows. Shards search
/// the rest of the catalog.
///
/// # Errors
/// `length` for a vector of another length, `range` for a number that is not finite.
pub fn search_part(
    rows: &Rows,
    vector: &[f32],
    k: usize,
    effort: Effort,
    lift: Lift,
    removed: &[u32],
    files: usize,
) -> Result<Vec<(f32, u32)>> {
    check_vector(rows, vector)?;
    let scorer = Scorer { files, ..Scorer::lifted(rows, vector, lift) };
    Ok(search(&scorer, &Bitmap::without(scorer.len(), removed), k, effort))
}

/// Checks that a vector has `d` finite numbers.
///
/// # Errors
/// Same errors as [`search_part`].
pub fn check_vector(rows: &Rows, vector: &[f32]) -> Result<()> {
    if vector.len() != rows.dim() {
        return Err(ErrorKind::Length { expected: rows.dim(), got: vector.len(), unit: "numbers" }.at("vector"));
    }
    match vector.iter().position(|x| !x.is_finite()) {
        Some(at) => Err(range("a finite number", "another").at(format!("vector/{at}"))),
        None => Ok(()),
    }
}

/// The tables of the vector; `None` unless all files have codes.
fn tables(scorer: &Scorer) -> Option<Tables> {
    let biases = scorer.bias_codes()?;
    let codebooks: Option<Vec<&[f32]>> = scorer.files().map(|(_, f)| f.codes().map(|c| c.1)).collect();
    Some(Tables::new(scorer.user, codebooks?.into_iter(), biases.range))
}

/// The allowed rows with the highest code sums, at least `wanted` of them, in row order.
fn by_codes(scorer: &Scorer, tables: &Tables, allowed: &Bitmap, wanted: usize) -> Vec<u32> {
    // A sample of the tiles shows about where the threshold will end. The scan starts a little below that.
    let step = scorer.len() / (SAMPLED * TILE_BLOCKS * BLOCK) + 1;
    let share = wanted / step;
    let sampled = Admitted::scan(scorer, tables, allowed, share + share / 4 + 3 * share.isqrt() + 4, 0, step);
    let mut admitted = Admitted::scan(scorer, tables, allowed, wanted, sampled.admit, 1);
    if admitted.above < wanted && sampled.admit > 0 {
        admitted = Admitted::scan(scorer, tables, allowed, wanted, 0, 1);
    }
    let admit = admitted.admit;
    admitted.kept.into_iter().filter(|(sum, _)| *sum >= admit).map(|(_, row)| row).collect()
}

/// The rows that a scan of code sums let through.
struct Admitted {
    /// Sums and rows, in row order. Some are below the final threshold.
    kept: Vec<(i16, u32)>,
    /// The final threshold: the highest that `wanted` rows reach.
    admit: i16,
    /// How many rows have a sum of `admit` or more.
    above: usize,
}

impl Admitted {
    /// Scans every `step`-th tile. The threshold starts at `from` and rises.
    fn scan(scorer: &Scorer, tables: &Tables, allowed: &Bitmap, wanted: usize, from: i16, step: usize) -> Admitted {
        let mut kept = Vec::with_capacity(2 * wanted);
        let mut counts = vec![0u32; SUM_LIMIT];
        let (mut admit, mut above) = (from, 0usize);
        let (mut sums, mut masks) = ([0; TILE_BLOCKS * BLOCK], [0; TILE_BLOCKS]);
        let biases = scorer.bias_codes().map_or(&[][..], |biases| &biases.codes);
        for (i, ((first, file), biases)) in scorer.files().zip(biases).enumerate() {
            let Some((codes, codebook)) = file.codes() else { continue };
            let width = codebook.len() / 4;
            let tiles = codes.chunks(TILE_BLOCKS * width).zip(biases.chunks(TILE_BLOCKS * BLOCK)).enumerate();
            for (tile, (codes, biases)) in tiles.step_by(step) {
                let (sums, masks) = (&mut sums[..biases.len()], &mut masks[..biases.len() / BLOCK]);
                scorer.kernels.scan(&tables.scan(i, codes, biases), admit, sums, masks);
                // Most blocks let no row through, so four are skipped at a time.
                for (four, masks) in
                    masks.chunks(4).enumerate().filter(|(_, four)| four.iter().fold(0, |any, mask| any | mask) != 0)
                {
                    for (block, mask) in (4 * four..).zip(masks) {
                        let at = (tile * TILE_BLOCKS + block) * BLOCK;
                        // The last block of a file is padded: its last lanes may hold no row.
                        let there = u16::MAX >> (BLOCK - (file.len() - at).min(BLOCK));
                        let mut rest = mask & there & allowed.bits(first + at);
                        above += rest.count_ones() as usize;
                        while rest != 0 {
                            let lane = rest.trailing_zeros() as usize;
                            rest &= rest - 1;
                            let sum = sums[block * BLOCK + lane];
                            counts[sum as usize] += 1;
                            kept.push((sum, (first + at + lane) as u32));
                        }
                    }
                }
                while above - counts[admit as usize] as usize >= wanted {
                    above -= counts[admit as usize] as usize;
                    admit += 1;
                }
            }
        }
        Admitted { kept, admit, above }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::bundle::testing::rows;
    use crate::kernels::tests::numbers;
    use crate::retrieve::{Sums, precedes, top_k};

    /// Normal numbers, nearly: sums of four uniform ones.
    fn normal(n: usize, seed: u64) -> Vec<f32> {
        let mut next = numbers(seed);
        let mut unit = || (next() >> 40) as f32 / (1 << 24) as f32;
        (0..n).map(|_| (unit() + unit() + unit() + unit() - 2.0) * 1.7).collect()
    }

    /// The best by exact products in f64.
    fn oracle(dim: usize, vectors: &[f32], biases: &[f32], user: &[f32], allowed: &Bitmap, k: usize) -> Vec<u32> {
        let score = |row: u32| {
            let vector = &vectors[row as usize * dim..][..dim];
            vector.iter().zip(user).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() + f64::from(biases[row as usize])
        };
        let mut all: Vec<(f32, u32)> = allowed.iter().map(|row| (score(row) as f32, row)).collect();
        all.sort_by(|a, b| precedes(*a, *b));
        all.into_iter().take(k).map(|(_, row)| row).collect()
    }

    fn recall(got: &[(f32, u32)], expected: &[u32]) -> f64 {
        got.iter().filter(|(_, row)| expected.contains(row)).count() as f64 / expected.len() as f64
    }

    /// Recall against exact scores, with files of odd sizes, filters and biases, for several k.
    #[test]
    fn finds_the_true_best() {
        let (n, dim) = (30_000, 64);
        let (vectors, biases) = (normal(n * dim, 1), normal(n, 2));
        let planes = rows(dim, &vectors, &biases, &[9_999, 1, 12_000, 8_000], true);
        let plain = rows(dim, &vectors, &biases, &[9_999, 1, 12_000, 8_000], false);
        let mut allowed = Bitmap::full(n);
        (0..n as u32).filter(|row| row % 7 == 3).for_each(|row| allowed.remove(row));
        let (mut accurate, mut fast, mut pool, mut int8) = ([0.0; 3], [0.0; 3], [0.0; 3], [0.0; 3]);
        let queries = 40;
        for seed in 0..queries {
            let user = normal(dim, 100 + seed);
            let (fine, coarse) = (Scorer::new(&planes, &user), Scorer::new(&plain, &user));
            let best = oracle(dim, &vectors, &biases, &user, &allowed, 100);
            for (i, k) in [1, 10, 100].into_iter().enumerate() {
                let expected = &best[..k];
                let got = search(&fine, &allowed, k, Effort::Accurate);
                assert!(got.iter().all(|(score, row)| *score == fine.score(*row) && row % 7 != 3));
                assert!(got.is_sorted_by(|a, b| precedes(*a, *b).is_lt()));
                accurate[i] += recall(&got, expected) / queries as f64;
                fast[i] += recall(&search(&fine, &allowed, k, Effort::Fast), expected) / queries as f64;
                pool[i] += recall(&search(&fine, &allowed, k, Effort::Pool), expected) / queries as f64;
                int8[i] += recall(&search(&coarse, &allowed, k, Effort::Accurate), expected) / queries as f64;
            }
        }
        // Four hundred rows of the lists of ten tell no more than .9975 from 1.
        assert!(accurate[0] > 0.999 && accurate[1] >= 0.997 && accurate[2] >= 0.999, "{accurate:?}");
        assert!(fast.iter().all(|r| *r >= 0.98), "{fast:?}");
        assert!(pool.iter().all(|r| *r >= 0.9), "{pool:?}");
        // int8 vectors alone reach less: this is what residuals are for.
        assert!(int8[2] > 0.97 && int8[2] < 0.998, "{int8:?}");
    }

    /// Without codes the result is exactly that of ranking all scores.
    #[test]
    fn small_catalogs_and_long_lists_are_exact() {
        let (n, dim) = (3_000, 5);
        let (vectors, biases, user) = (normal(n * dim, 3), normal(n, 4), normal(dim, 5));
        for planes in [true, false] {
            let rows = rows(dim, &vectors, &biases, &[1_000, 2_000], planes);
            let scorer = Scorer::new(&rows, &user);
            let scores = scorer.all();
            let mut allowed = Bitmap::full(n);
            (0..100).for_each(|row| allowed.remove(row * 30));
            for k in [0, 1, 1_000, 2_899, 2_900, n, usize::MAX] {
                if k < 1_000 && planes {
                    continue;
                }
                assert_eq!(search(&scorer, &allowed, k, Effort::Accurate), top_k(&scores, &allowed, k), "{planes} {k}");
            }
            assert_eq!(scores[7], scorer.score(7));
        }
    }

    /// Parts of a catalog that are searched separately give the result of the whole.
    #[test]
    fn parts_find_what_the_whole_finds() {
        let (n, dim, first) = (4_000, 6, 1_500);
        let (vectors, biases, user) = (normal(n * dim, 9), normal(n, 10), normal(dim, 11));
        let whole = rows(dim, &vectors, &biases, &[first, 2_500], true);
        let shard = rows(dim, &vectors[first * dim..], &biases[first..], &[2_500], true);
        let removed: Vec<u32> = (0..n as u32).filter(|row| row % 5 == 2).collect();
        for (k, lift) in [(1, 0.0), (40, 0.0), (3_000, 0.0), (40, 0.7)] {
            let lift = Lift { length: lift, rarity: lift };
            let part =
                |rows, removed: &[u32], files| search_part(rows, &user, k, Effort::Accurate, lift, removed, files).unwrap();
            let elsewhere = removed.iter().filter_map(|row| row.checked_sub(first as u32)).collect::<Vec<_>>();
            let mut both = part(&whole, &removed, 1);
            assert!(both.iter().all(|(_, row)| (*row as usize) < first) && both.len() == k.min(1_200));
            both.extend(part(&shard, &elsewhere, 9).into_iter().map(|(score, row)| (score, row + first as u32)));
            both.sort_by(|a, b| precedes(*a, *b));
            both.truncate(k);
            assert_eq!(both, part(&whole, &removed, usize::MAX), "{k}");
        }
        assert_eq!(search_part(&whole, &user[1..], 1, Effort::Fast, Lift::default(), &[], 1).unwrap_err().code(), "length");
        assert_eq!(search_part(&whole, &[f32::NAN; 6], 1, Effort::Fast, Lift::default(), &[], 1).unwrap_err().code(), "range");
    }

    /// A lift is part of the score, with codes and without.
    #[test]
    fn a_lift_finds_what_it_lifts() {
        let (n, dim) = (21_000, 8);
        let (vectors, biases, user) = (normal(n * dim, 12), normal(n, 13), normal(dim, 14));
        let lift = Lift { length: 1.5, rarity: 0.0 };
        let lifted = |row: &u32| {
            let vector = &vectors[*row as usize * dim..][..dim];
            let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
            biases[*row as usize] + 1.5 * libm::sqrt(length) as f32
        };
        let exact: Vec<f32> = (0..n as u32).map(|row| lifted(&row)).collect();
        let expected = oracle(dim, &vectors, &exact, &user, &Bitmap::full(n), 50);
        for planes in [true, false] {
            let rows = rows(dim, &vectors, &biases, &[20_000, 1_000], planes);
            let scorer = Scorer::lifted(&rows, &user, lift);
            let got = search(&scorer, &Bitmap::full(n), 50, Effort::Accurate);
            assert!(recall(&got, &expected) >= if planes { 1.0 } else { 0.9 }, "{planes}: {}", recall(&got, &expected));
            assert_eq!(got[0].0, scorer.score(got[0].1));
        }
    }

    /// Sums for about every `step`-th row, of either sign, some of them 0.
    fn drawn_sums(n: usize, step: u64, seed: u64) -> Sums {
        let mut next = numbers(seed);
        let mut pairs = Vec::new();
        for row in (0..n as u32).filter(|row| u64::from(*row) % step == seed % step) {
            let bits = next();
            let sum = ((bits >> 40) as f32 / (1 << 24) as f32 - 0.5) * 8.0;
            pairs.push((row + (bits % step) as u32, if bits.is_multiple_of(9) { 0.0 } else { sum }));
        }
        Sums::of_rows(&pairs.into_iter().filter(|(row, _)| (*row as usize) < n).collect::<Vec<_>>())
    }

    fn best_of(mut all: Vec<(f32, u32)>, k: usize) -> Vec<(f32, u32)> {
        all.sort_by(|a, b| precedes(*a, *b));
        all.truncate(k);
        all
    }

    /// With sums over neighbours a search gives the definition: score every allowed row, sort by score and row. It does
    /// so over all rows where it scans them all, and elsewhere over the rows that it finds among those without a sum.
    #[test]
    fn sums_are_added_as_the_definition_says() {
        let mut next = numbers(31);
        let mut below = |most: usize| (next() >> 33) as usize % most;
        let (mut scanned, mut split) = (0, 0);
        for (n, dim, draws) in [(40, 3, 60), (700, 5, 60), (3_000, 6, 40), (24_000, 8, 12)] {
            let (vectors, biases) = (normal(n * dim, n as u64), normal(n, 1 + n as u64));
            let first = n / 3;
            for planes in [true, false] {
                let shard = rows(dim, &vectors[first * dim..], &biases[first..], &[n - first], planes);
                let rows = rows(dim, &vectors, &biases, &[first, n - first], planes);
                for draw in 0..draws {
                    let (seed, lift) = (1_000 * n as u64 + draw, [0.0, 0.4, 1.5][below(3)]);
                    let (user, lift) = (normal(dim, seed), Lift { length: lift, rarity: lift });
                    let step = [1, 3, 40, 1_000_000][below(4)];
                    let sums = drawn_sums(n, step, seed);
                    let share = below(4) as u32;
                    let removed: Vec<u32> = (0..n as u32).filter(|row| row * 7 % 5 < share).collect();
                    let (allowed, rest) = (Bitmap::without(n, &removed), [&removed, sums.rows()].concat());
                    let k = [0, 1, 1 + below(20), 1 + below(n), n, usize::MAX][below(6)];
                    let effort = [Effort::Accurate, Effort::Fast, Effort::Pool][below(3)];
                    let (plain, scorer) = (Scorer::lifted(&rows, &user, lift), Scorer::lifted(&rows, &user, lift).with(&sums));
                    let got = search(&scorer, &allowed, k, effort);
                    let case = format!("n {n} planes {planes} draw {draw} k {k} {effort:?} step {step}");

                    let left = Bitmap::without(n, &rest);
                    let all_in_full = scores_all(n, k.min(left.len()), effort);
                    let in_full = effort != Effort::Pool || all_in_full;
                    let score = |row: u32| {
                        let mut score = plain.score(row);
                        if !in_full {
                            plain.each_of(&[row], false, |_, int8| score = int8);
                        }
                        (score + sums.get(row), row)
                    };
                    let found = search(&plain, &left, k, effort);
                    assert!(found.iter().all(|(got, row)| *got == score(*row).0), "{case}");
                    let touched = sums.rows().iter().copied().filter(|row| allowed.contains(*row));
                    let expected = best_of(found.iter().copied().chain(touched.map(score)).collect(), k);
                    assert_eq!(got, expected, "{case}");
                    // Elsewhere codes or int8 scores choose which rows residuals are read of.
                    if !planes || all_in_full || (n < CODES_FROM && effort == Effort::Pool) {
                        assert_eq!(got, best_of(allowed.iter().map(score).collect(), k), "{case}");
                        scanned += 1;
                    }
                    if in_full {
                        let all = scorer.all();
                        assert!(got.iter().all(|(score, row)| *score == scorer.score(*row) && *score == all[*row as usize]));
                    }
                    // Two shards find the rows without a sum, and the one that asks adds the others.
                    if !planes || (k >= n && effort != Effort::Pool) {
                        let there: Vec<u32> = rest.iter().filter_map(|row| row.checked_sub(first as u32)).collect();
                        let mut both = search_part(&rows, &user, k, effort, lift, &rest, 1).unwrap();
                        let other = search_part(&shard, &user, k, effort, lift, &there, 1).unwrap();
                        both.extend(other.into_iter().map(|(score, row)| (score, row + first as u32)));
                        assert_eq!(merged(&scorer, &allowed, best_of(both, k), k, effort), got, "{case}");
                        split += 1;
                    }
                }
            }
        }
        assert!(scanned > 150 && split > 150, "{scanned} {split}");
    }

    /// No row's residuals move its score by more than the bound says, and the bound is no larger than it must be.
    #[test]
    fn residuals_stay_within_their_reach() {
        for (dim, size, bias) in [(1, 1.0, 0.0), (7, 1e-20, 0.0), (64, 30.0, 1e6), (33, 1e9, 1.0)] {
            let (n, seed) = (2_000, dim as u64);
            let biases: Vec<f32> = normal(n, seed).iter().map(|x| x * bias).collect();
            let vectors: Vec<f32> = normal(n * dim, 7 + seed).iter().map(|x| x * size).collect();
            let rows = rows(dim, &vectors, &biases, &[700, 1_300], true);
            let user = normal(dim, 9 + seed);
            let scorer = Scorer::new(&rows, &user);
            let (reach, mut most) = (scorer.reach(), 0.0f32);
            let all: Vec<u32> = (0..n as u32).collect();
            scorer.each_of(&all, false, |row, score| {
                let (apart, reach) = ((scorer.score(row) - score).abs(), reach(row, score.abs()));
                assert!(apart <= reach, "{dim} {row}: {apart} {reach}");
                most = most.max(apart / reach);
            });
            // A row of one dimension has hardly any; a large bias has a large rounding.
            assert!(dim == 1 || bias > 1.0 || most > 0.2, "{dim}: {most}");
        }
    }

    /// Sums that lift rows of the bottom to the top, and push those of the top down, in a catalog with codes.
    #[test]
    fn sums_reverse_a_list() {
        let (n, dim) = (30_000, 16);
        let (vectors, biases, user) = (normal(n * dim, 41), normal(n, 42), normal(dim, 43));
        let rows = rows(dim, &vectors, &biases, &[n], true);
        let plain = Scorer::new(&rows, &user);
        let all = best_of((0..n as u32).map(|row| (plain.score(row), row)).collect(), n);
        let (top, bottom) = (&all[..50], &all[n - 50..]);
        let mut pairs: Vec<(u32, f32)> = top.iter().map(|(_, row)| (*row, -1e6)).collect();
        pairs.extend(bottom.iter().map(|(_, row)| (*row, 1e6)));
        pairs.sort_by_key(|(row, _)| *row);
        let sums = Sums::of_rows(&pairs);
        let scorer = Scorer::new(&rows, &user).with(&sums);
        for effort in [Effort::Accurate, Effort::Fast, Effort::Pool] {
            let got: Vec<u32> = search(&scorer, &Bitmap::full(n), 60, effort).into_iter().map(|(_, row)| row).collect();
            assert!(got[..50].iter().all(|row| bottom.iter().any(|(_, other)| other == row)), "{effort:?}");
            assert!(got[50..].iter().all(|row| top.iter().all(|(_, other)| other != row)), "{effort:?}");
            if effort == Effort::Accurate {
                assert_eq!(got[50..], all[50..60].iter().map(|(_, row)| *row).collect::<Vec<_>>());
            }
        }
    }

    /// Equal rows, a vector of zeros, few allowed rows: ties go by row, and no row is lost.
    #[test]
    fn ties_and_narrow_filters() {
        let (n, dim) = (5_000, 4);
        let rows = rows(dim, &vec![0.25; n * dim], &vec![0.0; n], &[n], true);
        for user in [[1.0; 4], [0.0; 4]] {
            let scorer = Scorer::new(&rows, &user);
            let found =
                |allowed: &Bitmap, k| search(&scorer, allowed, k, Effort::Accurate).into_iter().map(|e| e.1).collect::<Vec<_>>();
            assert_eq!(found(&Bitmap::full(n), 3), [0, 1, 2]);
            let mut few = Bitmap::full(n);
            (0..n as u32).filter(|row| ![17, 4_000, 4_999].contains(row)).for_each(|row| few.remove(row));
            assert_eq!(found(&few, 2), [17, 4_000]);
            assert_eq!(found(&few, 9), [17, 4_000, 4_999]);
            // A sum of 0 changes no place.
            let sums = Sums::of_rows(&[(1, 0.0), (4, 0.0), (17, -0.0), (4_999, 0.0)]);
            let scorer = Scorer::new(&rows, &user).with(&sums);
            let found =
                |allowed: &Bitmap, k| search(&scorer, allowed, k, Effort::Accurate).into_iter().map(|e| e.1).collect::<Vec<_>>();
            assert_eq!(found(&Bitmap::full(n), 5), [0, 1, 2, 3, 4]);
            assert_eq!(found(&few, 2), [17, 4_000]);
        }
    }

    /// Every kernel set gives the same list, bit for bit.
    #[test]
    fn every_kernel_set_finds_the_same() {
        let (n, dim) = (20_000, 31);
        let (vectors, biases, user) = (normal(n * dim, 6), normal(n, 7), normal(dim, 8));
        let rows = rows(dim, &vectors, &biases, &[n], true);
        let lists = crate::kernels::Kernels::all().into_iter().map(|kernels| {
            let scorer = Scorer { kernels, ..Scorer::new(&rows, &user) };
            search(&scorer, &Bitmap::full(n), 50, Effort::Accurate)
        });
        let lists: Vec<Vec<(f32, u32)>> = lists.collect();
        assert!(lists.iter().all(|list| *list == lists[0]));
        // The same in every build: scores are integers times factors in f32.
        let hash = |list: &[(f32, u32)]| {
            list.iter().fold(0u64, |sum, (score, row)| sum.wrapping_mul(31).wrapping_add(u64::from(score.to_bits() ^ row)))
        };
        assert_eq!(hash(&lists[0]), 14_909_333_791_199_873_637);

        let sums = drawn_sums(n, 40, 6);
        let lists: Vec<Vec<(f32, u32)>> = crate::kernels::Kernels::all()
            .into_iter()
            .map(|kernels| {
                let scorer = Scorer { kernels, ..Scorer::new(&rows, &user).with(&sums) };
                search(&scorer, &Bitmap::full(n), 50, Effort::Accurate)
            })
            .collect();
        assert!(lists.iter().all(|list| *list == lists[0]));
        assert_eq!(hash(&lists[0]), 289_646_794_182_227_454);
    }
}
