//! Errors of predicted ratings: root mean squared and mean absolute error.

use super::{Better, Formula, Metric};

/// Root mean squared error.
pub const RMSE: Metric = Metric {
    family: "rmse",
    k: None,
    unit: "rating units",
    better: Better::Lower,
    formula: Formula::RatingErrors(rmse_contributions),
};

/// Mean absolute error.
pub const MAE: Metric = Metric {
    family: "mae",
    k: None,
    unit: "rating units",
    better: Better::Lower,
    formula: Formula::RatingErrors(absolute_errors),
};

/// A predicted rating, cut to the range of the ratings; `None` for one that is not finite: its model has diverged.
pub fn cut(predicted: f64, [least, most]: [f64; 2]) -> Option<f64> {
    predicted.is_finite().then(|| predicted.max(least).min(most))
}

/// One value for each error e, whose mean is the root mean squared error R: R + (e² − R²) / 2R; all 0 if R is 0.
///
/// The spread of the values gives the interval of R (the delta method), and the spread of their differences that of the
/// difference of two models.
pub fn rmse_contributions(errors: &[f64]) -> Vec<f64> {
    let squares: Vec<f64> = errors.iter().map(|e| e * e).collect();
    let mean = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    let root = mean.sqrt();
    squares.iter().map(|square| if root > 0.0 { root + (square - mean) / (2.0 * root) } else { 0.0 }).collect()
}

/// The size of each error; the mean is the MAE.
pub fn absolute_errors(errors: &[f64]) -> Vec<f64> {
    errors.iter().map(|e| e.abs()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / 3.0;
        let errors = [1.0, 0.0, -1.0];
        assert!((mean(rmse_contributions(&errors)) - (2.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((mean(absolute_errors(&errors)) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(rmse_contributions(&[0.0]), [0.0]);
    }

    #[test]
    fn what_is_not_finite_is_not_cut() {
        assert_eq!([9.0, -9.0, 2.0].map(|p| cut(p, [1.0, 5.0])), [Some(5.0), Some(1.0), Some(2.0)]);
        assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|p| cut(p, [1.0, 5.0])), [None; 3]);
    }
}
