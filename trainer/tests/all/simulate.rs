//! Tests of the simulated feedback loop, on a small scale, with policies whose exploration is known.

use foretaste::{Explore, Request};
use foretaste_trainer::simulate::{Round, Setting, simulate};

fn rounds(policy: &str, epsilon: f64, seed: u64) -> Vec<Round> {
    rounds_of(policy, epsilon, seed, 0.0)
}

fn rounds_of(policy: &str, epsilon: f64, seed: u64, newcomers: f64) -> Vec<Round> {
    let setting = Setting { users: 150, items: 200, met: 60, rounds: 4, slates: 1, drift: 0.1, newcomers };
    let explore = Explore { policy: policy.into(), epsilon: Some(epsilon), ..Explore::default() };
    let request = Request { k: 5, explore, ..Request::default() };
    simulate(setting, &request, seed, tempfile::tempdir().unwrap().path()).unwrap()
}

#[test]
fn who_shows_anything_covers_all_and_earns_little() {
    let (greedy, uniform) = (rounds("greedy", 0.0, 1), rounds("epsilon-greedy", 1.0, 1));
    assert_eq!((greedy.len(), uniform.len()), (4, 4));
    assert_eq!(greedy, rounds("greedy", 0.0, 1), "equal seeds, equal figures");
    assert_ne!(greedy, rounds("greedy", 0.0, 2));
    let last = |rounds: &[Round]| rounds[3];
    let (g, u) = (last(&greedy), last(&uniform));
    assert!(u.coverage > g.coverage && u.gini < g.gini && u.homogeneity < g.homogeneity, "{g:?} {u:?}");
    assert!(u.long_tail > 0.7 && u.long_tail < 0.9, "four fifths of the items are the tail: {u:?}");
    assert!(u.cumulative_regret > 1.1 * g.cumulative_regret && u.reward < g.reward, "{g:?} {u:?}");
    for rounds in [greedy, uniform] {
        assert!(rounds.iter().all(|r| r.regret > 0.0 && r.reward > 0.0 && (0.0..=1.0).contains(&r.discovery)));
        assert!(rounds.windows(2).all(|w| (w[1].cumulative_regret - w[0].cumulative_regret - w[1].regret).abs() < 1e-9));
    }
}

/// The greedy policy shows newcomers much the same items, since it knows nothing about them.
#[test]
fn newcomers_are_shown_alike() {
    let [old, new] = [0.0, 1.0].map(|newcomers| rounds_of("greedy", 0.0, 1, newcomers)[3]);
    assert!(new.homogeneity > 2.0 * old.homogeneity && new.coverage < 0.8 * old.coverage, "{old:?} {new:?}");
    let half = rounds_of("greedy", 0.0, 1, 0.5)[3];
    assert!(half.homogeneity > old.homogeneity && half.homogeneity < new.homogeneity, "{half:?}");
}

#[test]
fn a_learning_policy_is_driven_to_the_end() {
    for policy in ["softmax", "ucb", "thompson"] {
        let rounds = rounds(policy, 0.02, 3);
        assert!(rounds.iter().all(|r| r.reward.is_finite() && r.regret > 0.0), "{policy}: {rounds:?}");
    }
}
