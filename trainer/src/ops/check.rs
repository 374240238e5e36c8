//! Checks a backward pass against finite differences, in f64.

use crate::random::unit;

/// `n` numbers from −1 to 1; equal seeds give equal numbers.
pub fn numbers(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0xd1b5_4a32_d192_ed03);
    let next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        2.0 * unit(state) - 1.0
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Panics unless `gradient` matches the central differences of `loss` around `at`.
///
/// The relative error of each number must be at most 1e-6; small numbers are measured against the largest one.
pub fn assert_gradient(name: &str, at: &[f64], gradient: &[f64], loss: impl Fn(&[f64]) -> f64) {
    assert_eq!(at.len(), gradient.len(), "{name}");
    let (mut point, step) = (at.to_vec(), 1e-5);
    let largest = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs()));
    assert!(largest > 0.0, "{name}: the gradient is zero everywhere");
    for i in 0..at.len() {
        let mut value = |x: f64| {
            point[i] = x;
            loss(&point)
        };
        // Richardson extrapolation: the error of the central difference falls from h² to h⁴.
        let mut central = |h: f64| (value(at[i] + h) - value(at[i] - h)) / (2.0 * h);
        let expected = (4.0 * central(step) - central(2.0 * step)) / 3.0;
        point[i] = at[i];
        let error = (expected - gradient[i]).abs() / largest.max(expected.abs());
        assert!(error <= 1e-6, "{name}[{i}]: finite difference {expected}, gradient {}", gradient[i]);
    }
}
