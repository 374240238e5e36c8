//! Squared error of predicted ratings. The prediction for an item with vector v is c + w · v, where `[c, w]` is the
//! visitor's vector.

use crate::ops::Real;

/// A rating to predict: the item's row among the vectors, and the rating.
pub type Rated = (u32, f32);

/// Σ over rows of Σ (c + w · v − rating)², times `scale`.
///
/// `x` is `[rows, 1 + d]`, `v` `[items, d]`; `ratings` has one list per row. Writes `dx`, adds to `dv`.
pub fn loss<T: Real>(d: usize, (x, dx): (&[T], &mut [T]), (v, dv): (&[T], &mut [T]), ratings: &[Vec<Rated>], scale: T) -> T {
    dx.fill(T::ZERO);
    let mut total = T::ZERO;
    for ((x, dx), ratings) in x.chunks_exact(d + 1).zip(dx.chunks_exact_mut(d + 1)).zip(ratings) {
        for (item, rating) in ratings {
            let at = *item as usize * d..(*item as usize + 1) * d;
            let error = predict(x, &v[at.clone()]) - T::of(f64::from(*rating));
            total += scale * error * error;
            let slope = T::of(2.0) * scale * error;
            dx[0] += slope;
            dx[1..].iter_mut().zip(&v[at.clone()]).for_each(|(dx, v)| *dx += slope * *v);
            dv[at].iter_mut().zip(&x[1..]).for_each(|(dv, w)| *dv += slope * *w);
        }
    }
    total
}

/// c + w · v, with `x` = `[c, w]`.
pub fn predict<T: Real>(x: &[T], v: &[T]) -> T {
    x[0] + x[1..].iter().zip(v).map(|(w, v)| *w * *v).sum::<T>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::{assert_gradient, numbers};

    #[test]
    fn known_value_and_gradient() {
        let ratings = vec![vec![(1, 3.0), (0, -1.0)], vec![], vec![(1, 0.5)]];
        let value = |x: &[f64], v: &[f64]| {
            let (mut dx, mut dv) = (vec![9.0; x.len()], vec![0.0; v.len()]);
            let total = loss(2, (x, &mut dx), (v, &mut dv), &ratings, 0.5);
            (total, dx, dv)
        };
        // Predictions 3, 1 and 0 for the ratings 3, −1 and 0.5.
        let (total, ..) = value(&[1.0, 2.0, 0.0, 9.0, 9.0, 9.0, 0.0, 0.0, 0.0], &[0.0, 0.0, 1.0, 1.0]);
        assert_eq!(total, 0.5 * (4.0 + 0.25));
        let (x, v) = (numbers(9, 1), numbers(4, 2));
        let (_, dx, dv) = value(&x, &v);
        assert_gradient("x", &x, &dx, |x| value(x, &v).0);
        assert_gradient("v", &v, &dv, |v| value(&x, v).0);
    }
}
