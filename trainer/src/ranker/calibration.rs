//! Turns a head's outputs into probabilities that hold: of the candidates with a probability of 0.2, a fifth is wanted.

use foretaste::bundle::Calibration;
use serde::{Deserialize, Serialize};

use crate::losses::softplus;

/// A probability stays this far from 0 and 1, so that its logit is finite.
const LEAST: f64 = 1e-6;
/// Most pools of an isotonic calibration; a bundle carries their ends.
const MOST_POOLS: usize = 64;
/// By how much the logit rises within a pool.
const HAIR: f64 = 1e-9;
/// Bins of [`reliability`].
const BINS: usize = 15;
/// Steps of Newton's method for Platt's two numbers: it stops earlier once nothing moves.
const STEPS: usize = 50;

/// The probability that a calibration makes of a head's output.
pub fn probability(calibration: &Calibration, output: f64) -> f64 {
    sigmoid(calibration.logit(output)).clamp(LEAST, 1.0 - LEAST)
}

/// Platt's calibration of outputs with labels from 0 to 1: the maximum of the likelihood, after labels are moved a
/// little towards ½, as if one more of each kind had been seen.
fn platt(outputs: &[f64], labels: &[f64]) -> Calibration {
    let wanted: f64 = labels.iter().sum();
    let unwanted = labels.len() as f64 - wanted;
    let [high, low] = [(wanted + 1.0) / (wanted + 2.0), 1.0 / (unwanted + 2.0)];
    let targets: Vec<f64> = labels.iter().map(|y| low + y * (high - low)).collect();
    let n = outputs.len().max(1) as f64;
    let mean = outputs.iter().sum::<f64>() / n;
    let sd = (outputs.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
    let share = if labels.is_empty() { 0.5 } else { targets.iter().sum::<f64>() / n };
    if !(sd > 0.0 && sd.is_finite()) {
        return Calibration::Platt(1.0, logit(share) - if mean.is_finite() { mean } else { 0.0 });
    }
    // In standard deviations Newton's steps have one scale; the start has no slope.
    let z: Vec<f64> = outputs.iter().map(|x| (x - mean) / sd).collect();
    let loss = |a: f64, b: f64| -> f64 { z.iter().zip(&targets).map(|(z, t)| softplus(a * z + b).0 - t * (a * z + b)).sum() };
    let (mut a, mut b) = (0.0, logit(share));
    let mut value = loss(a, b);
    for _ in 0..STEPS {
        let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (0.0, 0.0, 1e-9, 0.0, 1e-9);
        for (z, t) in z.iter().zip(&targets) {
            let p = sigmoid(a * z + b);
            let (error, weight) = (p - t, p * (1.0 - p));
            (ga, gb) = (ga + error * z, gb + error);
            (haa, hab, hbb) = (haa + weight * z * z, hab + weight * z, hbb + weight);
        }
        let determinant = haa * hbb - hab * hab;
        let (da, db) = ((hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant);
        let halved = std::iter::successors(Some(1.0), |size| Some(size / 2.0)).take(14);
        let better = |size: f64| Some((size, loss(a - size * da, b - size * db))).filter(|(_, next)| *next < value);
        let Some((size, next)) = halved.filter_map(better).next() else { break };
        (a, b, value) = (a - size * da, b - size * db, next);
    }
    // A head that orders against its labels is not turned around: it tells nothing.
    if a / sd > LEAST {
        Calibration::Platt(a / sd, b - a * mean / sd)
    } else {
        Calibration::Platt(LEAST, logit(share) - LEAST * mean)
    }
}

/// Candidates with one probability, as the isotonic regression pools them.
#[derive(Clone, Copy)]
struct Pool {
    /// Least and greatest output.
    ends: [f64; 2],
    /// Sum of the labels, and number of candidates.
    wanted: f64,
    n: f64,
}

impl Pool {
    fn join(self, next: Pool) -> Pool {
        Pool { ends: [self.ends[0], next.ends[1]], wanted: self.wanted + next.wanted, n: self.n + next.n }
    }
}

/// The isotonic regression of labels on outputs by pooling adjacent violators (Ayer et al., 1955), as the ends of at
/// most [`MOST_POOLS`] pools with the logits of their mean labels. `None` without two different outputs.
fn isotonic(outputs: &[f64], labels: &[f64]) -> Option<Calibration> {
    let mut pairs: Vec<(f64, f64)> = outputs.iter().copied().zip(labels.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    if pairs.first()?.0 == pairs.last()?.0 {
        return None;
    }
    // Few pools in the end need large ones from the start.
    let least = pairs.len().div_ceil(4 * MOST_POOLS);
    let mut pools: Vec<Pool> = Vec::new();
    let mut rest = &pairs[..];
    while !rest.is_empty() {
        let (last, _) = rest[least.min(rest.len()) - 1];
        let (own, after) = rest.split_at(rest.partition_point(|(x, _)| *x <= last));
        rest = after;
        let mut pool = Pool { ends: [own[0].0, last], wanted: own.iter().map(|pair| pair.1).sum(), n: own.len() as f64 };
        while let Some(before) = pools.pop_if(|before| before.wanted * pool.n >= pool.wanted * before.n) {
            pool = before.join(pool);
        }
        pools.push(pool);
    }
    let (mut x, mut y): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for pools in pools.chunks(pools.len().div_ceil(MOST_POOLS)) {
        let Some(pool) = pools.iter().copied().reduce(Pool::join) else { continue };
        let value = logit((pool.wanted / pool.n).clamp(LEAST, 1.0 - LEAST));
        // A calibration ascends strictly, so a pool does by a hair.
        for (end, value) in pool.ends.into_iter().zip([value, value + HAIR]) {
            if x.last().is_none_or(|before| end > *before) && y.last().is_none_or(|before| value > *before) {
                x.push(end);
                y.push(value);
            }
        }
    }
    Some(Calibration::Isotonic(x, y))
}

/// Platt's calibration or the isotonic one, fitted to some outputs and labels: the better by the log loss on others.
pub fn calibrate(fitted: (&[f64], &[f64]), judged: (&[f64], &[f64])) -> Calibration {
    let platt = platt(fitted.0, fitted.1);
    let loss = |calibration: &Calibration| log_loss(calibration, judged.0, judged.1);
    isotonic(fitted.0, fitted.1).filter(|isotonic| loss(isotonic) < loss(&platt)).unwrap_or(platt)
}

/// Mean log loss in nats; 0 without labels.
fn log_loss(calibration: &Calibration, outputs: &[f64], labels: &[f64]) -> f64 {
    let one = |(x, y): (&f64, &f64)| {
        let p = probability(calibration, *x);
        -(y * libm::log(p) + (1.0 - y) * libm::log(1.0 - p))
    };
    outputs.iter().zip(labels).map(one).sum::<f64>() / outputs.len().max(1) as f64
}

/// One bin of a reliability diagram: the mean probability, the share that was wanted, and the number of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Mean of the probabilities.
    pub said: f64,
    /// Mean of the labels.
    pub found: f64,
    /// Number of candidates.
    pub n: usize,
}

/// Bins of equal numbers of candidates, by ascending probability; at most 15.
pub fn reliability(probabilities: &[f64], labels: &[f64]) -> Vec<Bin> {
    let mut pairs: Vec<(f64, f64)> = probabilities.iter().copied().zip(labels.iter().copied()).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = pairs.len();
    let bin = |i: usize| {
        let own = &pairs[i * n / BINS..(i + 1) * n / BINS];
        let sum = own.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        Bin { said: sum.0 / own.len() as f64, found: sum.1 / own.len() as f64, n: own.len() }
    };
    (0..BINS).map(bin).filter(|bin| bin.n > 0).collect()
}

/// Expected calibration error: the mean distance of what was said from what was found, over the candidates of all bins
/// (Naeini et al., 2015).
pub fn ece(bins: &[Bin]) -> f64 {
    let n: usize = bins.iter().map(|bin| bin.n).sum();
    bins.iter().map(|bin| (bin.said - bin.found).abs() * bin.n as f64).sum::<f64>() / n.max(1) as f64
}

fn logit(p: f64) -> f64 {
    libm::log(p / (1.0 - p))
}

fn sigmoid(x: f64) -> f64 {
    softplus(x).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{mix, unit};

    /// Logits from −4 to 4, and labels that are 1 with the probability that `truth` gives.
    fn drawn(n: u64, seed: u64, truth: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>) {
        let one = |i: u64| {
            let x = 8.0 * unit(mix(seed, 2 * i)) - 4.0;
            (x, f64::from(u8::from(unit(mix(seed, 2 * i + 1)) < truth(x))))
        };
        (0..n).map(one).unzip()
    }

    #[test]
    fn platt_finds_planted_numbers() {
        let (x, y) = drawn(40_000, 1, |x| sigmoid(0.6 * x - 1.0));
        let Calibration::Platt(a, b) = platt(&x, &y) else { panic!("Platt's") };
        assert!((a - 0.6).abs() < 0.02 && (b + 1.0).abs() < 0.03, "{a} {b}");
        // Probabilities as labels are fitted as they are.
        let soft: Vec<f64> = x.iter().map(|x| sigmoid(2.0 * x + 0.5)).collect();
        let Calibration::Platt(a, b) = platt(&x, &soft) else { panic!("Platt's") };
        assert!((a - 2.0).abs() < 0.01 && (b - 0.5).abs() < 0.01, "{a} {b}");
    }

    #[test]
    fn platt_of_odd_labels_stays_a_probability() {
        for (x, y) in [
            (&[][..], &[][..]),
            (&[1.0, 1.0], &[0.0, 1.0]),
            (&[1.0, 2.0, 3.0], &[0.0, 0.0, 0.0]),
            (&[1.0, 2.0, 3.0], &[1.0, 1.0, 1.0]),
            (&[1.0, 2.0, 3.0], &[1.0, 0.0, 0.0]),
            (&[-1e6, 0.0, 1e6], &[0.0, 0.0, 1.0]),
        ] {
            let c = platt(x, y);
            let Calibration::Platt(a, b) = c else { panic!("Platt's") };
            assert!(a > 0.0 && a.is_finite() && b.is_finite(), "{x:?}: {c:?}");
            let p = [-1e9, -1.0, 0.0, 2.0, 1e9].map(|x| probability(&c, x));
            assert!(p.windows(2).all(|w| w[0] <= w[1]) && p.iter().all(|p| *p > 0.0 && *p < 1.0), "{p:?}");
        }
    }

    /// The definition: no other ascending function of the logits has a smaller squared error.
    #[test]
    fn isotonic_is_the_best_ascending_fit() {
        let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
        let c = isotonic(&x, &y).unwrap();
        let Calibration::Isotonic(points, logits) = &c else { panic!("isotonic") };
        // 1, 0, 0 are pooled; the two ones have one value.
        assert_eq!(points, &[1.0, 2.0, 4.0, 5.0, 6.0]);
        let values: Vec<f64> = logits.iter().map(|x| sigmoid(*x)).collect();
        let expected = [LEAST, 1.0 / 3.0, 1.0 / 3.0, 1.0 - LEAST, 1.0 - LEAST];
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-8), "{values:?}");
        assert!((probability(&c, 3.0) - 1.0 / 3.0).abs() < 1e-8);
        assert_eq!((probability(&c, -9.0), probability(&c, 9.0)), (LEAST, 1.0 - LEAST));
        assert_eq!((isotonic(&[2.0, 2.0], &[0.0, 1.0]), isotonic(&[], &[])), (None, None));
        // Equal logits have one value, whatever their order.
        let ties = isotonic(&[1.0, 1.0, 2.0, 2.0], &[1.0, 0.0, 1.0, 1.0]).unwrap();
        assert!((probability(&ties, 1.0) - 0.5).abs() < 1e-12 && probability(&ties, 2.0) == 1.0 - LEAST);
    }

    #[test]
    fn the_better_one_is_chosen_and_has_a_small_error() {
        let step = |x: f64| if x < 0.0 { 0.1 } else { 0.4 };
        let line = |x: f64| sigmoid(0.5 * x);
        for (truth, is_platt) in [(&step as &dyn Fn(f64) -> f64, false), (&line, true)] {
            let (fitted, judged) = (drawn(20_000, 3, truth), drawn(20_000, 4, truth));
            let c = calibrate((&fitted.0, &fitted.1), (&judged.0, &judged.1));
            assert_eq!(matches!(c, Calibration::Platt(..)), is_platt, "{c:?}");
            let p: Vec<f64> = judged.0.iter().map(|x| probability(&c, *x)).collect();
            assert!(p.len() == 20_000 && ece(&reliability(&p, &judged.1)) < 0.02);
            if let Calibration::Isotonic(x, y) = c {
                assert!(x.len() <= 2 * MOST_POOLS && y.windows(2).all(|w| w[0] < w[1]) && x.windows(2).all(|w| w[0] < w[1]));
            }
        }
    }

    #[test]
    fn the_error_is_the_mean_distance_of_bins() {
        // 30 candidates in 15 bins: half of each bin is wanted, and 0.5 or 0.7 is said.
        let p: Vec<f64> = (0..30).map(|i| if i < 16 { 0.5 } else { 0.7 }).collect();
        let y: Vec<f64> = (0..30).map(|i| f64::from(i % 2)).collect();
        let bins = reliability(&p, &y);
        assert_eq!((bins.len(), bins[0]), (15, Bin { said: 0.5, found: 0.5, n: 2 }));
        assert!((ece(&bins) - 7.0 / 15.0 * 0.2).abs() < 1e-12);
        assert_eq!((reliability(&[], &[]), ece(&[])), (vec![], 0.0));
        assert_eq!(reliability(&[0.25], &[1.0]), [Bin { said: 0.25, found: 1.0, n: 1 }]);
    }
}
