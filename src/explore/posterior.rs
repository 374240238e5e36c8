//! What the visitor's answers say of the visitor's vector.

use rand_chacha::rand_core::Rng;

use super::normals;
use crate::bundle::Rows;
use crate::kernels::{Kernels, QuantizedQuery};

/// Variance of one answer, in logits².
const NOISE: f64 = 1.0;
/// Answers that count, the last ones: with half-lives of use, older ones weigh nothing.
const MOST: usize = 64;

/// An answer of the visitor to an item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Feedback {
    /// Catalog row.
    pub row: u32,
    /// How far in logits the item lies above what the tower said of it; below: negative.
    pub reward: f64,
    /// In 0 < w ≤ 1: the answer counts as w answers.
    pub weight: f64,
}

/// The distribution of the visitor's vector θ, given answers.
///
/// Before any answer θ ~ N(u, τ² I), u the tower's output. The score of an item is θ · v + b + ξ, where ξ ~ N(0, cold² / (1 + n)) is what n
/// training events leave unknown of the item itself. An answer says reward + noise of (θ − u) · v + ξ. So with V `[m, d]` the vectors of the
/// answered items and K = τ² V Vᵀ + noise, θ has the mean u + τ² Vᵀ K⁻¹ r and the covariance τ² (I − τ² Vᵀ K⁻¹ V). Bishop, Pattern Recognition
/// and Machine Learning, 2006, section 3.3. All of it takes m × m numbers and no d × d.
pub struct Posterior {
    mean: Vec<f32>,
    /// τ: of one dimension.
    deviation: f64,
    cold: f64,
    dim: usize,
    /// V `[m, d]`.
    vectors: Vec<f64>,
    /// Variance of each answer `[m]`.
    noise: Vec<f64>,
    /// L `[m, m]`, K = L Lᵀ.
    factor: Vec<f64>,
    /// B = τ L⁻¹ V `[m, d]`: Bᵀ B is what the answers take from the covariance, in units of τ².
    basis: Vec<f64>,
}

impl Posterior {
    /// `user` `[d]` is the tower's output; `answers` come oldest first.
    ///
    /// `prior`: how far, in logits, the visitor's true score of an item of middling length may lie from the tower's (a standard deviation);
    /// 0 believes the tower whatever is answered. `cold`: the same of an item without training events; 0 believes the item tower.
    pub fn new(rows: &Rows, user: &[f32], answers: &[Feedback], prior: f64, cold: f64) -> Self {
        let dim = rows.dim();
        let length = rows.middling_length();
        let deviation = if length > 0.0 { prior / length } else { 0.0 };
        let answers = &answers[answers.len().saturating_sub(MOST)..];
        let m = answers.len();
        let mut vectors = vec![0.0; m * dim];
        let mut vector = vec![0.0f32; dim];
        for (out, answer) in vectors.chunks_exact_mut(dim).zip(answers) {
            rows.vector_into(answer.row, &mut vector);
            out.iter_mut().zip(&vector).for_each(|(x, v)| *x = f64::from(*v));
        }
        let rarity = |row: u32| f64::from(rows.rarities()[row as usize]) * cold;
        let noise: Vec<f64> = answers.iter().map(|a| NOISE / a.weight + rarity(a.row) * rarity(a.row)).collect();
        let (mean, factor, basis) = (user.to_vec(), vec![0.0; m * m], Vec::new());
        let mut posterior = Posterior { mean, deviation, cold, dim, vectors, noise, factor, basis };
        posterior.factorize();
        // L⁻¹ r, then Bᵀ of it, times τ.
        let mut rewards: Vec<f64> = answers.iter().map(|a| a.reward).collect();
        posterior.solve(&mut rewards);
        for (row, y) in posterior.basis.chunks_exact(dim).zip(&rewards) {
            posterior.mean.iter_mut().zip(row).for_each(|(x, b)| *x += (deviation * b * y) as f32);
        }
        posterior
    }

    /// Cholesky's factor of K, and B.
    fn factorize(&mut self) {
        let (m, d, variance) = (self.noise.len(), self.dim, self.deviation * self.deviation);
        self.basis = self.vectors.iter().map(|x| self.deviation * x).collect();
        for i in 0..m {
            for j in 0..=i {
                let [a, b] = [i, j].map(|at| &self.vectors[at * d..][..d]);
                let dot: f64 = a.iter().zip(b).map(|(x, y)| x * y).sum();
                let mut rest = variance * dot + if i == j { self.noise[i] } else { 0.0 };
                rest -= (0..j).map(|k| self.factor[i * m + k] * self.factor[j * m + k]).sum::<f64>();
                self.factor[i * m + j] = if i == j { libm::sqrt(rest) } else { rest / self.factor[j * m + j] };
            }
            let (before, own) = self.basis.split_at_mut(i * d);
            for (k, row) in before.chunks_exact(d).enumerate() {
                let factor = self.factor[i * m + k];
                own[..d].iter_mut().zip(row).for_each(|(x, b)| *x -= factor * b);
            }
            own[..d].iter_mut().for_each(|x| *x /= self.factor[i * m + i]);
        }
    }

    /// L⁻¹ x in place.
    fn solve(&self, x: &mut [f64]) {
        let m = x.len();
        for i in 0..m {
            let known: f64 = (0..i).map(|k| self.factor[i * m + k] * x[k]).sum();
            x[i] = (x[i] - known) / self.factor[i * m + i];
        }
    }

    /// Mean of θ `[d]`.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// What bounds the standard deviation of a score: this times the item's length, and the second times its rarity.
    pub fn bounds(&self) -> [f64; 2] {
        [self.deviation, self.cold]
    }

    /// Standard deviation of the score of each row, in logits.
    pub fn deviations(&self, rows: &Rows, of: &[u32]) -> Vec<f32> {
        let vectors = rows.gather(of);
        // Of each row the square of its length, less what is known.
        let mut squares: Vec<f64> = of.iter().map(|row| square(&rows.lengths()[*row as usize])).collect();
        let scales: Vec<f32> = of.iter().map(|row| rows.locate(*row)).map(|(file, at)| file.scale(at)).collect();
        let mut dots = vec![0; of.len()];
        for basis in self.basis.chunks_exact(self.dim) {
            let query = QuantizedQuery::new(&basis.iter().map(|x| *x as f32).collect::<Vec<f32>>());
            Kernels::best().dots(&vectors, &query.values, &mut dots);
            for ((rest, dot), scale) in squares.iter_mut().zip(&dots).zip(&scales) {
                let known = *dot as f32 * scale * query.scale;
                *rest -= square(&known);
            }
        }
        let deviation = |(rest, row): (f64, &u32)| {
            let rarity = f64::from(rows.rarities()[*row as usize]) * self.cold;
            libm::sqrt(self.deviation * self.deviation * rest.max(0.0) + rarity * rarity) as f32
        };
        squares.into_iter().zip(of).map(deviation).collect()
    }

    /// Draws θ `[d]`: a draw of the prior, moved by what the answers would have said of it. Doucet, A note on efficient conditional
    /// simulation of Gaussian distributions, 2010.
    pub fn sample(&self, rng: &mut dyn Rng) -> Vec<f32> {
        let drawn: Vec<f64> = normals(rng, self.dim).into_iter().map(|x| self.deviation * x).collect();
        let mut said = normals(rng, self.noise.len());
        for ((said, noise), row) in said.iter_mut().zip(&self.noise).zip(self.vectors.chunks_exact(self.dim)) {
            *said = libm::sqrt(*noise) * *said + row.iter().zip(&drawn).map(|(v, x)| v * x).sum::<f64>();
        }
        self.solve(&mut said);
        let mut theta: Vec<f64> = self.mean.iter().zip(&drawn).map(|(mean, x)| f64::from(*mean) + x).collect();
        for (row, y) in self.basis.chunks_exact(self.dim).zip(&said) {
            theta.iter_mut().zip(row).for_each(|(x, b)| *x -= self.deviation * b * y);
        }
        theta.into_iter().map(|x| x as f32).collect()
    }
}

fn square(x: &f32) -> f64 {
    f64::from(*x) * f64::from(*x)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::bundle::rows_with_counts;
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

    /// The textbook form, d × d: precision Λ = I / τ² + Σ v vᵀ / σ², mean u + Λ⁻¹ Σ v r / σ²; solved by elimination.
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
        // Draws have its mean and covariance.
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
            // Five standard errors.
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
        // Long ago, or with no doubt of the tower: as if nothing had been said.
        assert!(like(1e-9).mean().iter().all(|x| (x - 0.1).abs() < 1e-6));
        assert_eq!(Posterior::new(&rows, &user, &answers(), 0.0, 0.5).mean(), user);
        // More answers than are looked at, all the same one.
        let many = Posterior::new(&rows, &user, &[Feedback { row: 2, reward: 1.0, weight: 1.0 }; 500], 1.0, 0.0);
        assert!((score(&many) - score(&before) - 1.0).abs() < 0.1);
    }
}
