//! The distribution of the visitor's vector, given the visitor's answers.

use rand_chacha::rand_core::Rng;

use super::random::nearly_normal;
use crate::bundle::Rows;
use crate::kernels::{Kernels, QuantizedQuery};

/// Variance of one answer, in logits².
const NOISE: f64 = 1.0;

/// A visitor's answer to an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feedback {
    /// Catalog row.
    pub row: u32,
    /// How far the true score lies above the score from tower and neighbours, in logits; negative if it lies below.
    pub reward: f64,
    /// 0 < w ≤ 1: the answer counts as w answers.
    pub weight: f64,
}

/// The distribution of the visitor's vector θ, given answers.
///
/// Before any answer θ ~ N(u, τ² I), where u is the output of the user tower. The score of an item is θ · v + b + ξ; ξ
/// ~ N(0, cold² / (1 + n)) is what is unknown about an item with n training events. An answer observes (θ − u) · v + ξ
/// with noise. Let V `[m, d]` be the vectors of the answered items, r `[m]` the rewards, and K = τ² V Vᵀ + noise. Then
/// θ has the mean u + τ² Vᵀ K⁻¹ r and the covariance τ² (I − τ² Vᵀ K⁻¹ V). Bishop, Pattern Recognition and Machine
/// Learning, 2006, section 3.3. Only m × m numbers are needed, never d × d.
pub struct Posterior {
    mean: Vec<f32>,
    /// τ: the prior standard deviation of one dimension.
    deviation: f32,
    cold: f64,
    dim: usize,
    /// int8 rows of V, `[m, d]`.
    vectors: Vec<i8>,
    /// Scale of each row of V, `[m]`.
    scales: Vec<f32>,
    /// Variance of each answer `[m]`.
    noise: Vec<f64>,
    /// L `[m, m]`, lower triangular: K = L Lᵀ.
    factor: Vec<f64>,
    /// B = τ L⁻¹ V, `[m, d]`. The covariance is τ² (I − Bᵀ B).
    basis: Vec<f32>,
}

impl Posterior {
    /// How many answers count, the last ones. Older ones have faded, and the tower has read them too.
    pub const MOST: usize = 32;

    /// The posterior for the output `user` `[d]` of the user tower, after `answers`, oldest first.
    ///
    /// `prior` is a standard deviation in logits: how far the true score of an item of typical length may lie from the
    /// score of the towers. At 0 answers change nothing; a large number trusts them over the tower. `cold` is the
    /// standard deviation for what is unknown about an item without training events; at 0 the item tower is trusted.
    pub fn new(rows: &Rows, user: &[f32], answers: &[Feedback], prior: f64, cold: f64) -> Self {
        let length = rows.typical_length();
        let answers = &answers[answers.len().saturating_sub(Self::MOST)..];
        let of: Vec<u32> = answers.iter().map(|a| a.row).collect();
        let rarity = |row: u32| f64::from(rows.rarities()[row as usize]) * cold;
        let mut posterior = Posterior {
            mean: user.to_vec(),
            deviation: if length > 0.0 { (prior / length) as f32 } else { 0.0 },
            cold,
            dim: rows.dim(),
            vectors: rows.gather(&of),
            scales: rows.scales(&of),
            noise: answers.iter().map(|a| NOISE / a.weight + rarity(a.row) * rarity(a.row)).collect(),
            factor: Vec::new(),
            basis: Vec::new(),
        };
        posterior.factorize();
        // The mean is u + τ Bᵀ L⁻¹ r.
        let mut rewards: Vec<f64> = answers.iter().map(|a| a.reward).collect();
        posterior.solve(&mut rewards);
        let mut mean = std::mem::take(&mut posterior.mean);
        posterior.add_basis(&rewards, 1.0, &mut mean);
        posterior.mean = mean;
        posterior
    }

    /// Computes the Cholesky factor of K, and B.
    fn factorize(&mut self) {
        let (m, d) = (self.noise.len(), self.dim);
        let kernels = Kernels::best();
        self.factor = vec![0.0; m * m];
        self.basis = vec![0.0; m * d];
        let mut dots = vec![0; m];
        for i in 0..m {
            let (scale, row) = (self.deviation * self.scales[i], &self.vectors[i * d..][..d]);
            kernels.dots(&self.vectors, &row.iter().map(|q| i16::from(*q)).collect::<Vec<i16>>(), &mut dots);
            let (before, own) = self.factor.split_at_mut(i * m);
            for j in 0..=i {
                let covariance = f64::from(scale) * f64::from(self.deviation * self.scales[j]) * f64::from(dots[j]);
                let (known, rest) = own.split_at_mut(j);
                let other = if j < i { &before[j * m..][..=j] } else { &*known };
                let left = covariance - known.iter().zip(other).map(|(x, y)| x * y).sum::<f64>();
                rest[0] = if j < i { left / other[j] } else { libm::sqrt(left + self.noise[i]) };
            }
            let (before, basis) = self.basis.split_at_mut(i * d);
            basis.iter_mut().zip(row).for_each(|(x, q)| *x = scale * f32::from(*q));
            for (row, factor) in before.chunks_exact(d).zip(&*own) {
                kernels.axpy(-*factor as f32, row, &mut basis[..d]);
            }
            basis[..d].iter_mut().for_each(|x| *x /= own[i] as f32);
        }
    }

    /// Replaces x by L⁻¹ x.
    fn solve(&self, x: &mut [f64]) {
        let m = x.len();
        for (i, row) in self.factor.chunks_exact(m.max(1)).enumerate() {
            let known: f64 = row[..i].iter().zip(&x[..i]).map(|(factor, x)| factor * x).sum();
            x[i] = (x[i] - known) / row[i];
        }
    }

    /// Adds `sign` · τ Bᵀ x to `out`.
    fn add_basis(&self, x: &[f64], sign: f32, out: &mut [f32]) {
        for (row, x) in self.basis.chunks_exact(self.dim).zip(x) {
            Kernels::best().axpy(sign * self.deviation * *x as f32, row, out);
        }
    }

    /// Mean of θ `[d]`.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// `[a, b]`: the standard deviation of the score of an item is at most a times its length plus b times its rarity.
    pub fn bounds(&self) -> [f64; 2] {
        [self.deviation.into(), self.cold]
    }

    /// Standard deviation of the score of each of the rows `of`, in logits.
    pub fn deviations(&self, rows: &Rows, of: &[u32]) -> Vec<f32> {
        let (vectors, scales) = (rows.gather(of), rows.scales(of));
        // For each row the square of its length minus the part that the answers explain.
        let mut squares: Vec<f32> = of.iter().map(|row| rows.lengths()[*row as usize]).map(|length| length * length).collect();
        let mut dots = vec![0; of.len()];
        for basis in self.basis.chunks_exact(self.dim) {
            let query = QuantizedQuery::new(basis);
            Kernels::best().dots(&vectors, &query.values, &mut dots);
            for ((rest, dot), scale) in squares.iter_mut().zip(&dots).zip(&scales) {
                let known = *dot as f32 * scale * query.scale;
                *rest -= known * known;
            }
        }
        let deviation = |(rest, row): (f32, &u32)| {
            let rarity = rows.rarities()[*row as usize] * self.cold as f32;
            libm::sqrtf(self.deviation * self.deviation * rest.max(0.0) + rarity * rarity)
        };
        squares.into_iter().zip(of).map(deviation).collect()
    }

    /// Draws θ `[d]`: a draw from the prior, corrected by the answers that it would have given. Doucet, A note on
    /// efficient conditional simulation of Gaussian distributions, 2010.
    pub fn sample(&self, rng: &mut dyn Rng) -> Vec<f32> {
        // A score is a sum of many such numbers, so it is as good as normal.
        let drawn: Vec<f32> = (0..self.dim).map(|_| self.deviation * nearly_normal(rng)).collect();
        let mut said: Vec<f64> = self.noise.iter().map(|_| nearly_normal(rng).into()).collect();
        let (query, mut dots) = (QuantizedQuery::new(&drawn), vec![0; said.len()]);
        Kernels::best().dots(&self.vectors, &query.values, &mut dots);
        for (((said, noise), dot), scale) in said.iter_mut().zip(&self.noise).zip(&dots).zip(&self.scales) {
            *said = libm::sqrt(*noise) * *said + f64::from(*dot as f32 * scale * query.scale);
        }
        self.solve(&mut said);
        let mut theta = drawn;
        Kernels::best().axpy(1.0, &self.mean, &mut theta);
        self.add_basis(&said, -1.0, &mut theta);
        theta
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::bundle::testing::rows_with_counts;
    use crate::explore::{decision_rng, normal};

    const DIM: usize = 4;

    fn rows() -> Rows {
        let mut rng = decision_rng(3, "rows");
        let vectors: Vec<f32> = (0..10 * DIM).map(|_| normal(&mut rng) as f32).collect();
        rows_with_counts(DIM, &vectors, &[0.0; 10], &[0.0, 1.0, 3.0, 8.0, 99.0, 0.0, 1.0, 3.0, 8.0, 99.0])
    }

    fn vector(rows: &Rows, row: u32) -> [f64; DIM] {
        let mut out = [0.0f32; DIM];
        rows.vector_into(row, &mut out);
        out.map(f64::from)
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    fn answers() -> Vec<Feedback> {
        [(1, 1.0, 0.25), (6, -1.0, 0.5), (1, 1.0, 0.5), (3, 0.4, 1.0)]
            .map(|(row, reward, weight)| Feedback { row, reward, weight })
            .to_vec()
    }

    /// The textbook form with d × d numbers: precision Λ = I / τ² + Σ v vᵀ / σ², mean u + Λ⁻¹ Σ v r / σ², solved by
    /// elimination.
    fn textbook(rows: &Rows, user: &[f32], prior: f64, cold: f64) -> ([[f64; DIM]; DIM], [f64; DIM]) {
        let mean_square = (0..10).map(|row| dot(&vector(rows, row), &vector(rows, row))).sum::<f64>() / 10.0;
        let mut all = [[0.0; 2 * DIM + 1]; DIM];
        for (i, line) in all.iter_mut().enumerate() {
            line[i] = mean_square / (prior * prior);
            line[DIM + 1 + i] = 1.0;
        }
        for answer in answers() {
            let v = vector(rows, answer.row);
            let rarity = f64::from(rows.rarities()[answer.row as usize]) * cold;
            let noise = 1.0 / answer.weight + rarity * rarity;
            for i in 0..DIM {
                (0..DIM).for_each(|j| all[i][j] += v[i] * v[j] / noise);
                all[i][DIM] += v[i] * answer.reward / noise;
            }
        }
        for i in 0..DIM {
            let pivot = all[i][i];
            all[i].iter_mut().for_each(|x| *x /= pivot);
            for j in (0..DIM).filter(|j| *j != i) {
                let (factor, own) = (all[j][i], all[i]);
                all[j].iter_mut().zip(own).for_each(|(x, y)| *x -= factor * y);
            }
        }
        let covariance = all.map(|line| std::array::from_fn(|j| line[DIM + 1 + j]));
        (covariance, std::array::from_fn(|i| f64::from(user[i]) + all[i][DIM]))
    }

    #[test]
    fn equals_the_textbook() {
        let (rows, user) = (rows(), [0.5, -1.0, 0.25, 2.0]);
        let posterior = Posterior::new(&rows, &user, &answers(), 0.8, 0.6);
        let (covariance, mean) = textbook(&rows, &user, 0.8, 0.6);
        for (got, expected) in posterior.mean().iter().zip(mean) {
            assert!((f64::from(*got) - expected).abs() < 1e-5, "{got} {expected}");
        }
        let all: Vec<u32> = (0..10).collect();
        for (row, got) in posterior.deviations(&rows, &all).into_iter().enumerate() {
            let v = vector(&rows, row as u32);
            let spread: f64 = covariance.iter().zip(v).map(|(line, x)| x * dot(line, &v)).sum();
            let rarity = f64::from(rows.rarities()[row]) * 0.6;
            let expected = libm::sqrt(spread + rarity * rarity);
            assert!((f64::from(got) - expected).abs() < 1e-4 * expected, "{row}: {got} {expected}");
        }
        // Draws have the mean and the covariance of the posterior.
        let mut rng = decision_rng(1, "draws");
        let n = 40_000;
        let (mut sum, mut products) = ([0.0; DIM], [[0.0; DIM]; DIM]);
        for _ in 0..n {
            let off: Vec<f64> = posterior.sample(&mut rng).iter().zip(mean).map(|(x, mean)| f64::from(*x) - mean).collect();
            for i in 0..DIM {
                sum[i] += off[i] / f64::from(n);
                (0..DIM).for_each(|j| products[i][j] += off[i] * off[j] / f64::from(n));
            }
        }
        for i in 0..DIM {
            // The bound is five standard errors.
            assert!(sum[i].abs() < 5.0 * libm::sqrt(covariance[i][i] / f64::from(n)));
            for j in 0..DIM {
                let error =
                    libm::sqrt((covariance[i][i] * covariance[j][j] + covariance[i][j] * covariance[i][j]) / f64::from(n));
                assert!((products[i][j] - covariance[i][j]).abs() < 5.0 * error, "{i} {j}");
            }
        }
    }

    #[test]
    fn an_answer_moves_the_score_of_its_item_and_narrows_it() {
        let (rows, user) = (rows(), [0.1; DIM]);
        let before = Posterior::new(&rows, &user, &[], 1.0, 0.0);
        assert_eq!(before.mean(), user);
        let like = |weight| Posterior::new(&rows, &user, &[Feedback { row: 2, reward: 1.0, weight }], 1.0, 0.0);
        let score = |p: &Posterior| dot(&vector(&rows, 2), &p.mean().iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
        assert!(score(&like(1.0)) > score(&like(0.1)) && score(&like(0.1)) > score(&before));
        let deviation = |p: &Posterior| p.deviations(&rows, &[2])[0];
        assert!(deviation(&like(1.0)) < deviation(&like(0.1)) && deviation(&like(0.1)) < deviation(&before));
        // Faded answers, or full trust in the tower: the answers change nothing.
        assert!(like(1e-9).mean().iter().all(|x| (x - 0.1).abs() < 1e-6));
        assert_eq!(Posterior::new(&rows, &user, &answers(), 0.0, 0.5).mean(), user);
        // More answers than count, all equal.
        let many = Posterior::new(&rows, &user, &[Feedback { row: 2, reward: 1.0, weight: 1.0 }; 500], 1.0, 0.0);
        assert!((score(&many) - score(&before) - 1.0).abs() < 0.1);
    }
}
