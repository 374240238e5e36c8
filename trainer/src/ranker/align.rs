//! Turns vectors of one training into the directions of another.
//!
//! Two trainings of the same towers give vectors that may be turned against one another: scores do not tell. A ranker
//! reads the vectors themselves, so it needs those that it learnt from.

use nalgebra::DMatrix;

/// The rotation R `[d, d]`, row-major, that brings the rows of `from` R closest to those of `to`, both `[n, d]`: the
/// orthogonal Procrustes problem (Schönemann, 1966). The identity if the rows tell nothing.
pub fn rotation(from: &[f32], to: &[f32], d: usize) -> Vec<f32> {
    let mut product = DMatrix::<f64>::zeros(d, d);
    for (a, b) in from.chunks_exact(d).zip(to.chunks_exact(d)) {
        for (i, a) in a.iter().enumerate() {
            b.iter().enumerate().for_each(|(j, b)| product[(i, j)] += f64::from(*a) * f64::from(*b));
        }
    }
    let identity = DMatrix::identity(d, d);
    let turned = match product.try_svd(true, true, f64::EPSILON, 1000) {
        Some(svd) => svd.u.zip(svd.v_t).map_or(identity.clone(), |(u, v)| u * v),
        None => identity.clone(),
    };
    let turned = if turned.iter().all(|x| x.is_finite()) { turned } else { identity };
    (0..d * d).map(|at| turned[(at / d, at % d)] as f32).collect()
}

/// The rows `[n, d]` of a matrix, turned.
pub fn turned(rows: &[f32], rotation: &[f32], d: usize) -> Vec<f32> {
    let mut out = vec![0.0; rows.len()];
    for (row, out) in rows.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
        for (x, turned) in row.iter().zip(rotation.chunks_exact(d)) {
            out.iter_mut().zip(turned).for_each(|(y, r)| *y += x * r);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::numbers;

    #[test]
    fn a_planted_rotation_is_found() {
        let to: Vec<f32> = numbers(60, 1).iter().map(|x| *x as f32).collect();
        // Turned in the plane of the first two, and the third mirrored.
        let [c, s] = [0.6, 0.8];
        let planted = [c, s, 0.0, -s, c, 0.0, 0.0, 0.0, -1.0];
        let from = turned(&to, &planted, 3);
        let back = rotation(&from, &to, 3);
        assert!(turned(&from, &back, 3).iter().zip(&to).all(|(a, b)| (a - b).abs() < 1e-5));
        let expected = [c, -s, 0.0, s, c, 0.0, 0.0, 0.0, -1.0];
        assert!(back.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{back:?}");
        // Whatever the rows, scores stay.
        let other: Vec<f32> = numbers(60, 2).iter().map(|x| *x as f32).collect();
        let r = rotation(&other, &to, 3);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let (u, v) = (&other[..3], &other[3..6]);
        assert!((dot(&turned(u, &r, 3), &turned(v, &r, 3)) - dot(u, v)).abs() < 1e-5);
    }

    #[test]
    fn nothing_to_align_keeps_lengths() {
        for rows in [vec![], vec![0.0; 6]] {
            let r = rotation(&rows, &rows, 2);
            let turned = turned(&[3.0, 4.0], &r, 2);
            assert!((libm::hypotf(turned[0], turned[1]) - 5.0).abs() < 1e-5);
        }
    }
}
