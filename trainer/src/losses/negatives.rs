//! Draws candidates that a request did not want, for the losses that compare a wanted item with a few others.

use super::softmax::Target;
use crate::ops::Real;
use crate::random::mix;

/// How negatives are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Negatives {
    /// Negatives per row, 1 or more. More cost time and follow the whole catalog more closely.
    pub count: usize,
    /// Candidates drawn for each negative; the highest scored ones are kept. 1 keeps every draw, so negatives are
    /// uniform; larger numbers give harder negatives. Zhang et al., Optimizing top-n collaborative filtering via
    /// dynamic negative item sampling, 2013.
    pub hardness: usize,
    /// Seed of the draws: equal seeds draw equal negatives.
    pub seed: u64,
}

impl Negatives {
    /// Draws negatives for row `row`, uniformly among the candidates that are neither wanted nor masked.
    ///
    /// Returns fewer than `count` if hardly any such candidates exist.
    pub(super) fn draw<T: Real>(&self, row: usize, candidates: usize, target: &Target, score: impl Fn(u32) -> T) -> Vec<u32> {
        let draws = self.count * self.hardness;
        let is_out = |c: &u32| target.masked.contains(c) || target.wanted.iter().any(|(w, _)| w == c);
        let seed = mix(self.seed, row as u64);
        // Some draws hit wanted or masked candidates. Twice as many tries as needed, plus 8, are enough even if half of
        // the candidates are masked.
        let tries = (0..2 * draws as u64 + 8).map(|i| (mix(seed, i) % candidates as u64) as u32);
        let mut drawn: Vec<u32> = tries.filter(|c| !is_out(c)).take(draws).collect();
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
    fn draws_are_uniform_or_the_highest_scored() {
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
