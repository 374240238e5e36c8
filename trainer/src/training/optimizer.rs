//! AdamW without weight decay (Kingma and Ba, 2015; Loshchilov and Hutter, 2019), and the average of the weights.

use crate::ops::Real;

const BETA: [f64; 2] = [0.9, 0.98];
const EPSILON: f64 = 1e-8;

/// The moments of one list of numbers, and their running average.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments<T = f32> {
    /// Mean of the gradient.
    pub first: Vec<T>,
    /// Mean of its square.
    pub second: Vec<T>,
    /// Average of the numbers over the steps.
    pub average: Vec<T>,
}

impl<T: Real> Moments<T> {
    /// Before the first step.
    pub fn start(numbers: &[T]) -> Self {
        Moments { first: vec![T::ZERO; numbers.len()], second: vec![T::ZERO; numbers.len()], average: numbers.to_vec() }
    }

    /// Step `t`, counted from 1, along `gradient`; then the average moves on by its `decay`.
    pub fn step(&mut self, numbers: &mut [T], gradient: &[T], t: u64, rate: f64, decay: f64) {
        let [b1, b2] = BETA.map(T::of);
        let [c1, c2] = BETA.map(|b| 1.0 - libm::pow(b, t as f64));
        let (rate, root) = (T::of(rate / c1), T::of(1.0 / libm::sqrt(c2)));
        let (epsilon, decay) = (T::of(EPSILON), T::of(decay));
        let moments = self.first.iter_mut().zip(&mut self.second).zip(&mut self.average);
        for ((x, g), ((m, v), a)) in numbers.iter_mut().zip(gradient).zip(moments) {
            *m = b1 * *m + (T::ONE - b1) * *g;
            *v = b2 * *v + (T::ONE - b2) * *g * *g;
            *x -= rate * *m / (v.sqrt() * root + epsilon);
            *a = decay * *a + (T::ONE - decay) * *x;
        }
    }
}

/// Scales the gradients down to a common norm of at most `bound`.
pub fn clip<T: Real>(gradients: [&mut [T]; 2], bound: f64) {
    let squares: f64 = gradients.iter().flat_map(|g| g.iter()).map(|g| g.to_f64() * g.to_f64()).sum();
    let factor = bound / (libm::sqrt(squares) + 1e-6);
    if factor < 1.0 {
        gradients.into_iter().flatten().for_each(|g| *g *= T::of(factor));
    }
}

#[cfg(test)]
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
        let (mut a, mut b) = ([3.0f64], [4.0]);
        clip([&mut a, &mut b], 10.0);
        assert_eq!((a, b), ([3.0], [4.0]));
        clip([&mut a, &mut b], 1.0);
        assert!((a[0] - 0.6).abs() < 1e-6 && (b[0] - 0.8).abs() < 1e-6);
    }
}
