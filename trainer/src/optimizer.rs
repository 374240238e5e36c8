//! AdamW (Kingma and Ba, 2015; Loshchilov and Hutter, 2019) in three parts, moments, decay and clipping, and the
//! running average of the weights.

use std::ops::Range;

use crate::ops::Real;

const BETA: [f64; 2] = [0.9, 0.98];
const EPSILON: f64 = 1e-8;

/// Moments of a list of numbers, and the running average of the numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments<T = f32> {
    /// Running mean of the gradient.
    pub first: Vec<T>,
    /// Running mean of the squared gradient.
    pub second: Vec<T>,
    /// Running average of the numbers over the steps.
    pub average: Vec<T>,
    /// The last step that each number's average includes if steps are sparse; empty if all include the last step.
    stamps: Vec<u64>,
}

impl<T: Real> Moments<T> {
    /// The moments before the first step.
    pub fn start(numbers: &[T]) -> Self {
        Moments {
            first: vec![T::ZERO; numbers.len()],
            second: vec![T::ZERO; numbers.len()],
            average: numbers.to_vec(),
            stamps: Vec::new(),
        }
    }

    /// Moves `numbers` one step along `gradient`, then updates their average.
    ///
    /// `t` is the number of the step, counted from 1; `rate` is the step size. `decay` is the share of the average that
    /// stays: at 0 the average follows the numbers, near 1 it covers many steps.
    pub fn step(&mut self, numbers: &mut [T], gradient: &[T], t: u64, rate: f64, decay: f64) {
        self.step_in(0..numbers.len(), numbers, gradient, t, rate, decay);
    }

    /// Like [`Moments::step`], but moves only the numbers in `ranges`.
    ///
    /// The other numbers and their moments stay as they are (lazy Adam for sparse tables); their averages wait for
    /// [`Moments::settle`].
    pub fn step_sparse(&mut self, ranges: &[Range<usize>], numbers: &mut [T], gradient: &[T], (t, rate, decay): (u64, f64, f64)) {
        if self.stamps.is_empty() {
            self.stamps = vec![t - 1; numbers.len()];
        }
        for range in ranges {
            self.catch_up(range.clone(), numbers, t - 1, decay);
            self.step_in(range.clone(), numbers, gradient, t, rate, decay);
            self.stamps[range.clone()].fill(t);
        }
    }

    /// Brings all averages to step `t`: a number x that stood still for k steps moves its average a to x + (a − x)
    /// decayᵏ.
    pub fn settle(&mut self, numbers: &[T], t: u64, decay: f64) {
        if !self.stamps.is_empty() {
            self.catch_up(0..numbers.len(), numbers, t, decay);
            self.stamps = Vec::new();
        }
    }

    fn catch_up(&mut self, range: Range<usize>, numbers: &[T], t: u64, decay: f64) {
        let (mut last, mut kept) = (t, T::ONE);
        let averages = self.average[range.clone()].iter_mut().zip(&numbers[range.clone()]);
        for ((a, x), stamp) in averages.zip(&self.stamps[range]) {
            if *stamp != last {
                (last, kept) = (*stamp, T::of(libm::pow(decay, (t - *stamp) as f64)));
            }
            if last != t {
                *a = *x + (*a - *x) * kept;
            }
        }
    }

    fn step_in(&mut self, range: Range<usize>, numbers: &mut [T], gradient: &[T], t: u64, rate: f64, decay: f64) {
        let [b1, b2] = BETA.map(T::of);
        let [c1, c2] = BETA.map(|b| 1.0 - libm::pow(b, t as f64));
        let (rate, root) = (T::of(rate / c1), T::of(1.0 / libm::sqrt(c2)));
        let (epsilon, decay) = (T::of(EPSILON), T::of(decay));
        let moments = self.first[range.clone()].iter_mut().zip(&mut self.second[range.clone()]);
        let moments = moments.zip(&mut self.average[range.clone()]);
        for ((x, g), ((m, v), a)) in numbers[range.clone()].iter_mut().zip(&gradient[range]).zip(moments) {
            *m = b1 * *m + (T::ONE - b1) * *g;
            *v = b2 * *v + (T::ONE - b2) * *g * *g;
            *x -= rate * *m / (v.sqrt() * root + epsilon);
            *a = decay * *a + (T::ONE - decay) * *x;
        }
    }
}

/// Scales the parts of a gradient by one factor so that their common norm is at most `bound`.
pub fn clip<T: Real>(gradient: &mut [&mut [T]], bound: f64) {
    let squares: f64 = gradient.iter().flat_map(|g| g.iter()).map(|g| g.to_f64() * g.to_f64()).sum();
    let factor = bound / (libm::sqrt(squares) + 1e-6);
    if factor < 1.0 {
        gradient.iter_mut().flat_map(|g| g.iter_mut()).for_each(|g| *g *= T::of(factor));
    }
}

/// Decoupled weight decay: multiplies the numbers of the `matrices` that lie in one of the `touched` ranges by `keep`.
///
/// `keep` is 1 − rate · decay. Both lists of ranges ascend and do not overlap.
pub fn decay(numbers: &mut [f32], matrices: impl Iterator<Item = Range<usize>>, touched: &[Range<usize>], keep: f32) {
    for matrix in matrices {
        let from = touched.partition_point(|r| r.end <= matrix.start);
        for r in touched[from..].iter().take_while(|r| r.start < matrix.end) {
            numbers[r.start.max(matrix.start)..r.end.min(matrix.end)].iter_mut().for_each(|x| *x *= keep);
        }
    }
}

/// The slices of `ranges`, which ascend and do not overlap.
pub fn parts<'a, T>(mut numbers: &'a mut [T], ranges: &[Range<usize>]) -> Vec<&'a mut [T]> {
    let mut at = 0;
    let mut part = |range: &Range<usize>| {
        let (_, rest) = std::mem::take(&mut numbers).split_at_mut(range.start - at);
        let (part, rest) = rest.split_at_mut(range.len());
        (numbers, at) = (rest, range.end);
        part
    };
    ranges.iter().map(&mut part).collect()
}

#[cfg(test)]
// A list with a single range is intended.
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    #[test]
    fn first_step_has_the_size_of_the_rate() {
        let mut x = [1.0f64, -1.0];
        let mut moments = Moments::start(&x);
        moments.step(&mut x, &[0.5, -20.0], 1, 0.1, 0.5);
        assert!((x[0] - 0.9).abs() < 1e-6 && (x[1] + 0.9).abs() < 1e-6);
        assert!((moments.average[0] - 0.95).abs() < 1e-6);
    }

    #[test]
    fn clips_by_the_common_norm() {
        let (mut a, mut b) = ([3.0f64, 7.0], [4.0]);
        let mut clipped = |bound| {
            let mut both = parts(&mut a, &[0..1]);
            both.push(&mut b);
            clip(&mut both, bound);
            (a, b)
        };
        assert_eq!(clipped(10.0), ([3.0, 7.0], [4.0]));
        let (a, b) = clipped(1.0);
        assert!((a[0] - 0.6).abs() < 1e-6 && a[1] == 7.0 && (b[0] - 0.8).abs() < 1e-6);
    }

    #[test]
    fn decays_the_touched_numbers_of_the_matrices() {
        let mut x = [1.0f32; 10];
        decay(&mut x, [0..3, 5..9].into_iter(), &[1..2, 2..6, 8..10], 0.5);
        assert_eq!(x, [1.0, 0.5, 0.5, 1.0, 1.0, 0.5, 1.0, 1.0, 0.5, 1.0]);
    }

    /// A number that steps leave out does not move, and its average ends as if it had been averaged after every step.
    #[test]
    fn averages_of_skipped_numbers_catch_up() {
        let (mut x, decay) = ([1.0f64, 2.0, 3.0], 0.9);
        let mut moments = Moments { average: vec![0.0, -1.0, 5.0], ..Moments::start(&x) };
        let mut expected = moments.average.clone();
        let steps: [&[Range<usize>]; 5] = [&[0..1, 2..3], &[0..1], &[0..2], &[2..3], &[0..1]];
        for (t, ranges) in (1..).zip(steps) {
            let before = x;
            moments.step_sparse(ranges, &mut x, &[0.5, -2.0, 1.0], (t, 0.1, decay));
            (0..3).for_each(|i| assert_eq!(x[i] != before[i], ranges.iter().any(|r| r.contains(&i))));
            expected.iter_mut().zip(x).for_each(|(a, x)| *a = decay * *a + (1.0 - decay) * x);
        }
        moments.settle(&x, 5, decay);
        moments.average.iter().zip(&expected).for_each(|(a, e)| assert!((a - e).abs() < 1e-12, "{a} {e}"));
        // One range over all numbers gives a dense step.
        let (mut dense, mut y) = (moments.clone(), x);
        dense.step(&mut y, &[0.1, 0.2, 0.3], 6, 0.1, decay);
        moments.step_sparse(&[0..3], &mut x, &[0.1, 0.2, 0.3], (6, 0.1, decay));
        moments.settle(&x, 6, decay);
        assert_eq!((moments, x), (dense, y));
    }
}
