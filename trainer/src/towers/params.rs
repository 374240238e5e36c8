//! Parameters of a tower, stored one after the other in one flat list of numbers, so that the optimizer, the weight
//! average and the checkpoint each handle a single list.

use crate::ops::Real;
use crate::random::{mix, positive_unit};

/// Name and shape of a parameter of a tower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name in checkpoints.
    pub name: String,
    /// Lengths of its dimensions.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// A parameter with this name and shape.
    pub fn new(name: impl Into<String>, shape: &[usize]) -> Parameter {
        Parameter { name: name.into(), shape: shape.to_vec() }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the parameter has no elements, because this tower does not use it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The number of elements of all parameters of `layout` together.
pub fn total(layout: &[Parameter]) -> usize {
    layout.iter().map(Parameter::len).sum()
}

/// Splits a flat slice into one slice for each parameter.
///
/// # Panics
/// If the layout does not have N parameters, or the length of the slice is not [`total`].
pub fn split<'a, T, const N: usize>(layout: &[Parameter], mut flat: &'a [T]) -> [&'a [T]; N] {
    assert_eq!((layout.len(), total(layout)), (N, flat.len()));
    std::array::from_fn(|i| flat.split_off(..layout[i].len()).unwrap_or_default())
}

/// Like [`split`], but with mutable slices.
///
/// # Panics
/// Like [`split`].
pub fn split_mut<'a, T, const N: usize>(layout: &[Parameter], mut flat: &'a mut [T]) -> [&'a mut [T]; N] {
    assert_eq!((layout.len(), total(layout)), (N, flat.len()));
    std::array::from_fn(|i| flat.split_off_mut(..layout[i].len()).unwrap_or_default())
}

/// Fills `out` with normal draws of mean 0 and standard deviation `sd` (Box and Muller, 1958).
pub fn fill_normal<T: Real>(out: &mut [T], sd: f64, seed: u64) {
    for (i, x) in out.iter_mut().enumerate() {
        let (a, b) = (positive_unit(mix(seed, 2 * i as u64)), positive_unit(mix(seed, 2 * i as u64 + 1)));
        *x = T::of(sd * libm::sqrt(-2.0 * libm::log(a)) * libm::cos(std::f64::consts::TAU * b));
    }
}

/// Fills `out` with uniform draws from −bound..bound.
pub(super) fn fill_uniform<T: Real>(out: &mut [T], bound: f64, seed: u64) {
    for (i, x) in out.iter_mut().enumerate() {
        *x = T::of(bound * (2.0 * positive_unit(mix(seed, i as u64)) - 1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_lie_one_after_the_other() {
        let layout = [Parameter::new("a", &[2]), Parameter::new("b", &[0, 3]), Parameter::new("c", &[1, 3])];
        let [a, b, c] = split(&layout, &[1, 2, 3, 4, 5]);
        assert_eq!((a, b, c), (&[1, 2][..], &[][..], &[3, 4, 5][..]));
    }

    #[test]
    fn draws_have_their_moments() {
        let mut x = vec![0.0f64; 20_000];
        let variance = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        fill_normal(&mut x, 2.0, 1);
        assert!((variance(&x) - 4.0).abs() < 0.15 && (x.iter().sum::<f64>() / 20_000.0).abs() < 0.05);
        fill_uniform(&mut x, 3.0, 1);
        assert!((variance(&x) - 3.0).abs() < 0.1 && x.iter().all(|x| x.abs() <= 3.0));
    }
}
