//! Inverts a large symmetric positive definite matrix in blocks, on all cores.

use anyhow::{Context, Result};
use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::ops::{Op, matmul};

/// Rows and columns eliminated at a time.
const BLOCK: usize = 128;
/// Rows per parallel task.
const STRIPE: usize = 256;

/// Replaces `matrix` `[n, n]` by its inverse: Gauss–Jordan elimination, one block at a time.
///
/// # Errors
/// The matrix is not positive definite.
pub fn invert(matrix: &mut [f32], n: usize) -> Result<()> {
    for start in (0..n).step_by(BLOCK) {
        let width = BLOCK.min(n - start);
        let columns = start..start + width;
        let pivot = DMatrix::from_fn(width, width, |i, j| f64::from(matrix[(start + i) * n + start + j]));
        let pivot = pivot.cholesky().context("the item-item matrix is not positive definite")?.inverse();
        let pivot: Vec<f32> = (0..width * width).map(|k| pivot[(k / width, k % width)] as f32).collect();
        // New rows of the block: pivot⁻¹ · rows, with pivot⁻¹ itself in the columns of the block.
        let mut rows = vec![0.0; width * n];
        matmul([width, width, n], (&pivot, Op::Plain), (&matrix[start * n..(start + width) * n], Op::Plain), 0.0, &mut rows);
        rows.chunks_exact_mut(n).zip(pivot.chunks_exact(width)).for_each(|(row, p)| row[columns.clone()].copy_from_slice(p));
        matrix.par_chunks_mut(STRIPE * n).enumerate().for_each(|(stripe, of)| {
            // Eliminates the block's columns from all other rows. The block's own rows are written below.
            let mut factors = Vec::with_capacity(of.len() / n * width);
            for (i, row) in of.chunks_exact_mut(n).enumerate() {
                let own = columns.contains(&(stripe * STRIPE + i));
                factors.extend(row[columns.clone()].iter().map(|x| if own { 0.0 } else { -x }));
                row[columns.clone()].fill(0.0);
            }
            matmul([of.len() / n, width, n], (&factors, Op::Plain), (&rows, Op::Plain), 1.0, of);
        });
        matrix[start * n..(start + width) * n].copy_from_slice(&rows);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::numbers;

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        for n in [1, 5, BLOCK, BLOCK + 1, 2 * BLOCK + 7] {
            let root = numbers(n * n, 1);
            let mut square = vec![0.0; n * n];
            matmul([n, n, n], (&root, Op::Plain), (&root, Op::Transposed), 0.0, &mut square);
            (0..n).for_each(|i| square[i * n + i] += 10.0);
            let matrix: Vec<f32> = square.iter().map(|x| *x as f32).collect();
            let mut inverse = matrix.clone();
            invert(&mut inverse, n).unwrap();
            let mut one = vec![0.0f32; n * n];
            matmul([n, n, n], (&matrix, Op::Plain), (&inverse, Op::Plain), 0.0, &mut one);
            let far = one.iter().enumerate().map(|(k, x)| (x - if k / n == k % n { 1.0 } else { 0.0 }).abs()).fold(0.0, f32::max);
            assert!(far < 1e-4, "{n}: {far}");
        }
        assert!(invert(&mut [-1.0], 1).is_err());
    }
}
