//! The matrix product.

use super::Real;

/// How a matrix is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// As stored.
    Plain,
    /// Transposed.
    Transposed,
}

/// c ← a·b + beta·c, where `a` is `[m, k]` and `b` is `[k, n]` after their [`Op`], and `c` is `[m, n]`.
///
/// All are row-major. A transposed matrix is read in place, without a copy.
///
/// # Panics
/// If a length does not fit the shape.
pub fn matmul<T: Real>([m, k, n]: [usize; 3], a: (&[T], Op), b: (&[T], Op), beta: T, c: &mut [T]) {
    assert_eq!((a.0.len(), b.0.len(), c.len()), (m * k, k * n, m * n), "matmul [{m}, {k}] · [{k}, {n}]");
    let strides = |op, rows: usize, columns: usize| match op {
        Op::Plain => [columns as isize, 1],
        Op::Transposed => [1, rows as isize],
    };
    // SAFETY: the lengths were checked above, and `c` is borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        T::gemm(
            [m, k, n],
            (a.0.as_ptr(), strides(a.1, m, k)),
            (b.0.as_ptr(), strides(b.1, k, n)),
            beta,
            (c.as_mut_ptr(), [n as isize, 1]),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_plain_and_transposed() {
        let (a, at) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let (b, bt) = ([1.0, 0.0, 2.0, -1.0, 0.0, 1.0], [1.0, 2.0, 0.0, 0.0, -1.0, 1.0]);
        for a in [(&a, Op::Plain), (&at, Op::Transposed)] {
            for b in [(&b, Op::Plain), (&bt, Op::Transposed)] {
                let mut c = [10.0, 10.0, 10.0, 10.0];
                matmul([2, 3, 2], (a.0, a.1), (b.0, b.1), 1.0, &mut c);
                assert_eq!(c, [15.0, 11.0, 24.0, 11.0]);
            }
        }
    }
}
