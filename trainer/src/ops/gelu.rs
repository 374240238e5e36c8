//! GELU: y = x Φ(x) with the exact normal distribution function Φ. Hendrycks and Gimpel, Gaussian Error Linear Units,
//! 2016.

use super::Real;
use crate::onnx::{GraphBuilder, Value};

fn phi<T: Real>(x: T) -> T {
    (T::ONE + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf()) * T::of(0.5)
}

/// Writes `y`, of the length of `x`.
pub fn forward<T: Real>(x: &[T], y: &mut [T]) {
    x.iter().zip(y).for_each(|(x, y)| *y = *x * phi(*x));
}

/// The backward pass in place: multiplies `d`, the gradient of y, by dy/dx, which gives the gradient of x.
pub fn backward<T: Real>(x: &[T], d: &mut [T]) {
    // 1/√(2π)
    let density = T::of(std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 / 2.0);
    for (x, d) in x.iter().zip(d) {
        *d *= phi(*x) + *x * density * (-*x * *x * T::of(0.5)).exp();
    }
}

/// ONNX nodes of x · (0.5 + 0.5 · `Erf`(x/√2)).
pub fn onnx(g: &mut GraphBuilder, name: &str, x: &Value) -> Value {
    let half = g.constant_f32(&format!("{name}.half"), &[], &[0.5]);
    let root = g.constant_f32(&format!("{name}.root"), &[], &[std::f32::consts::FRAC_1_SQRT_2]);
    let scaled = g.node("Mul", &[x, &root], &[]);
    let erf = g.node("Erf", &[&scaled], &[]);
    let erf = g.node("Mul", &[&erf, &half], &[]);
    let phi = g.node("Add", &[&erf, &half], &[]);
    g.node("Mul", &[x, &phi], &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn known_values_and_gradient() {
        let mut y = [0.0f64; 3];
        forward(&[0.0, 1.0, -10.0], &mut y);
        assert!(y[0] == 0.0 && (y[1] - 0.841_344_746_068_542_9).abs() < 1e-12 && y[2].abs() < 1e-12);
        let (x, dy) = (numbers(9, 1), numbers(9, 2));
        let mut d = dy.clone();
        backward(&x, &mut d);
        assert_gradient("x", &x, &d, |x| {
            let mut y = [0.0; 9];
            forward(x, &mut y);
            y.iter().zip(&dy).map(|(y, d)| y * d).sum()
        });
    }
}
