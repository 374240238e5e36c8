//! Layer normalisation: y = (x − mean) / √(variance + 1e-5) · gain + bias over each row. Ba et al., Layer
//! Normalization, 2016.

use super::Real;
use crate::onnx::{Attribute, GraphBuilder, Value};

const EPSILON: f64 = 1e-5;

/// Gain and bias `[d]` each.
pub type Affine<'a, T> = (&'a [T], &'a [T]);

/// Mean of a row, and 1 / √(variance + 1e-5).
fn moments<T: Real>(row: &[T]) -> (T, T) {
    let n = T::of(row.len() as f64);
    let mean = row.iter().copied().sum::<T>() / n;
    let variance = row.iter().map(|x| (*x - mean) * (*x - mean)).sum::<T>() / n;
    (mean, T::ONE / (variance + T::of(EPSILON)).sqrt())
}

/// Normalises the rows of `x`, of width `d`, to `y`. Without `affine` the gain is 1 and the bias 0.
pub fn forward<T: Real>(x: &[T], d: usize, affine: Option<Affine<T>>, y: &mut [T]) {
    for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
        let (mean, scale) = moments(x);
        x.iter().zip(y.iter_mut()).for_each(|(x, y)| *y = (*x - mean) * scale);
        if let Some((gain, bias)) = affine {
            y.iter_mut().zip(gain.iter().zip(bias)).for_each(|(y, (g, b))| *y = *y * *g + *b);
        }
    }
}

/// The backward pass for `dy`, of the shape of `x`. Adds to `dx` and, if `daffine` is given, to the gradients of gain
/// and bias.
pub fn backward<T: Real>(
    x: &[T],
    d: usize,
    gain: Option<&[T]>,
    dy: &[T],
    mut daffine: Option<(&mut [T], &mut [T])>,
    dx: &mut [T],
) {
    let n = T::of(d as f64);
    let mut normal = vec![T::ZERO; d];
    let mut inner = vec![T::ZERO; d];
    for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
        let (mean, scale) = moments(x);
        normal.iter_mut().zip(x).for_each(|(y, x)| *y = (*x - mean) * scale);
        inner.copy_from_slice(dy);
        if let Some(gain) = gain {
            inner.iter_mut().zip(gain).for_each(|(i, g)| *i *= *g);
        }
        if let Some((dgain, dbias)) = &mut daffine {
            dgain.iter_mut().zip(dy.iter().zip(&normal)).for_each(|(dg, (dy, y))| *dg += *dy * *y);
            dbias.iter_mut().zip(dy).for_each(|(db, dy)| *db += *dy);
        }
        let sum = inner.iter().copied().sum::<T>() / n;
        let along = inner.iter().zip(&normal).map(|(i, y)| *i * *y).sum::<T>() / n;
        dx.iter_mut().zip(inner.iter().zip(&normal)).for_each(|(dx, (i, y))| *dx += (*i - sum - *y * along) * scale);
    }
}

/// The ONNX node `LayerNormalization` over the last axis, of width `d`.
pub fn onnx(g: &mut GraphBuilder, name: &str, x: &Value, d: usize, affine: Option<Affine<f32>>) -> Value {
    let (ones, zeros) = (vec![1.0; d], vec![0.0; d]);
    let (gain, bias) = affine.unwrap_or((&ones, &zeros));
    let gain = g.constant_f32(&format!("{name}.gain"), &[d], gain);
    let bias = g.constant_f32(&format!("{name}.bias"), &[d], bias);
    g.node(
        "LayerNormalization",
        &[x, &gain, &bias],
        &[("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(EPSILON as f32))],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn rows_have_mean_0_and_variance_1() {
        let mut y = [0.0f64; 8];
        forward(&[1.0, 2.0, 3.0, 4.0, 7.0, 7.0, 7.0, 7.0], 4, None, &mut y);
        assert!(y[..4].iter().sum::<f64>().abs() < 1e-12);
        assert!((y[..4].iter().map(|y| y * y).sum::<f64>() / 4.0 - 1.0).abs() < 1e-4);
        assert_eq!(y[4..], [0.0; 4]);
        // Numbers far from 0 lose no digits.
        let mut far = [0.0f64; 4];
        forward(&[1.0, 2.0, 3.0, 4.0].map(|x| 4e15 + x), 4, None, &mut far);
        assert!(far.iter().zip(&y).all(|(far, y)| (far - y).abs() < 1e-12), "{far:?}");
    }

    #[test]
    fn gradients() {
        let (rows, d) = (3, 5);
        let (x, gain, bias, dy) = (numbers(rows * d, 1), numbers(d, 2), numbers(d, 3), numbers(rows * d, 4));
        for with in [true, false] {
            let loss = |x: &[f64], gain: &[f64], bias: &[f64]| {
                let mut y = vec![0.0; rows * d];
                forward(x, d, with.then_some((gain, bias)), &mut y);
                y.iter().zip(&dy).map(|(y, d)| y * d).sum()
            };
            let (mut dgain, mut dbias, mut dx) = (vec![0.0; d], vec![0.0; d], vec![0.0; rows * d]);
            backward(&x, d, with.then_some(&gain), &dy, with.then_some((&mut dgain, &mut dbias)), &mut dx);
            assert_gradient("x", &x, &dx, |x| loss(x, &gain, &bias));
            if with {
                assert_gradient("gain", &gain, &dgain, |gain| loss(&x, gain, &bias));
                assert_gradient("bias", &bias, &dbias, |bias| loss(&x, &gain, bias));
            }
        }
    }
}
