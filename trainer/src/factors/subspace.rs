//! The strongest directions of a large symmetric matrix, by randomised subspace iteration (Halko, Martinsson, Tropp,
//! Finding structure with randomness, 2011).

use nalgebra::DMatrix;

use crate::random::{mix, unit};

/// Extra directions carried through the iteration; they make the returned ones more accurate.
const MORE: usize = 16;
/// Rounds of the iteration; each multiplies the basis by the matrix.
const ROUNDS: usize = 8;

/// Eigenvectors `[n, rank]` of the largest eigenvalues, and these eigenvalues, descending.
///
/// `times` multiplies the matrix by a matrix `[n, columns]`; `rank` is at most n.
pub fn strongest(n: usize, rank: usize, times: impl Fn(&DMatrix<f64>) -> DMatrix<f64>) -> (DMatrix<f64>, Vec<f64>) {
    let width = (rank + MORE).min(n);
    let start = |i: usize| unit(mix(29, i as u64)) - 0.5;
    let mut basis = DMatrix::from_fn(n, width, |row, column| start(row * width + column)).qr().q();
    for _ in 0..ROUNDS {
        basis = times(&basis).qr().q();
    }
    let inside = basis.tr_mul(&times(&basis)).symmetric_eigen();
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|a, b| inside.eigenvalues[*b].total_cmp(&inside.eigenvalues[*a]));
    order.truncate(rank);
    let values = order.iter().map(|i| inside.eigenvalues[*i]).collect();
    (basis * inside.eigenvectors.select_columns(&order), values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest eigenvalues are kept, not those of the largest magnitude: −7 is left out.
    #[test]
    fn finds_the_largest_eigenvalues() {
        let diagonal = DMatrix::from_diagonal(&[3.0, -7.0, 5.0, 1.0].to_vec().into());
        let (vectors, values) = strongest(4, 2, |x| &diagonal * x);
        assert!((values[0] - 5.0).abs() < 1e-9 && (values[1] - 3.0).abs() < 1e-9, "{values:?}");
        assert!((vectors[(2, 0)].abs() - 1.0).abs() < 1e-9 && (vectors[(0, 1)].abs() - 1.0).abs() < 1e-9);
    }
}
