//! A linear layer: y = x W + b.

use super::{Op, Real, matmul};
use crate::onnx::{GraphBuilder, Value};

/// Writes `y` `[rows, b]`; `x` is `[rows, a]`, `w` `[a, b]`, `bias` `[b]`.
pub fn forward<T: Real>(x: &[T], w: &[T], bias: &[T], y: &mut [T]) {
    let (b, rows) = (bias.len(), y.len() / bias.len());
    y.chunks_exact_mut(b).for_each(|row| row.copy_from_slice(bias));
    matmul([rows, w.len() / b, b], (x, Op::Plain), (w, Op::Plain), T::ONE, y);
}

/// The backward pass for `dy` `[rows, b]`. Adds to `dw` `[a, b]` and `dbias` `[b]`, writes `dx` `[rows, a]`.
pub fn backward<T: Real>(x: &[T], w: &[T], dy: &[T], dw: &mut [T], dbias: &mut [T], dx: &mut [T]) {
    let (b, rows) = (dbias.len(), dy.len() / dbias.len());
    let a = w.len() / b;
    for row in dy.chunks_exact(b) {
        dbias.iter_mut().zip(row).for_each(|(d, g)| *d += *g);
    }
    matmul([a, rows, b], (x, Op::Transposed), (dy, Op::Plain), T::ONE, dw);
    matmul([rows, b, a], (dy, Op::Plain), (w, Op::Transposed), T::ZERO, dx);
}

/// The ONNX node `Gemm`: from x `[batch, a]` with the constants `w` `[a, b]` and `bias` `[b]` to `[batch, b]`.
pub fn onnx(g: &mut GraphBuilder, name: &str, x: &Value, w: &[f32], bias: &[f32]) -> Value {
    let b = bias.len();
    let w = g.constant_f32(&format!("{name}.weight"), &[w.len() / b, b], w);
    let bias = g.constant_f32(&format!("{name}.bias"), &[b], bias);
    g.node("Gemm", &[x, &w, &bias], &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn gradients() {
        let (rows, a, b) = (3, 4, 5);
        let (x, w, bias, dy) = (numbers(rows * a, 1), numbers(a * b, 2), numbers(b, 3), numbers(rows * b, 4));
        let loss = |x: &[f64], w: &[f64], bias: &[f64]| {
            let mut y = vec![0.0; rows * b];
            forward(x, w, bias, &mut y);
            y.iter().zip(&dy).map(|(y, d)| y * d).sum()
        };
        let (mut dw, mut dbias, mut dx) = (vec![0.0; a * b], vec![0.0; b], vec![9.0; rows * a]);
        backward(&x, &w, &dy, &mut dw, &mut dbias, &mut dx);
        assert_gradient("w", &w, &dw, |w| loss(&x, w, &bias));
        assert_gradient("bias", &bias, &dbias, |bias| loss(&x, &w, bias));
        assert_gradient("x", &x, &dx, |x| loss(x, &w, &bias));
    }
}
