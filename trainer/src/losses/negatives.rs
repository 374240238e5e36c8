//! Candidates that a request did not want, for the losses that compare a few.

use super::softmax::Target;
use crate::ops::Real;
use crate::random::mix;

/// How many, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Negatives {
    /// Of a request, 1 or more.
    pub count: usize,
    /// Candidates that are drawn for each one that is kept: those of the highest scores. 1 takes them as they come. Zhang et al., Optimizing top-n
    /// collaborative filtering via dynamic negative item sampling, 2013.
    pub hardness: usize,
    /// Names the draw.
    pub seed: u64,
}

impl Negatives {
    /// Candidates that row `row` neither wants nor may not name, each as likely as the other; fewer where there are hardly any.
    pub(super) fn draw<T: Real>(&self, row: usize, candidates: usize, target: &Target, score: impl Fn(u32) -> T) -> Vec<u32> {
        let wanted = self.count * self.hardness;
        let is_out = |c: &u32| target.masked.contains(c) || target.wanted.iter().any(|(w, _)| w == c);
        let seed = mix(self.seed, row as u64);
        // Twice as many tries as are wanted, and some: a history of half of the candidates leaves enough.
        let tries = (0..2 * wanted as u64 + 8).map(|i| (mix(seed, i) % candidates as u64) as u32);
        let mut drawn: Vec<u32> = tries.filter(|c| !is_out(c)).take(wanted).collect();
        if self.hardness > 1 {
            let mut scored: Vec<(f64, u32)> = drawn.iter().map(|c| (score(*c).to_f64(), *c)).collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            drawn = scored.into_iter().take(self.count).map(|(_, c)| c).collect();
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_uniform_over_what_is_allowed_or_the_highest_scored() {
        let target = Target { wanted: vec![(1, 1.0)], masked: vec![3] };
        let mut seen = [0; 6];
        for row in 0..6000 {
            let negatives = Negatives { count: 2, hardness: 1, seed: 5 };
            let drawn = negatives.draw(row, 6, &target, |_| 0.0f64);
            assert_eq!(drawn.len(), 2);
            drawn.iter().for_each(|c| seen[*c as usize] += 1);
        }
        assert_eq!((seen[1], seen[3]), (0, 0));
        assert!([0, 2, 4, 5].iter().all(|c| (2800..3200).contains(&seen[*c])), "{seen:?}");
        let hard = Negatives { count: 1, hardness: 60, seed: 5 };
        assert_eq!(hard.draw(0, 6, &target, |c| if c == 4 { 9.0f64 } else { 0.0 }), [4]);
        let all = Target { wanted: vec![], masked: (0..6).collect() };
        assert_eq!(hard.draw(0, 6, &all, |_| 0.0f64), [0u32; 0]);
    }
}
