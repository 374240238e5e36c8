//! One trait for f32 and f64.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A float type that the operations run in.
pub trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// `x`, rounded to this type.
    fn of(x: f64) -> Self;
    /// The value as f64.
    fn to_f64(self) -> f64;
    /// eˣ.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// The larger of two.
    fn max(self, other: Self) -> Self;
    /// c ← a·b + beta·c, with strides of rows and columns in elements. See `matrixmultiply::sgemm`.
    ///
    /// # Safety
    /// Every element that shape and strides reach must lie inside its allocation; `c` must overlap neither `a` nor `b`.
    unsafe fn gemm(
        shape: [usize; 3],
        a: (*const Self, [isize; 2]),
        b: (*const Self, [isize; 2]),
        beta: Self,
        c: (*mut Self, [isize; 2]),
    );
}

macro_rules! real {
    ($t:ty, $gemm:path, $erf:path) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            fn of(x: f64) -> Self {
                x as $t
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            fn exp(self) -> Self {
                <$t>::exp(self)
            }
            fn ln(self) -> Self {
                <$t>::ln(self)
            }
            fn sqrt(self) -> Self {
                <$t>::sqrt(self)
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn max(self, other: Self) -> Self {
                <$t>::max(self, other)
            }
            unsafe fn gemm(
                [m, k, n]: [usize; 3],
                (a, [rsa, csa]): (*const Self, [isize; 2]),
                (b, [rsb, csb]): (*const Self, [isize; 2]),
                beta: Self,
                (c, [rsc, csc]): (*mut Self, [isize; 2]),
            ) {
                // SAFETY: the caller upholds the contract of `gemm`.
                unsafe { $gemm(m, k, n, 1.0, a, rsa, csa, b, rsb, csb, beta, c, rsc, csc) }
            }
        }
    };
}

real!(f32, matrixmultiply::sgemm, libm::erff);
real!(f64, matrixmultiply::dgemm, libm::erf);
