//! Range and scale of the ratings, which are computed before training.

use foretaste::bundle::RatingRange;
use foretaste::features::History;

use crate::protocols::Sequence;

/// Statistics of the ratings that a training may see.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratings {
    /// Mean and standard deviation of all ratings.
    pub moments: [f64; 2],
    /// Least and greatest rating.
    pub range: RatingRange,
    /// Mean rating of each row of the value table; a row without ratings has the mean of all.
    pub by_row: Vec<f64>,
}

impl Ratings {
    /// Computes the statistics of the events of some sequences; `None` unless there are two different ratings.
    pub fn of(sequences: &[Sequence], spec: &History) -> Option<Ratings> {
        let ratings = || sequences.iter().flat_map(|s| &s.events).filter_map(|e| e.rating);
        let n = ratings().count() as f64;
        let mean = ratings().sum::<f64>() / n;
        let sd = (ratings().map(|r| (r - mean) * (r - mean)).sum::<f64>() / n).sqrt();
        if !(sd > 0.0 && sd.is_finite()) {
            return None;
        }
        let (least, most) = ratings().fold((f64::MAX, f64::MIN), |(least, most), r| (least.min(r), most.max(r)));
        let mut sums = vec![(0.0, 0.0); spec.value_rows()];
        for rating in ratings() {
            let (sum, count) = &mut sums[spec.value_bucket(Some(rating))];
            (*sum, *count) = (*sum + rating, *count + 1.0);
        }
        let by_row = sums.iter().map(|(sum, count)| if *count > 0.0 { sum / count } else { mean }).collect();
        Some(Ratings { moments: [mean, sd], range: RatingRange { least, most }, by_row })
    }

    /// Standardises a rating: (rating − mean) / standard deviation.
    pub fn scaled(&self, rating: f64) -> f32 {
        ((rating - self.moments[0]) / self.moments[1]) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DatasetEvent;

    #[test]
    fn statistics_equal_those_computed_by_hand() {
        let spec = History { len: 1, cap: 1, types: vec![], value_edges: vec![2.0], gap_buckets: 2, run_buckets: 1 };
        let event = |rating| DatasetEvent { user: 0, item: 0, kind: 0, rating, time: None, weight: 1.0 };
        let sequence = |ratings: &[Option<f64>]| Sequence { user: 0, events: ratings.iter().copied().map(event).collect() };
        let ratings = Ratings::of(&[sequence(&[Some(1.0), None]), sequence(&[Some(3.0), Some(5.0)])], &spec).unwrap();
        assert_eq!((ratings.moments[0], ratings.range), (3.0, RatingRange { least: 1.0, most: 5.0 }));
        assert_eq!(ratings.by_row, [3.0, 1.0, 4.0]);
        assert!((f64::from(ratings.scaled(5.0)) - 1.5f64.sqrt()).abs() < 1e-6);
        assert_eq!(Ratings::of(&[sequence(&[Some(2.0), Some(2.0)])], &spec), None);
        assert_eq!(Ratings::of(&[sequence(&[None])], &spec), None);
    }
}
